#![doc = include_str!("README.md")]

pub mod capabilities;
pub mod file_transfer;
pub mod script_service;
pub mod script_ticket;
pub mod service_message;
pub mod variables_file;

mod fields;
mod time_span;

pub use file_transfer::{FileTransferService, UploadResult};
pub use script_service::{
    IsolationLevel, OutputSource, ProcessOutput, ProcessState, ScriptFile, ScriptService, ScriptStatus,
    ScriptType, StartScriptCommand,
};
pub use script_ticket::{ScriptTicket, ScriptTicketError};
pub use service_message::ServiceMessage;
