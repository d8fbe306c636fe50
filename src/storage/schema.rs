//! The tables and how they came to be: numbered migrations, each in one transaction, under a lock.

use std::path::PathBuf;

use security::StoredRing;

use crate::database::{Database, Engine, Session};
use crate::{Error, Result, key_ring};

/// One step of the schema. Most have one text for both engines.
struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("migrations/", $name, ".sql")),
            postgres: include_str!(concat!("migrations/", $name, ".sql")),
        }
    };
    ($number:literal, $name:literal, twins) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("migrations/", $name, ".sqlite.sql")),
            postgres: include_str!(concat!("migrations/", $name, ".postgres.sql")),
        }
    };
}

/// All of them in order. What was released is never edited; a change is a new one.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_foundation"),
    migration!(2, "0002_identity"),
    migration!(3, "0003_event", twins),
    migration!(4, "0004_named"),
    migration!(5, "0005_machine"),
    migration!(6, "0006_project"),
    migration!(7, "0007_release"),
    migration!(8, "0008_package"),
    migration!(9, "0009_certificate"),
    migration!(10, "0010_artifact"),
];

/// The table that tells our databases from others.
const MARK: &str = "mantle_schema";
const CREATE_MARK: &str = "create table mantle_schema (number bigint not null primary key, name text not null, \
                           product text not null, applied_at bigint not null)";
const NEWEST: &str = "select number, product from mantle_schema order by number desc limit 1";
const NOTE: &str = "insert into mantle_schema (number, name, product, applied_at) values ($1, $2, $3, $4)";

/// What a database turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Without any table.
    Empty,
    /// Ours, with the schema of this program.
    Current,
    /// Ours, older than this program.
    Older {
        /// The newest migration in it.
        number: i64,
    },
}

/// The newest schema that this program knows.
#[must_use]
pub fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// Looks at a database and writes nothing.
///
/// # Errors
/// [`Error::Newer`] and [`Error::Foreign`].
pub async fn inspect(database: &Database) -> Result<State> {
    let tables = database.tables().await?;
    if tables.is_empty() {
        return Ok(State::Empty);
    }
    if !tables.iter().any(|table| table == MARK) {
        return Err(Error::Foreign);
    }
    let row = database.read().await?.fetch_one(NEWEST, vec![]).await?;
    let (found, known) = (row.integer("number")?, newest());
    match found.cmp(&known) {
        std::cmp::Ordering::Greater => Err(Error::Newer {
            found,
            product: row.text("product")?,
            known,
        }),
        std::cmp::Ordering::Equal => Ok(State::Current),
        std::cmp::Ordering::Less => Ok(State::Older { number: found }),
    }
}

/// Makes the schema in an empty database, together with its key ring, in one transaction: there is never a database
/// without its key. To be called under [`Database::lock_schema`], after the master key is safe.
///
/// # Errors
/// [`Error::Migration`]; then the database is as empty as it was. [`Error::Foreign`] when it is not empty.
pub async fn create(database: &Database, ring: &StoredRing, product: &str, now: i64) -> Result<()> {
    if inspect(database).await? != State::Empty {
        return Err(Error::Foreign);
    }
    database.make_file()?;
    let mut session = database.write().await?;
    session.run_script(CREATE_MARK).await?;
    apply(&mut session, MIGRATIONS, product, now).await?;
    key_ring::insert(&mut session, ring).await?;
    session.commit().await
}

/// Brings an older database to the newest schema, in one transaction, and first keeps a copy of an embedded one, whose
/// path is the answer. To be called under [`Database::lock_schema`], after the master key was checked.
///
/// # Errors
/// [`Error::Copy`] and [`Error::Migration`]; then the database is as it was.
pub async fn migrate(database: &Database, product: &str, now: i64) -> Result<Option<PathBuf>> {
    let from = match inspect(database).await? {
        State::Current => return Ok(None),
        State::Empty => return Err(Error::Foreign),
        State::Older { number } => number,
    };
    let newer = MIGRATIONS
        .iter()
        .position(|migration| migration.number > from)
        .unwrap_or(MIGRATIONS.len());
    migrate_by(database, &MIGRATIONS[newer..], from, product, now).await
}

