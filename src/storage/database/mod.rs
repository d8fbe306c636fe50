//! The only place that knows SQLite from PostgreSQL.

mod row;
mod session;
mod value;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::{Error, Result};

pub use row::Row;
pub use session::Session;
pub use value::Value;

/// How long a session waits for a connection or for the writer before it.
const PATIENCE: Duration = Duration::from_secs(15);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

/// Which database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// A server of its own.
    Postgres,
}

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file; it is made when it is missing.
    Sqlite(PathBuf),
    /// A URL with user and password.
    Postgres(String),
}

/// An open database. Clones share its connections.
#[derive(Clone)]
pub struct Database {
    connections: Connections,
    location: Location,
}

#[derive(Clone)]
enum Connections {
    /// One writer and several readers, as WAL allows.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

impl Database {
    /// Opens a database, without a look at what is in it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot be reached.
    pub async fn open(location: &Location) -> Result<Self> {
        let connections = match location {
            Location::Sqlite(path) => {
                let options = sqlite_options(path);
                let writer = SqlitePoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(PATIENCE);
                let readers = SqlitePoolOptions::new()
                    .max_connections(SQLITE_READERS)
                    .acquire_timeout(PATIENCE);
                let writer = writer
                    .connect_with(options.clone())
                    .await
                    .map_err(unreachable_database)?;
                Connections::Sqlite {
                    writer,
                    readers: readers.connect_lazy_with(options),
                }
            }
            Location::Postgres(url) => {
                let options = PgConnectOptions::from_str(url).map_err(unreachable_database)?;
                let pool = PgPoolOptions::new()
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(PATIENCE);
                Connections::Postgres(pool.connect_with(options).await.map_err(unreachable_database)?)
            }
        };
        Ok(Self {
            connections,
            location: location.clone(),
        })
    }

    /// Which engine it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.connections {
            Connections::Sqlite { .. } => Engine::Sqlite,
            Connections::Postgres(_) => Engine::Postgres,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// A transaction that only reads. It does not wait for writers.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn read(&self) -> Result<Session> {
        Ok(match &self.connections {
            Connections::Sqlite { readers, .. } => Session::Sqlite(readers.begin().await?),
            Connections::Postgres(pool) => Session::Postgres(pool.begin().await?),
        })
    }

    /// A transaction that writes. On SQLite there is one at a time, and others wait for it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn write(&self) -> Result<Session> {
        Ok(match &self.connections {
            Connections::Sqlite { writer, .. } => {
                Session::Sqlite(writer.begin_with("begin immediate").await?)
            }
            Connections::Postgres(pool) => Session::Postgres(pool.begin().await?),
        })
    }

    /// Closes all connections; on SQLite the write-ahead log is folded into the file.
    pub async fn close(&self) {
        match &self.connections {
            Connections::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Connections::Postgres(pool) => pool.close().await,
        }
    }
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
}

/// While opening, every failure means that the database is not there for us.
fn unreachable_database(error: sqlx::Error) -> Error {
    Error::Unavailable {
        message: error.to_string(),
    }
}
