use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::dialogue::Settings;
use crate::identity::{Identity, IdentityError};
use crate::protocol::message::RequestMessage;
use crate::protocol::value::Value;
use crate::rpc::{CallError, Endpoint, QueueError, Stage, Subscriptions};
use crate::transport::Client;

/// Calls agents of both modes.
pub struct Caller {
    client: Client,
    subscriptions: Arc<Subscriptions>,
    settings: Settings,
}

impl Caller {
    /// A caller with its certificate; `subscriptions` are those of the listener that polling agents dial.
    /// Must be made inside a tokio runtime.
    pub fn new(
        identity: &Identity,
        subscriptions: Arc<Subscriptions>,
        settings: Settings,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            client: Client::new(identity, settings.clone())?,
            subscriptions,
            settings,
        })
    }

    /// Makes a call and waits for its result. Cancelling, and dropping the future, close a connection that
    /// the call was already given to (`tentacle-protocol.md` 5.4).
    pub async fn call(
        &self,
        endpoint: &Endpoint,
        mut request: RequestMessage,
        cancel: &CancellationToken,
    ) -> Result<Value, CallError> {
        request.endpoint = Some(endpoint.to_document());
        let response = match endpoint {
            Endpoint::Listening { uri, thumbprint } => {
                self.client.call(uri, thumbprint, &request, cancel).await?
            }
            Endpoint::Polling { subscription, .. } => {
                let state = self.subscriptions.of(subscription);
                let pick_up = self.settings.timeouts.pick_up;
                let outcome = state.queue().queue_and_wait(request, pick_up, cancel).await;
                outcome.map_err(|error| queue_error(endpoint, &error))?
            }
        };
        response.result.map_err(CallError::Remote)
    }

    /// The client for listening agents.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The queues of polling agents.
    pub fn subscriptions(&self) -> &Arc<Subscriptions> {
        &self.subscriptions
    }
}

fn queue_error(endpoint: &Endpoint, error: &QueueError) -> CallError {
    let name = endpoint.to_string();
    match error {
        QueueError::NotCollected(_) => CallError::Connecting {
            endpoint: name,
            reason: format!("{error}; check that the agent runs and can reach this Server"),
        },
        QueueError::CancelledWhileQueued => CallError::Cancelled {
            endpoint: name,
            stage: Stage::Connecting,
        },
        QueueError::CancelledWhileTransferring => CallError::Cancelled {
            endpoint: name,
            stage: Stage::Transferring,
        },
        QueueError::Transfer(error) => CallError::of_transfer(endpoint, error),
    }
}
