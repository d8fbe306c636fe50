//! Rows that statements give.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row as _, Sqlite};

use crate::{Error, Result};

/// One row. Columns are read by name.
pub struct Row(Engines);

enum Engines {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(Engines::Sqlite(row))
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(Engines::Postgres(row))
    }
}

impl Row {
    /// The value of a column, or none for null. Both engines check the type; a null is told apart here, because SQLite
    /// would give an empty text or a zero for it.
    fn value<'r, T>(&'r self, column: &str) -> Result<Option<T>>
    where
        T: sqlx::Type<Sqlite> + sqlx::Decode<'r, Sqlite> + sqlx::Type<Postgres> + sqlx::Decode<'r, Postgres>,
    {
        let value = match &self.0 {
            Engines::Sqlite(row) => row.try_get(column),
            Engines::Postgres(row) => row.try_get(column),
        };
        value.map_err(|error| Error::Statement {
            message: format!("the column '{column}' cannot be read: {error}"),
        })
    }
}

macro_rules! readers {
    ($($(#[$meta:meta])* $name:ident, $optional:ident -> $type:ty;)*) => {
        impl Row {$(
            $(#[$meta])*
            ///
            /// # Errors
            /// [`Error::Statement`] when there is no such column, or it holds null or something else.
            pub fn $name(&self, column: &str) -> Result<$type> {
                self.value(column)?.ok_or_else(|| Error::Statement {
                    message: format!("the column '{column}' is null although it must not be"),
                })
            }

            $(#[$meta])*
            /// Or null.
            ///
            /// # Errors
            /// [`Error::Statement`] when there is no such column, or it holds something else.
            pub fn $optional(&self, column: &str) -> Result<Option<$type>> {
                self.value(column)
            }
        )*}
    };
}

readers! {
    /// A text.
    text, optional_text -> String;
    /// A whole number.
    integer, optional_integer -> i64;
    /// True or false.
    boolean, optional_boolean -> bool;
    /// Bytes.
    bytes, optional_bytes -> Vec<u8>;
}
