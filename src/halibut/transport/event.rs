use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::Thumbprint;
use crate::protocol::subscription::Subscription;

/// Hears what happens, to write it to a log. Must not block.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// Something that an operator may want to know. `Display` is the line for the log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A listener is open.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A trusted peer has opened a connection.
    Accepted {
        /// From where.
        peer: SocketAddr,
        /// Who.
        thumbprint: Thumbprint,
        /// Whose requests it takes, when it is a polling agent.
        subscription: Option<Subscription>,
    },
    /// A peer was turned away.
    Refused {
        /// From where.
        peer: SocketAddr,
        /// Who, if it showed a certificate.
        thumbprint: Option<Thumbprint>,
        /// Why.
        reason: String,
    },
    /// A trusted agent asked for the requests of another.
    SubscriptionRefused {
        /// From where.
        peer: SocketAddr,
        /// Who.
        thumbprint: Thumbprint,
        /// What it asked for.
        subscription: Subscription,
    },
    /// A conversation ended in an unusual way.
    Broken {
        /// With whom.
        peer: String,
        /// Why.
        reason: String,
    },
    /// A polling agent was accepted by its Server.
    PollingConnected {
        /// Which.
        server: String,
    },
    /// A polling agent has no connection and will try again.
    PollingFailed {
        /// Which.
        server: String,
        /// Why not.
        reason: String,
        /// After how long it will.
        retry_in: Duration,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening { address } => write!(formatter, "Listening on {address}"),
            Event::Accepted {
                peer,
                thumbprint,
                subscription: None,
            } => {
                write!(
                    formatter,
                    "{peer} with the certificate {thumbprint} has connected"
                )
            }
            Event::Accepted {
                peer,
                thumbprint,
                subscription: Some(subscription),
            } => {
                write!(
                    formatter,
                    "{peer} with the certificate {thumbprint} polls for {subscription}"
                )
            }
            Event::Refused {
                peer,
                thumbprint: Some(thumbprint),
                reason,
            } => {
                write!(
                    formatter,
                    "{peer} with the certificate {thumbprint} was turned away: {reason}"
                )
            }
            Event::Refused {
                peer,
                thumbprint: None,
                reason,
            } => write!(formatter, "{peer} was turned away: {reason}"),
            Event::SubscriptionRefused {
                peer,
                thumbprint,
                subscription,
            } => write!(
                formatter,
                "{peer} with the certificate {thumbprint} was turned away: it asked for {subscription}, which is not its own"
            ),
            Event::Broken { peer, reason } => write!(formatter, "The connection with {peer} broke: {reason}"),
            Event::PollingConnected { server } => {
                write!(formatter, "Connected to {server}, waiting for requests")
            }
            Event::PollingFailed {
                server,
                reason,
                retry_in,
            } => write!(
                formatter,
                "No connection to {server}: {reason}. Trying again in {} s",
                retry_in.as_secs_f32().round()
            ),
        }
    }
}

/// An observer that hears nothing.
pub(crate) fn nobody() -> Observer {
    Arc::new(|_| {})
}
