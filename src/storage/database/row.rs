//! Rows that statements give.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::Result;

/// One row. Columns are read by name.
pub enum Row {
    /// Of the embedded engine.
    Sqlite(SqliteRow),
    /// Of the server.
    Postgres(PgRow),
}

macro_rules! readers {
    ($($(#[$meta:meta])* $name:ident -> $type:ty;)*) => {
        impl Row {$(
            $(#[$meta])*
            ///
            /// # Errors
            /// When there is no such column, or it holds something else.
            pub fn $name(&self, column: &str) -> Result<$type> {
                Ok(match self {
                    Self::Sqlite(row) => row.try_get_unchecked(column)?,
                    Self::Postgres(row) => row.try_get_unchecked(column)?,
                })
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
