#![doc = include_str!("README.md")]

pub mod agent;
mod command;
mod command_line;
mod configuration;
mod durable_file;
mod failure;
mod file_transfer;
mod free_space;
mod instance;
mod log_file;
mod machine_key;
mod output;
mod registration;
mod script;
mod settings_file;
mod surroundings;
mod trusted_server;

pub use command::run;
pub use log_file::LogFile;
pub use output::Output;
pub use surroundings::Surroundings;
