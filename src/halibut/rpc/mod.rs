//! Calls: one way to make them for both modes, the queue of a polling agent, and who is trusted.

mod call_error;
mod caller;
mod endpoint;
mod pending_request_queue;
mod subscriptions;
mod trust;

pub use call_error::{CallError, Stage};
pub use caller::Caller;
pub use endpoint::{Endpoint, EndpointError, ListeningUri};
pub use pending_request_queue::{PendingRequestQueue, QueueError, Reply, Taken};
pub use subscriptions::{Session, SubscriptionState, Subscriptions};
pub use trust::{Trust, TrustList};
