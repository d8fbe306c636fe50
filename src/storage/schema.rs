//! The tables and how they came to be: numbered migrations, each in one transaction, under a lock.

use crate::database::{Database, Engine, Session};
use crate::{Error, Result};

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
];

const CREATE_VERSIONS: &str = "create table schema_version (number bigint not null primary key, name text not null, \
                               product text not null, applied_at bigint not null)";

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

/// Looks at a database and writes nothing.
///
/// # Errors
/// [`Error::Newer`] and [`Error::Foreign`].
pub async fn inspect(database: &Database) -> Result<State> {
    let mut session = database.read().await?;
    let tables = tables(&mut session).await?;
    if tables.is_empty() {
        return Ok(State::Empty);
    }
    if !tables.iter().any(|table| table == "schema_version") {
        return Err(Error::Foreign);
    }
    let newest = "select number, product from schema_version order by number desc limit 1";
    let row = session.fetch_one(newest, vec![]).await?;
    let (found, known) = (
        row.integer("number")?,
        MIGRATIONS.last().map_or(0, |migration| migration.number),
    );
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

/// Brings an empty or older database to the newest schema, in one transaction.
///
/// # Errors
/// [`Error::Migration`]; then the database is as it was.
pub async fn migrate(database: &Database, product: &str, now: i64) -> Result<()> {
    let from = match inspect(database).await? {
        State::Current => return Ok(()),
        State::Empty => 0,
        State::Older { number } => number,
    };
    let mut session = database.write().await?;
    if from == 0 {
        session.run_script(CREATE_VERSIONS).await?;
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > from) {
        let failed = |error: Error| Error::Migration {
            migration: migration.name,
            message: error.to_string(),
        };
        let script = match session.engine() {
            Engine::Sqlite => migration.sqlite,
            Engine::Postgres => migration.postgres,
        };
        session.run_script(script).await.map_err(failed)?;
        let note = "insert into schema_version (number, name, product, applied_at) values ($1, $2, $3, $4)";
        let values = vec![
            migration.number.into(),
            migration.name.into(),
            product.into(),
            now.into(),
        ];
        session.execute(note, values).await.map_err(failed)?;
    }
    session.commit().await
}

async fn tables(session: &mut Session) -> Result<Vec<String>> {
    let sql = match session.engine() {
        Engine::Sqlite => "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'",
        Engine::Postgres => {
            "select table_name::text as name from information_schema.tables where table_schema = current_schema()"
        }
    };
    session
        .fetch_all(sql, vec![])
        .await?
        .iter()
        .map(|row| row.text("name"))
        .collect()
}
