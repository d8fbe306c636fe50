//! Agents over Halibut, listening and polling alike: the difference is in the endpoint (`tentacle-protocol.md` 6).

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{AgentClient, AgentError, CapabilityCache};
use contracts::{ScriptStatus, ScriptTicket, StartScriptCommand, UploadResult};
use domain::machine::Connection;
use halibut::{CallError, Caller, DataStream, Endpoint, ListeningUri, Subscription, Thumbprint};
use tokio_util::sync::CancellationToken;

use super::{Answer, Transport, TransportError};

/// An agent.
#[derive(Clone)]
pub struct Tentacle(AgentClient);

impl Tentacle {
    /// The agent of a machine.
    ///
    /// # Errors
    /// A sentence when the machine's address or thumbprint cannot be used.
    pub fn new(
        caller: Arc<Caller>,
        cache: Arc<CapabilityCache>,
        connection: &Connection,
    ) -> Result<Self, String> {
        Ok(Self(AgentClient::new(caller, endpoint(connection)?, cache)))
    }
}

#[async_trait]
impl Transport for Tentacle {
    async fn start(&self, command: &StartScriptCommand, cancel: &CancellationToken) -> Answer<ScriptStatus> {
        let capabilities = self.0.capabilities(cancel).await.map_err(error)?;
        if !capabilities.has(contracts::script_service::NAME) {
            return Err(TransportError::Refused(format!(
                "The agent does not offer {}: it is too old. Upgrade it.",
                contracts::script_service::NAME
            )));
        }
        self.0.start_script(command, cancel).await.map_err(error)
    }

    async fn status(
        &self,
        ticket: &ScriptTicket,
        after: i64,
        cancel: &CancellationToken,
    ) -> Answer<ScriptStatus> {
        self.0.get_status(ticket, after, cancel).await.map_err(error)
    }

    async fn stop(
        &self,
        ticket: &ScriptTicket,
        after: i64,
        cancel: &CancellationToken,
    ) -> Answer<ScriptStatus> {
        self.0.cancel_script(ticket, after, cancel).await.map_err(error)
    }

    async fn complete(&self, ticket: &ScriptTicket, cancel: &CancellationToken) -> Answer<()> {
        self.0.complete_script(ticket, cancel).await.map_err(error)
    }

    async fn upload(
        &self,
        path: &str,
        contents: &DataStream,
        cancel: &CancellationToken,
    ) -> Answer<UploadResult> {
        self.0.upload_file(path, contents, cancel).await.map_err(error)
    }

    async fn download(&self, path: &str, cancel: &CancellationToken) -> Answer<Option<DataStream>> {
        self.0.download_file(path, cancel).await.map_err(error)
    }
}

/// Where a machine's agent is.
///
/// # Errors
/// A sentence when the machine's address or thumbprint cannot be used.
pub fn endpoint(connection: &Connection) -> Result<Endpoint, String> {
    let pinned = |text: &str| {
        Thumbprint::parse(text).map_err(|error| format!("The machine's thumbprint cannot be used: {error}."))
    };
    let unusable = |error: &dyn std::fmt::Display| format!("The machine's address cannot be used: {error}.");
    Ok(match connection {
        Connection::Listening { uri, thumbprint } => Endpoint::Listening {
            uri: ListeningUri::parse(uri).map_err(|error| unusable(&error))?,
            thumbprint: pinned(thumbprint)?,
        },
        Connection::Polling {
            subscription,
            thumbprint,
        } => Endpoint::Polling {
            subscription: Subscription::parse(subscription).map_err(|error| unusable(&error))?,
            thumbprint: pinned(thumbprint)?,
        },
    })
}

fn error(error: AgentError) -> TransportError {
    let repeatable = error.may_be_retried();
    let text = sentence(&error.to_string());
    match error {
        AgentError::Call(CallError::Connecting { .. }) => TransportError::Connecting(text),
        AgentError::Call(CallError::CertificateMismatch { .. }) => TransportError::Identity(text),
        AgentError::Call(error @ CallError::Cancelled { .. }) => TransportError::Cancelled {
            may_have_run: !error.certainly_not_executed(),
        },
        AgentError::Call(CallError::Transferring { .. }) => TransportError::Interrupted(text),
        // The agent's own words; its details are a stack trace for its makers.
        AgentError::Call(CallError::Remote(remote)) if repeatable => {
            TransportError::Interrupted(sentence(&remote.message))
        }
        AgentError::Call(CallError::Remote(remote)) => TransportError::Refused(sentence(&remote.message)),
        AgentError::Call(CallError::Unsendable { .. }) | AgentError::Shape { .. } => {
            TransportError::Refused(text)
        }
    }
}

/// A text with a capital letter at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return "No reason was given.".into();
    };
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}
