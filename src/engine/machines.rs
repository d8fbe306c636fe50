//! Machines as use cases see them at once, and who may connect to this Server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::{Context, Discovered, Machines, Probe};
use async_trait::async_trait;
use contracts::capabilities;
use domain::machine::Connection;
use halibut::{Caller, ListeningUri, RequestMessage, Subscription, Thumbprint, TrustList};
use tokio_util::sync::CancellationToken;

use crate::transport::tentacle::endpoint;

/// How long somebody who waits for an answer may wait.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Looks at machines over Halibut, and keeps the list of polling agents that may connect.
pub struct Reach {
    context: Arc<Context>,
    caller: Arc<Caller>,
    trust: Arc<TrustList>,
    trusted: Mutex<Vec<(Subscription, Thumbprint)>>,
}

impl Reach {
    /// A view of the machines of the database.
    #[must_use]
    pub fn new(context: Arc<Context>, caller: Arc<Caller>, trust: Arc<TrustList>) -> Self {
        Self {
            context,
            caller,
            trust,
            trusted: Mutex::default(),
        }
    }

    /// Brings the list of polling agents in step with the database. An agent that is no longer registered is cut off.
    ///
    /// # Errors
    /// When the database fails; the old list holds.
    pub async fn follow(&self) -> storage::Result<()> {
        let mut session = self.context.database.read().await?;
        let stored = storage::machine::trusted(&mut session).await?;
        drop(session);
        let mut known = Vec::new();
        for machine in stored
            .into_iter()
            .filter(|stored| stored.deregistered.is_none())
            .map(|stored| stored.machine)
        {
            let Some(Connection::Polling {
                subscription,
                thumbprint,
            }) = machine.endpoint.connection()
            else {
                continue;
            };
            match (Subscription::parse(&subscription), Thumbprint::parse(&thumbprint)) {
                (Ok(subscription), Ok(thumbprint)) => known.push((subscription, thumbprint)),
                _ => {
                    tracing::warn!(machine = %machine.id, "the machine's address or thumbprint cannot be used")
                }
            }
        }
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if *trusted != known {
            for (subscription, _) in trusted
                .iter()
                .filter(|(old, _)| !known.iter().any(|(new, _)| new == old))
            {
                self.caller.subscriptions().forget(subscription);
            }
            self.trust.replace_subscriptions(known.iter().cloned());
            *trusted = known;
        }
        Ok(())
    }
}

#[async_trait]
impl Machines for Reach {
    async fn discover(&self, host: &str, port: u16) -> Result<Discovered, String> {
        let uri =
            ListeningUri::new(host, port).map_err(|error| format!("The address cannot be used: {error}."))?;
        match halibut::transport::discover(&uri, AT_ONCE).await {
            Ok(thumbprint) => Ok(Discovered {
                thumbprint: thumbprint.to_string(),
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn probe(&self, uri: &str, thumbprint: &str) -> Probe {
        let polling = uri.trim_start().to_ascii_lowercase().starts_with("poll:");
        let (address, thumbprint) = (uri.to_owned(), thumbprint.to_owned());
        let connection = if polling {
            Connection::Polling {
                subscription: address,
                thumbprint,
            }
        } else {
            Connection::Listening {
                uri: address,
                thumbprint,
            }
        };
        let Ok(endpoint) = endpoint(&connection) else {
            return Probe::Silent;
        };
        if let halibut::Endpoint::Polling { subscription, .. } = &endpoint {
            let live = self.caller.subscriptions().is_connected(subscription);
            return if live { Probe::Answers } else { Probe::Silent };
        }
        let request = RequestMessage::new(capabilities::NAME, "GetCapabilities", Vec::new());
        let cancel = CancellationToken::new();
        match tokio::time::timeout(AT_ONCE, self.caller.call(&endpoint, request, &cancel)).await {
            // An agent that answers with an error is there, too.
            Ok(Ok(_) | Err(halibut::CallError::Remote(_))) => Probe::Answers,
            _ => Probe::Silent,
        }
    }

    async fn changed(&self) {
        if let Err(error) = self.follow().await {
            tracing::warn!(%error, "the list of polling agents could not be read; the old one holds");
        }
    }
}
