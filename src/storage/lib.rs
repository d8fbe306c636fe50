#![doc = include_str!("README.md")]

pub mod counter;
pub mod database;
pub mod environment;
mod error;
pub mod event;
pub mod feed;
pub mod lifecycle;
pub mod machine;
pub mod machine_policy;
pub mod named;
pub mod project_group;
pub mod schema;
pub mod space;
pub mod user;

pub use database::{Database, Engine, Location, Row, Session, Value};
pub use error::Error;

/// The result of work on the database.
pub type Result<T> = std::result::Result<T, Error>;

/// Declares the statements of a file and lists them, so that a test can prepare each on both engines.
#[macro_export]
macro_rules! statements {
    ($($name:ident = $sql:expr;)*) => {
        $(const $name: &str = $sql;)*

        /// Every statement of this file, by name.
        pub const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name),)*];
    };
}

/// Every statement of every file: file, name, text.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static str, &'static str)> {
    let files: &[(&'static str, &'static [(&'static str, &'static str)])] = &[
        ("counter", counter::STATEMENTS),
        ("environment", environment::STATEMENTS),
        ("event", event::STATEMENTS),
        ("feed", feed::STATEMENTS),
        ("lifecycle", lifecycle::STATEMENTS),
        ("machine", machine::STATEMENTS),
        ("machine_policy", machine_policy::STATEMENTS),
        ("project_group", project_group::STATEMENTS),
        ("space", space::STATEMENTS),
        ("user", user::STATEMENTS),
    ];
    files
        .iter()
        .flat_map(|(file, statements)| statements.iter().map(move |(name, sql)| (*file, *name, *sql)))
        .collect()
}
