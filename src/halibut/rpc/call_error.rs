use crate::dialogue::DialogueError;
use crate::identity::Thumbprint;
use crate::protocol::message::{ServerError, ServerErrorKind};

/// How far a call had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The agent has certainly not executed it.
    Connecting,
    /// The agent may have executed it.
    Transferring,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The agent could not be reached. The call was certainly not executed.
    #[error("could not reach {endpoint}: {reason}")]
    Connecting {
        /// Where to.
        endpoint: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The agent has another certificate than the one it is known by. Nothing was sent.
    #[error(
        "certificate mismatch at {endpoint}: expected {expected}, got {got}; if the agent was given a new \
         certificate, update the thumbprint of the machine"
    )]
    CertificateMismatch {
        /// Where.
        endpoint: String,
        /// The thumbprint that was expected.
        expected: Thumbprint,
        /// The one that was shown.
        got: Thumbprint,
    },
    /// The connection failed after the call had begun. The agent may have executed it.
    #[error("the call to {endpoint} broke off: {reason}; the agent may have executed it")]
    Transferring {
        /// Where to.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The request is larger than a message may be. Nothing was sent.
    #[error("the call to {endpoint} was not made: {reason}")]
    Unsendable {
        /// Where to.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The caller cancelled.
    #[error("the call to {endpoint} was cancelled while {}", if *.stage == Stage::Connecting { "connecting" } else { "transferring" })]
    Cancelled {
        /// Where to.
        endpoint: String,
        /// How far it had come.
        stage: Stage,
    },
    /// The agent answered that it failed.
    #[error("{}\n\nServer exception:\n{}", .0.message, .0.details)]
    Remote(ServerError),
}

impl CallError {
    /// How far the call had come. A failure that the agent reported was executed.
    pub fn stage(&self) -> Stage {
        match self {
            CallError::Connecting { .. }
            | CallError::CertificateMismatch { .. }
            | CallError::Unsendable { .. } => Stage::Connecting,
            CallError::Cancelled { stage, .. } => *stage,
            CallError::Transferring { .. } | CallError::Remote(_) => Stage::Transferring,
        }
    }

    /// Whether the call was certainly not executed.
    pub fn certainly_not_executed(&self) -> bool {
        self.stage() == Stage::Connecting
    }

    /// Whether calling again may help, for calls that may be repeated (`tentacle-protocol.md` 5.3).
    pub fn may_be_retried(&self) -> bool {
        match self {
            CallError::Connecting { .. } | CallError::Transferring { .. } => true,
            CallError::Remote(error) => error.kind() == ServerErrorKind::Other,
            CallError::CertificateMismatch { .. }
            | CallError::Unsendable { .. }
            | CallError::Cancelled { .. } => false,
        }
    }

    pub(crate) fn of_transfer(endpoint: &impl ToString, error: &DialogueError) -> Self {
        let (endpoint, reason) = (endpoint.to_string(), error.to_string());
        match error {
            DialogueError::TooLargeToSend(_) => CallError::Unsendable { endpoint, reason },
            _ => CallError::Transferring { endpoint, reason },
        }
    }
}
