//! Sockets and TLS.

mod admission;
mod certificate;
mod client;
mod connect;
mod discovery;
mod event;
mod friendly_page;
mod listener;
mod polling_client;
mod socket;
mod tls;

pub use client::Client;
pub use discovery::{DiscoveryError, discover};
pub use event::{Event, Observer};
pub use listener::{Answering, BindError, Listener, ListenerOptions};
pub use polling_client::{PollingClient, PollingOptions, PollingState};
