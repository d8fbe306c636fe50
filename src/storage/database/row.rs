//! Rows that statements give.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

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

macro_rules! readers {
    ($($(#[$meta:meta])* $name:ident -> $type:ty;)*) => {
        impl Row {$(
            $(#[$meta])*
            ///
            /// # Errors
            /// [`Error::Statement`] when there is no such column, or it holds something else.
            pub fn $name(&self, column: &str) -> Result<$type> {
                let value = match &self.0 {
                    Engines::Sqlite(row) => row.try_get(column),
                    Engines::Postgres(row) => row.try_get(column),
                };
                value.map_err(|error| Error::Statement { message: format!("the column '{column}' cannot be read: {error}") })
            }
        )*}
    };
}

readers! {
    /// A text.
    text -> String;
    /// A text or null.
    optional_text -> Option<String>;
    /// A whole number.
    integer -> i64;
    /// A whole number or null.
    optional_integer -> Option<i64>;
    /// True or false.
    boolean -> bool;
    /// True, false or null.
    optional_boolean -> Option<bool>;
    /// Bytes.
    bytes -> Vec<u8>;
    /// Bytes or null.
    optional_bytes -> Option<Vec<u8>>;
}
