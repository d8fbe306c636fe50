#![doc = include_str!("README.md")]

mod agent;
mod connection_string;
mod environment;
mod example;
mod exit_code;
mod problem;
mod secret;
mod server;
mod table;
mod value;
mod version;

pub use agent::{AgentSettings, CommunicationMode, Credential, PublicHostName};
pub use connection_string::{ConnectionStringError, DatabaseTarget, PostgresTarget};
pub use environment::{Environment, Note, NoteLevel};
pub use example::example;
pub use exit_code::ExitCode;
pub use problem::Problems;
pub use secret::{MASK, SecretValue};
pub use server::{
    Administrator, Folders, LogFormat, MasterKeyLog, NodeName, SAMPLE_PASSWORD, ServerSettings, TlsFiles,
};
pub use table::{Program, Setting, State, TABLE, is_setting};
pub use version::product_version;
