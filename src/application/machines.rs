//! What a use case needs from a machine at once; `engine` implements it.

use async_trait::async_trait;

/// What a look at an address found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The thumbprint of the certificate that the agent there shows: 40 upper-case hex digits.
    pub thumbprint: String,
}

/// Whether the agent that a machine names answers now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It answered, or it holds a live polling session.
    Answers,
    /// Nothing answered within the time given.
    Silent,
}

/// Looks at machines while a request waits (`containers.md` 3.3, `rest-api.md` 4.12).
#[async_trait]
pub trait Machines: Send + Sync {
    /// Connects to a listening agent and notes its thumbprint, trusting nothing.
    ///
    /// # Errors
    /// A sentence that says what did not answer and why.
    async fn discover(&self, host: &str, port: u16) -> Result<Discovered, String>;

    /// Asks the machine at this address for an answer, for at most five seconds.
    async fn probe(&self, uri: &str, thumbprint: &str) -> Probe;

    /// Machines were added, edited or removed: trust and polling queues follow.
    async fn changed(&self);
}