async fn migrate_by(
    database: &Database,
    migrations: &[Migration],
    from: i64,
    product: &str,
    now: i64,
) -> Result<Option<PathBuf>> {
    let copy = database.keep_copy(from).await?;
    let mut session = database.write().await?;
    apply(&mut session, migrations, product, now).await?;
    session.commit().await?;
    Ok(copy)
}

async fn apply(session: &mut Session, migrations: &[Migration], product: &str, now: i64) -> Result<()> {
    for migration in migrations {
        let failed = |error: Error| Error::Migration {
            migration: migration.name,
            message: error.to_string(),
        };
        let script = match session.engine() {
            Engine::Sqlite => migration.sqlite,
            Engine::Postgres => migration.postgres,
        };
        session.run_script(script).await.map_err(failed)?;
        let values = vec![
            migration.number.into(),
            migration.name.into(),
            product.into(),
            now.into(),
        ];
        session.execute(NOTE, values).await.map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use security::MasterKey;

    use super::*;
    use crate::Location;

    #[test]
    fn migrations_are_numbered_without_a_gap_and_named_by_their_number() {
        for (number, migration) in (1..).zip(MIGRATIONS) {
            assert_eq!(migration.number, number);
            assert!(
                migration.name.starts_with(&format!("{number:04}_")),
                "{}",
                migration.name
            );
        }
    }

    /// A database with the first migration only, as the first version would have left it.
    async fn old_database(path: PathBuf) -> Database {
        let database = Database::open(&Location::Sqlite(path)).await.unwrap();
        let ring = StoredRing::generate(&MasterKey::generate(), "an-installation", 0);
        let mut session = database.write().await.unwrap();
        session.run_script(CREATE_MARK).await.unwrap();
        apply(&mut session, &MIGRATIONS[..1], "0.9.0", 0).await.unwrap();
        key_ring::insert(&mut session, &ring).await.unwrap();
        session.commit().await.unwrap();
        database
    }

    #[tokio::test]
    async fn an_older_database_is_copied_and_then_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mantle.db");
        let database = old_database(path.clone()).await;
        assert_eq!(inspect(&database).await.unwrap(), State::Older { number: 1 });
        std::fs::write(
            folder.path().join("mantle.db.schema-1.unfinished"),
            "from a try that broke off",
        )
        .unwrap();

        let copy = migrate(&database, "1.0.0", 0).await.unwrap().unwrap();
        assert_eq!(copy, folder.path().join("mantle.db.schema-1"));
        assert_eq!(inspect(&database).await.unwrap(), State::Current);
        let copied = Database::open(&Location::Sqlite(copy)).await.unwrap();
        assert_eq!(inspect(&copied).await.unwrap(), State::Older { number: 1 });
        let ring = key_ring::load(&mut copied.read().await.unwrap()).await.unwrap();
        assert_eq!(
            ring,
            key_ring::load(&mut database.read().await.unwrap()).await.unwrap()
        );
        assert!(!folder.path().join("mantle.db.schema-1.unfinished").exists());
    }

    #[tokio::test]
    async fn a_migration_that_fails_leaves_the_database_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let database = old_database(folder.path().join("mantle.db")).await;
        let broken = [
            Migration {
                number: 2,
                name: "0002_good",
                sqlite: "create table good (id text);",
                postgres: "",
            },
            Migration {
                number: 3,
                name: "0003_bad",
                sqlite: "create table more (id text); create nonsense;",
                postgres: "",
            },
        ];
        let error = migrate_by(&database, &broken, 1, "1.0.0", 0).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Migration {
                    migration: "0003_bad",
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(inspect(&database).await.unwrap(), State::Older { number: 1 });
        let tables = database.tables().await.unwrap();
        assert!(
            !tables.iter().any(|table| table == "good" || table == "more"),
            "{tables:?}"
        );
    }
}
