#![doc = include_str!("README.md")]

mod data_stream;
pub mod dialogue;
mod identity;
pub mod protocol;
pub mod rpc;
mod service;
pub mod transport;

pub use data_stream::{DataStream, Spool};
pub use dialogue::{Settings, Timeouts};
pub use identity::{Identity, IdentityError, Thumbprint};
pub use protocol::message::{RequestMessage, ResponseMessage, ServerError, ServerErrorKind};
pub use protocol::subscription::Subscription;
pub use protocol::value::{Document, Value};
pub use rpc::{CallError, Caller, Endpoint, ListeningUri, Subscriptions, Trust, TrustList};
pub use service::{KnownTypes, Service, ServiceError};
pub use transport::{
    Answering, Client, Event, Listener, ListenerOptions, Observer, PollingClient, PollingOptions,
    PollingState,
};
