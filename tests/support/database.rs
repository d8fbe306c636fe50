//! A database for one story, on either engine.

use std::path::{Path, PathBuf};
use std::process::Command;

use security::{KeyRing, MasterKey, StoredRing, token};
use storage::{Database, Engine, Location, schema};
use tempfile::TempDir;

/// The URL of a PostgreSQL cluster where stories may make databases of their own.
pub const POSTGRES: &str = "MANTLE_TEST_POSTGRES";
/// The time at which the databases of stories are made, in milliseconds since 1970 UTC.
pub const NOW: i64 = 1_767_225_600_000;

/// An empty database that is gone when this is dropped.
pub struct TestDatabase {
    /// Where it is.
    pub location: Location,
    folder: TempDir,
    cluster: Option<(String, String)>,
}

impl TestDatabase {
    /// A database on an engine. None: it is PostgreSQL, and no cluster was named.
    #[must_use]
    pub fn on(engine: Engine) -> Option<Self> {
        let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
        match engine {
            Engine::Sqlite => {
                let location = Location::Sqlite(folder.path().join("mantle.db"));
                Some(Self {
                    location,
                    folder,
                    cluster: None,
                })
            }
            Engine::Postgres => {
                let cluster = std::env::var(POSTGRES).ok().filter(|url| !url.is_empty())?;
                let name = format!("mantle_story_{}", token::identifier());
                psql(&cluster, &format!("create database {name}"));
                let location = Location::Postgres(with_database(&cluster, &name));
                Some(Self {
                    location,
                    folder,
                    cluster: Some((cluster, name)),
                })
            }
        }
    }

    /// The folder of an embedded database; an empty one for PostgreSQL.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Opens it as it is.
    pub async fn open(&self) -> Database {
        Database::open(&self.location).await.expect("the database opens")
    }

    /// Makes schema and key ring, and opens it.
    pub async fn created(&self) -> (Database, KeyRing) {
        let database = self.open().await;
        let master = MasterKey::generate();
        let ring = StoredRing::generate(&master, "an-installation", NOW);
        schema::create(&database, &ring, "1.0.0", NOW)
            .await
            .expect("an empty database takes the schema");
        (
            database,
            KeyRing::unlock(&master, &ring).expect("a new ring opens"),
        )
    }

    /// Fills it with a kept database, a folder of `tests/fixtures/schema`.
    ///
    /// # Panics
    /// When the folder has none for this engine.
    pub fn load(&self, kept: &Path) {
        let unpacked = |name: &str| {
            let output = Command::new("gzip").arg("-dc").arg(kept.join(name)).output();
            let output = output.expect("gzip, a part of every system, can be started");
            assert!(
                output.status.success(),
                "{}/{name} cannot be read",
                kept.display()
            );
            output.stdout
        };
        match &self.location {
            Location::Sqlite(path) => std::fs::write(path, unpacked("mantle.db.gz")).expect("our own folder"),
            Location::Postgres(url) => {
                let file = self.folder.path().join("kept.sql");
                std::fs::write(&file, unpacked("postgres.sql.gz")).expect("our own folder");
                run_psql(url, &["-f", &file.to_string_lossy()]);
            }
        }
    }

    /// Lets PostgreSQL carry out what no transaction can hold.
    ///
    /// # Panics
    /// When it is not on PostgreSQL.
    pub fn psql(&self, sql: &str) {
        let Location::Postgres(url) = &self.location else {
            panic!("{} has no psql", self.location)
        };
        psql(url, sql);
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some((cluster, name)) = &self.cluster {
            psql(cluster, &format!("drop database if exists {name} with (force)"));
        }
    }
}

/// The URL of another database of the same cluster.
fn with_database(cluster: &str, name: &str) -> String {
    let (before, options) = cluster
        .split_once('?')
        .map_or((cluster, String::new()), |(a, b)| (a, format!("?{b}")));
    let scheme = before.find("://").map_or(0, |at| at + 3);
    let host_ends = before[scheme..].find('/').map_or(before.len(), |at| scheme + at);
    format!("{}/{name}{options}", &before[..host_ends])
}

fn psql(url: &str, sql: &str) {
    run_psql(url, &["-c", sql]);
}

fn run_psql(url: &str, what: &[&str]) {
    let output = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url])
        .args(what)
        .output();
    let output = output.expect("psql, a part of every PostgreSQL client, can be started");
    assert!(
        output.status.success(),
        "{what:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Declares stories that run on both engines: `async fn name(database: TestDatabase) { … }` becomes the tests
/// `name::sqlite` and `name::postgres`. Without a cluster in `MANTLE_TEST_POSTGRES` the latter says so and does nothing;
/// the test command always names one and counts.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident: TestDatabase) $story:block)*) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn story($database: $crate::database::TestDatabase) $story

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                story($crate::database::TestDatabase::on(storage::Engine::Sqlite).expect("it is built in")).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                match $crate::database::TestDatabase::on(storage::Engine::Postgres) {
                    Some(database) => story(database).await,
                    None => eprintln!("{} names no cluster: this story ran on SQLite only", $crate::database::POSTGRES),
                }
            }
        }
    )*};
}
