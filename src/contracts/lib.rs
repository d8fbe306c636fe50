#![doc = include_str!("README.md")]

mod agent_client;
mod agent_services;
pub mod capabilities;
pub mod file_transfer;
pub mod script_service;
pub mod script_service_v1;
mod script_ticket;
pub mod service_message;
pub mod variables_file;

mod fields;
mod time_span;

pub use agent_client::{AgentClient, AgentError, CapabilityCache};
pub use agent_services::{AgentServices, KNOWN_TYPES};
pub use capabilities::Capabilities;
pub use fields::ShapeError;
pub use file_transfer::{FileTransferService, UploadResult};
pub use script_service::{
    IsolationLevel, OutputSource, Password, ProcessOutput, ProcessState, ScriptFile, ScriptService,
    ScriptStatus, ScriptType, StartScriptCommand,
};
pub use script_ticket::{ScriptTicket, ScriptTicketError};
pub use service_message::ServiceMessage;
