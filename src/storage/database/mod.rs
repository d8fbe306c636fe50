//! The only place that knows SQLite from PostgreSQL.

mod lock;
mod notifier;
mod row;
mod session;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor, Row as _};

use crate::{Error, Result};

pub use lock::Lock;
pub use notifier::{Notifications, Notifier};
pub use row::Row;
pub use session::Session;
pub(crate) use session::any_of;
pub use value::Value;

/// How long a session waits for a connection or for the writer before it.
const PATIENCE: Duration = Duration::from_secs(15);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;
/// A single statement that takes longer is given up by PostgreSQL, so that a slow database piles nothing up.
const STATEMENT_TIMEOUT: &str = "30s";

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
    /// A file; it is made when it is missing. Its folder must exist.
    Sqlite(PathBuf),
    /// A URL with user and password, `postgres://user:password@host:5432/database`.
    Postgres(String),
}

/// Without the password.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "the file {}", path.display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url) {
                Ok(options) => write!(
                    formatter,
                    "the PostgreSQL database '{}' at {}:{}",
                    options.get_database().unwrap_or(options.get_username()),
                    options.get_host(),
                    options.get_port()
                ),
                Err(_) => formatter.write_str("a PostgreSQL database"),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
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

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Database({})", self.location)
    }
}

impl Database {
    /// Opens a database, without a look at what is in it and without a change to it: a file is made, and turned to WAL,
    /// by the first session.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot be reached.
    pub async fn open(location: &Location) -> Result<Self> {
        let connections = match location {
            Location::Sqlite(path) => open_file(path, location)?,
            Location::Postgres(url) => open_server(url).await.map_err(|message| Error::Unavailable {
                message: format!("{location} cannot be opened: {message}"),
            })?,
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

    /// A transaction that only reads, and sees one state of the database throughout. It does not wait for writers.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn read(&self) -> Result<Session> {
        Ok(match &self.connections {
            Connections::Sqlite { readers, .. } => readers.begin().await?.into(),
            Connections::Postgres(pool) => pool
                .begin_with("begin isolation level repeatable read read only")
                .await?
                .into(),
        })
    }

    /// A transaction that writes. On SQLite there is one at a time, and others wait for it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn write(&self) -> Result<Session> {
        Ok(match &self.connections {
            Connections::Sqlite { writer, .. } => writer.begin_with("begin immediate").await?.into(),
            Connections::Postgres(pool) => pool.begin().await?.into(),
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

    /// The names of the tables in it, found without writing anything: a file that is not there has none.
    pub(crate) async fn tables(&self) -> Result<Vec<String>> {
        match (&self.connections, &self.location) {
            (Connections::Sqlite { .. }, Location::Sqlite(path)) => {
                if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
                    return Ok(Vec::new());
                }
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .read_only(true)
                    .busy_timeout(PATIENCE);
                let mut connection = options.connect().await?;
                let tables = "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'";
                let rows = connection.fetch_all(tables).await?;
                connection.close().await?;
                Ok(rows
                    .iter()
                    .map(|row| row.try_get("name"))
                    .collect::<Result<_, _>>()?)
            }
            (Connections::Postgres(pool), _) => {
                let tables = "select table_name::text as name from information_schema.tables \
                              where table_schema = current_schema()";
                let rows = pool.fetch_all(tables).await?;
                Ok(rows
                    .iter()
                    .map(|row| row.try_get("name"))
                    .collect::<Result<_, _>>()?)
            }
            (Connections::Sqlite { .. }, Location::Postgres(_)) => unreachable!("open() made them fit"),
        }
    }

    /// Makes the file of an embedded database, when there is none: the group may write what this process' umask leaves
    /// it, and SQLite gives its journals the rights of the file. By itself it would leave the group out, and a
    /// container that runs under another uid of the same group could not go on with the volume.
    pub(crate) fn make_file(&self) -> Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let Location::Sqlite(path) = &self.location else {
            return Ok(());
        };
        let mut options = std::fs::OpenOptions::new();
        let made = options.append(true).create(true).mode(0o660).open(path);
        made.map(drop).map_err(|error| Error::Unavailable {
            message: format!("{} cannot be made or written: {error}", self.location),
        })
    }

    /// Keeps a copy of an embedded database beside it, `mantle.db.schema-7`, and gives its path. None on PostgreSQL,
    /// whose operators have their own backups. A copy of that name from an earlier attempt is replaced.
    pub(crate) async fn keep_copy(&self, number: i64) -> Result<Option<PathBuf>> {
        let (Connections::Sqlite { writer, .. }, Location::Sqlite(path)) =
            (&self.connections, &self.location)
        else {
            return Ok(None);
        };
        let failed = |path: &Path, error: std::io::Error| Error::Copy {
            path: path.display().to_string(),
            message: error.to_string(),
        };
        let copy = beside(path, &format!(".schema-{number}"));
        let unfinished = beside(path, &format!(".schema-{number}.unfinished"));
        match std::fs::remove_file(&unfinished) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&unfinished, error)),
        }
        let target = unfinished.to_str().ok_or_else(|| Error::Copy {
            path: unfinished.display().to_string(),
            message: "the path is not UTF-8".into(),
        })?;
        sqlx::query("vacuum into $1").bind(target).execute(writer).await?;
        let as_the_database = std::fs::metadata(path).map_err(|error| failed(path, error))?;
        // Some volumes know no rights; the copy is whole without them.
        if let Err(error) = std::fs::set_permissions(&unfinished, as_the_database.permissions()) {
            tracing::info!(%error, "the copy of the database keeps its own rights");
        }
        std::fs::File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .map_err(|error| failed(&unfinished, error))?;
        std::fs::rename(&unfinished, &copy).map_err(|error| failed(&copy, error))?;
        Ok(Some(copy))
    }
}

/// A file beside another: its name and an ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn open_file(path: &Path, location: &Location) -> Result<Connections> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(Error::Unavailable {
            message: format!("{location} cannot be opened: its folder does not exist"),
        });
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE);
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(PATIENCE);
    Ok(Connections::Sqlite {
        writer: writer.connect_lazy_with(options.clone()),
        readers: readers.connect_lazy_with(options.pragma("query_only", "on")),
    })
}

/// One connection is tried by itself, because a pool would try again and again and then not say why.
async fn open_server(url: &str) -> Result<Connections, String> {
    let options = postgres_options(url).map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, options.connect()).await {
        Ok(Ok(connection)) => connection.close().await.map_err(|error| error.to_string())?,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
    }
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE);
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async move {
            let timeout = format!("set statement_timeout = '{STATEMENT_TIMEOUT}'");
            connection.execute(sqlx::AssertSqlSafe(timeout)).await.map(drop)
        })
    });
    Ok(Connections::Postgres(pool.connect_lazy_with(options)))
}

fn postgres_options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name("mantle"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_shown_without_its_password() {
        let location = Location::Postgres("postgres://mantle:hunter2@db:5433/deploy".into());
        assert_eq!(
            location.to_string(),
            "the PostgreSQL database 'deploy' at db:5433"
        );
        assert!(!format!("{location:?}").contains("hunter2"));
    }
}
