#![doc = include_str!("README.md")]

mod data_stream;
mod identity;
pub mod protocol;
mod service;

pub use data_stream::{DataStream, Spool};
pub use identity::{Identity, IdentityError, Thumbprint};
pub use protocol::message::{RequestMessage, ResponseMessage, ServerError};
pub use protocol::subscription::Subscription;
pub use protocol::value::{Document, Value};
pub use service::{KnownTypes, Service, ServiceError};
