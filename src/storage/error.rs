//! Why the database did not do what it was asked.

/// A failure of the database. No text of it holds a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer, or it takes no more connections; trying again can help.
    #[error("The database does not answer: {message}")]
    Unavailable {
        /// What the driver said.
        message: String,
    },
    /// A unique index refused the row.
    #[error("A row with the same unique value is there already: {message}")]
    Duplicate {
        /// What the driver said; names the index.
        message: String,
    },
    /// A stored document cannot be read, or one cannot be written.
    #[error("A document cannot be stored or read: {message}")]
    Document {
        /// What is wrong with it.
        message: String,
    },
    /// A statement failed for another reason.
    #[error("The database refused a statement: {message}")]
    Statement {
        /// What the driver said.
        message: String,
    },
    /// The database was migrated by a newer version of the product.
    #[error(
        "The database has schema {found}, made by version {product}; this version knows schemas up to {known}. Start the \
         newer version, or restore the copy of the database that was kept before it."
    )]
    Newer {
        /// The schema found.
        found: i64,
        /// The version that made it.
        product: String,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The database has tables that are not ours.
    #[error(
        "The database holds tables that are not Mantle's. Name an empty database; nothing was written to this one."
    )]
    Foreign,
    /// A migration failed and was rolled back.
    #[error(
        "The migration {migration} failed and was rolled back; the version before this one still starts: {message}"
    )]
    Migration {
        /// Its name.
        migration: &'static str,
        /// What the driver said.
        message: String,
    },
    /// The connection broke while a transaction was being committed: it may have been or not.
    #[error(
        "It is not known whether the last change was stored, because the database went away at this moment: {message}"
    )]
    CommitUnknown {
        /// What the driver said.
        message: String,
    },
    /// The copy that is kept before a migration could not be made; nothing was migrated.
    #[error(
        "The copy {path} of the database, which is kept before a migration, could not be made: {message}"
    )]
    Copy {
        /// Where it should have been.
        path: String,
        /// Why not.
        message: String,
    },
    /// Another program works on the same database.
    #[error("{0}")]
    Locked(String),
    /// Another node took the task over: what this one still wanted to write is refused.
    #[error("The lease of the task was lost: another node took it over. Nothing was written.")]
    LeaseLost,
}

impl Error {
    /// A document that cannot be stored or read.
    pub(crate) fn document(error: impl std::fmt::Display) -> Self {
        Self::Document {
            message: error.to_string(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let message = error.to_string();
        match &error {
            sqlx::Error::Database(refused) if refused.is_unique_violation() => Self::Duplicate { message },
            sqlx::Error::Database(refused) => match refused.code().as_deref() {
                Some(code) if passes(code) => Self::Unavailable { message },
                Some(SQLITE_NOT_A_DATABASE) => Self::Foreign,
                _ => Self::Statement { message },
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable { message },
            _ => Self::Statement { message },
        }
    }
}

const SQLITE_NOT_A_DATABASE: &str = "26";

/// Whether an engine's code is of a fault that passes without a change of the program: of SQLite (numbers, the low
/// byte counts) busy, locked, I/O, full, cannot open, read-only; of PostgreSQL (five characters) connection, no room,
/// shutting down, cancelled, deadlock, serialisation, read-only after a fail-over.
fn passes(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "40", "25006"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xFF, 5 | 6 | 8 | 10 | 13 | 14))
}
