//! How a script gets to where it runs: to an agent over Halibut, or to this very machine.

pub mod local_worker;
pub mod retry;
pub mod tentacle;

use std::sync::Arc;

use async_trait::async_trait;
use contracts::CapabilityCache;
use contracts::{ScriptStatus, ScriptTicket, StartScriptCommand, UploadResult};
use domain::machine::Connection;
use halibut::{Caller, DataStream};
use tokio_util::sync::CancellationToken;

pub use local_worker::LocalWorker;
pub use tentacle::Tentacle;

/// Why a call got no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nobody answered: the call was certainly not carried out.
    #[error("{0}")]
    Connecting(String),
    /// The connection broke: the call may have been carried out.
    #[error("{0}")]
    Interrupted(String),
    /// Somebody else answered: the certificate is not the one that is trusted.
    #[error("{0}")]
    Identity(String),
    /// The agent answered that it cannot or will not.
    #[error("{0}")]
    Refused(String),
    /// We gave up: the task was cancelled or its lease was lost.
    #[error("The call was given up.")]
    Cancelled {
        /// Whether the call may have been carried out.
        may_have_run: bool,
    },
}

impl TransportError {
    /// Whether the same call can succeed a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Connecting(_) | Self::Interrupted(_))
    }

    /// Whether the call may have been carried out.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        matches!(
            self,
            Self::Interrupted(_) | Self::Cancelled { may_have_run: true }
        )
    }
}

/// The ways to everything that runs scripts.
#[derive(Clone)]
pub struct Transports {
    /// Calls agents.
    pub caller: Arc<Caller>,
    /// What agents said they can do.
    pub capabilities: Arc<CapabilityCache>,
    /// The Server as its own worker; None when that is not allowed.
    pub local: Option<LocalWorker>,
}

impl Transports {
    /// The way to a machine, or to the Server itself when there is no connection.
    ///
    /// # Errors
    /// A sentence when there is no such way.
    pub fn to(&self, connection: Option<&Connection>) -> Result<Arc<dyn Transport>, String> {
        match (connection, &self.local) {
            (Some(connection), _) => Ok(Arc::new(Tentacle::new(
                self.caller.clone(),
                self.capabilities.clone(),
                connection,
            )?)),
            (None, Some(local)) => Ok(Arc::new(local.clone())),
            (None, None) => Err(
                "Scripts may not run on the Server (BUILTIN_WORKER=false), and there are no workers.".into(),
            ),
        }
    }
}

/// The result of one call.
pub type Answer<T> = Result<T, TransportError>;

/// The way to one machine. Every call ends early when `cancel` fires.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Starts a script unless its ticket was started before.
    async fn start(&self, command: &StartScriptCommand, cancel: &CancellationToken) -> Answer<ScriptStatus>;

    /// State, and lines after a number.
    async fn status(
        &self,
        ticket: &ScriptTicket,
        after: i64,
        cancel: &CancellationToken,
    ) -> Answer<ScriptStatus>;

    /// Asks a script to end.
    async fn stop(
        &self,
        ticket: &ScriptTicket,
        after: i64,
        cancel: &CancellationToken,
    ) -> Answer<ScriptStatus>;

    /// Forgets a script and removes what it left in its workspace.
    async fn complete(&self, ticket: &ScriptTicket, cancel: &CancellationToken) -> Answer<()>;

    /// Puts a file on the machine; a relative path is below the agent's home.
    async fn upload(
        &self,
        path: &str,
        contents: &DataStream,
        cancel: &CancellationToken,
    ) -> Answer<UploadResult>;

    /// Fetches a file; None when it is not there.
    async fn download(&self, path: &str, cancel: &CancellationToken) -> Answer<Option<DataStream>>;
}
