#![doc = include_str!("README.md")]

pub mod artifact;
pub mod certificate;
pub mod channel;
pub mod configuration;
pub mod counter;
pub mod database;
pub mod deployment;
pub mod deployment_process;
pub mod environment;
mod error;
pub mod event;
pub mod feed;
pub mod installation;
pub mod journal;
pub mod key_ring;
pub mod lease;
pub mod lifecycle;
pub mod machine;
pub mod machine_policy;
pub mod named;
pub mod node;
pub mod package;
pub mod project;
pub mod project_group;
pub mod release;
pub mod schedule;
pub mod schema;
pub mod server_task;
pub mod space;
pub mod user;
pub mod variable_set;

pub use database::{Database, Engine, Location, Lock, Notifications, Notifier, Row, Session, Value};
pub use error::Error;
pub use lease::Lease;

/// The result of work on the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
        ("artifact", artifact::STATEMENTS),
        ("channel", channel::STATEMENTS),
        ("configuration", configuration::STATEMENTS),
        ("certificate", certificate::STATEMENTS),
        ("counter", counter::STATEMENTS),
        ("deployment", deployment::STATEMENTS),
        ("deployment_process", deployment_process::STATEMENTS),
        ("environment", environment::STATEMENTS),
        ("event", event::STATEMENTS),
        ("feed", feed::STATEMENTS),
        ("installation", installation::STATEMENTS),
        ("journal", journal::STATEMENTS),
        ("key_ring", key_ring::STATEMENTS),
        ("lease", lease::STATEMENTS),
        ("lifecycle", lifecycle::STATEMENTS),
        ("machine", machine::STATEMENTS),
        ("machine_policy", machine_policy::STATEMENTS),
        ("node", node::STATEMENTS),
        ("package", package::STATEMENTS),
        ("project", project::STATEMENTS),
        ("project_group", project_group::STATEMENTS),
        ("release", release::STATEMENTS),
        ("schedule", schedule::STATEMENTS),
        ("server_task", server_task::STATEMENTS),
        ("space", space::STATEMENTS),
        ("user", user::STATEMENTS),
        ("variable_set", variable_set::STATEMENTS),
    ];
    files
        .iter()
        .flat_map(|(file, statements)| statements.iter().map(move |(name, sql)| (*file, *name, *sql)))
        .collect()
}
