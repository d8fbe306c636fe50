use std::time::Duration;

use crate::data_stream::Spool;
use crate::protocol::Limits;
use crate::service::KnownTypes;

/// What holds for every conversation of a listener or client.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Bounds on what the peer sends.
    pub limits: Limits,
    /// Where received streams wait.
    pub spool: Spool,
    /// The `$type` names that the peer may use.
    pub known_types: KnownTypes,
}

/// How long to wait for what. The defaults are those of a current agent (`tentacle-protocol.md` 9.2); where
/// the specification of ours is stricter, they are stricter.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// The TLS handshake as a whole, and after it the opening lines as a whole, of a peer that is not yet
    /// known.
    pub handshake: Duration,
    /// Each read of a message or stream after its first byte.
    pub read: Duration,
    /// Each write.
    pub write: Duration,
    /// First byte of a response: as long as a method may take.
    pub response: Duration,
    /// First byte of the next request or heartbeat, for a polling agent.
    pub polled_request: Duration,
    /// First byte of the next request, for a listening agent.
    pub request: Duration,
    /// NEXT or END after a response, for a listening agent.
    pub idle: Duration,
    /// NEXT after a response, for a Server.
    pub next: Duration,
    /// PROCEED after NEXT.
    pub proceed: Duration,
    /// Opening a TCP connection.
    pub connect: Duration,
    /// How long a connection is kept for the next call. Agents close theirs after a minute.
    pub pooled: Duration,
    /// How long a Server lets a polling agent wait before it sends a heartbeat.
    pub heartbeat: Duration,
    /// How long a request waits until a polling agent takes it.
    pub pick_up: Duration,
    /// Pause between attempts to connect.
    pub attempt_pause: Duration,
    /// No attempt to connect begins after this.
    pub attempts_total: Duration,
    /// How often to try to connect.
    pub attempts: u32,
    /// Shortest and longest pause of a polling agent between two rounds of attempts.
    pub redial: (Duration, Duration),
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
            response: Duration::from_secs(300),
            polled_request: Duration::from_secs(60),
            request: Duration::from_secs(600),
            idle: Duration::from_secs(60),
            next: Duration::from_secs(60),
            proceed: Duration::from_secs(60),
            connect: Duration::from_secs(60),
            pooled: Duration::from_secs(50),
            heartbeat: Duration::from_secs(30),
            pick_up: Duration::from_secs(120),
            attempt_pause: Duration::from_secs(1),
            attempts_total: Duration::from_secs(300),
            attempts: 5,
            redial: (Duration::from_secs(5), Duration::from_secs(120)),
        }
    }
}
