//! Locks between programs: one migrates a schema, one node has a name.
//!
//! On SQLite both are the same lock on the file `mantle.db.lock`, because an embedded database belongs to one program
//! at a time. On PostgreSQL they are session advisory locks, each on a connection of its own. Both end with the program
//! that holds them, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row as _};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Connections, Database, Location, beside, postgres_options};
use crate::{Error, Result};

/// How often a waiting program looks again.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// How often the connection that holds a lock is asked whether it lives, and how long it may take to answer.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// So that the server notices within some 15 s that a host is gone and frees its locks.
const KEEP_ALIVE: &str =
    "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 3; set tcp_keepalives_count = 3";

/// A held lock. It is given back when this is dropped, at once on SQLite, a moment later on PostgreSQL.
pub struct Lock {
    held: Held,
    lost: CancellationToken,
}

enum Held {
    File(File),
    Session {
        _stop: DropGuard,
        task: tokio::task::JoinHandle<()>,
    },
}

impl Lock {
    /// Is cancelled when the lock was lost without being given back: the connection to PostgreSQL broke. Who holds the
    /// lock must then stop all work that depends on it.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Gives the lock back and waits until it is free.
    pub async fn release(self) {
        match self.held {
            Held::File(file) => drop(file),
            Held::Session { _stop, task } => {
                drop(_stop);
                if let Err(error) = task.await {
                    tracing::warn!("the task that held a lock of the database failed: {error}");
                }
            }
        }
    }
}

impl Database {
    /// Takes the lock under which schemas are made and migrated, waiting as long as `wait`.
    ///
    /// # Errors
    /// [`Error::Locked`] when another program still holds it.
    pub async fn lock_schema(&self, wait: Duration) -> Result<Lock> {
        self.lock(
            "mantle/schema",
            "Another program prepares or serves this database",
            wait,
        )
        .await
    }

    /// Takes the lock on a node's name, waiting as long as `wait` for a predecessor that is about to end. On SQLite no
    /// second node of any name can live.
    ///
    /// # Errors
    /// [`Error::Locked`] when another live node has the name.
    pub async fn lock_node(&self, name: &str, wait: Duration) -> Result<Lock> {
        let refusal = match self.location {
            Location::Sqlite(_) => "Another program prepares or serves this embedded database".into(),
            Location::Postgres(_) => {
                format!("Another live node has the name '{name}'; give this one another NODE_NAME")
            }
        };
        self.lock(&node_lock(name), &refusal, wait).await
    }

    /// Which of these names no live node holds. On SQLite: all of them, because only the caller's own node lives.
    pub(crate) async fn names_without_node(&self, names: Vec<String>) -> Result<Vec<String>> {
        let Connections::Postgres(pool) = &self.connections else {
            return Ok(names);
        };
        let held = "select ((classid::bigint << 32) | objid::bigint) as key from pg_locks \
                    where locktype = 'advisory' and objsubid = 1 and granted \
                    and database = (select oid from pg_database where datname = current_database())";
        let rows = pool.fetch_all(held).await?;
        let held: Vec<i64> = rows
            .iter()
            .map(|row| row.try_get("key"))
            .collect::<Result<_, _>>()?;
        Ok(names
            .into_iter()
            .filter(|name| !held.contains(&key(&node_lock(name))))
            .collect())
    }

    async fn lock(&self, name: &str, refusal: &str, wait: Duration) -> Result<Lock> {
        let until = Instant::now() + wait;
        match &self.location {
            Location::Sqlite(path) => {
                let path = beside(path, ".lock");
                loop {
                    match lock_file(&path)? {
                        Ok(file) => {
                            return Ok(Lock {
                                held: Held::File(file),
                                lost: CancellationToken::new(),
                            });
                        }
                        Err(holder) if Instant::now() >= until => {
                            let path = path.display();
                            return Err(Error::Locked(format!(
                                "{refusal}: process {holder} holds {path}. Stop it first."
                            )));
                        }
                        Err(_) => tokio::time::sleep(TRY_AGAIN).await,
                    }
                }
            }
            Location::Postgres(url) => {
                let mut connection = PgConnection::connect_with(&postgres_options(url)?).await?;
                connection.execute(KEEP_ALIVE).await?;
                while !try_lock(&mut connection, key(name)).await? {
                    if Instant::now() >= until {
                        return Err(Error::Locked(format!(
                            "{refusal}. Stop it first, or wait until it has ended."
                        )));
                    }
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                Ok(hold(connection))
            }
        }
    }
}

fn node_lock(name: &str) -> String {
    format!("mantle/node/{name}")
}

/// Advisory locks have numbers, not names.
fn key(name: &str) -> i64 {
    let digest = Sha256::digest(name.as_bytes());
    let (first, _) = digest.split_first_chunk::<8>().expect("a SHA-256 has 32 bytes");
    i64::from_be_bytes(*first)
}

async fn try_lock(connection: &mut PgConnection, key: i64) -> Result<bool> {
    let row = sqlx::query("select pg_try_advisory_lock($1) as taken")
        .bind(key)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get("taken")?)
}

/// Keeps the connection, and looks after it until it is to be given back.
fn hold(mut connection: PgConnection) -> Lock {
    let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
    let guard = stop.clone().drop_guard();
    let noticed = lost.clone();
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            let answer = tokio::time::timeout(HEARTBEAT, connection.ping()).await;
            if !matches!(answer, Ok(Ok(()))) {
                tracing::error!("the connection that holds a lock of the database broke; the lock is lost");
                noticed.cancel();
                return;
            }
        }
        if let Err(error) = connection.close().await {
            tracing::warn!("a connection of the database did not close well: {error}");
        }
    });
    Lock {
        held: Held::Session { _stop: guard, task },
        lost,
    }
}

/// The locked file, or who holds it.
fn lock_file(path: &Path) -> Result<Result<File, String>> {
    let failed = |error: std::io::Error| Error::Unavailable {
        message: format!("the lock file {} cannot be used: {error}", path.display()),
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            // Only for people who wonder who holds it.
            file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
            write!(file, "{}", std::process::id()).map_err(failed)?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.take(20).read_to_string(&mut holder).map_err(failed)?;
            Ok(Err(if holder.is_empty() {
                "unknown".into()
            } else {
                holder
            }))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
