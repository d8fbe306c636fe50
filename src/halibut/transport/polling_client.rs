use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::dialogue::{Connection, Settings, poll};
use crate::identity::{Identity, IdentityError, Thumbprint};
use crate::protocol::subscription::Subscription;
use crate::rpc::ListeningUri;
use crate::service::Service;
use crate::transport::connect::{ConnectError, connect};
use crate::transport::event::{Event, Observer, nobody};
use crate::transport::tls::OwnCertificate;

/// Pause after a connection that had lasted for a while, times one to two.
const PROMPT: Duration = Duration::from_millis(250);

/// What a polling client is made of.
pub struct PollingOptions {
    /// The Server.
    pub server: ListeningUri,
    /// The certificate that it must have.
    pub thumbprint: Thumbprint,
    /// Whose requests to take.
    pub subscription: Subscription,
    /// Our certificate.
    pub identity: Identity,
    /// What the Server may call.
    pub service: Arc<dyn Service>,
    /// What holds for the conversations. [`Settings::known_types`] is replaced by the service's own.
    pub settings: Settings,
    /// Number of connections, at least one.
    pub connections: usize,
    /// Who hears what happens.
    pub observer: Observer,
}

/// How a polling client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollingState {
    /// Has not yet been accepted.
    Connecting {
        /// Since when.
        since: SystemTime,
        /// Why the last attempt failed.
        last_error: Option<String>,
    },
    /// Was accepted by its Server and takes requests.
    Connected {
        /// Since when.
        since: SystemTime,
    },
}

impl PollingState {
    /// Whether the Server has accepted us.
    pub fn is_connected(&self) -> bool {
        matches!(self, PollingState::Connected { .. })
    }
}

/// Dials a Server, takes its requests, and dials again whenever the connection ends, until it is dropped or
/// closed.
pub struct PollingClient {
    states: Vec<watch::Receiver<PollingState>>,
    closing: CancellationToken,
    tasks: TaskTracker,
    _close_on_drop: DropGuard,
}

impl PollingOptions {
    /// Options for one connection with default settings, heard by nobody.
    pub fn new(
        server: ListeningUri,
        thumbprint: Thumbprint,
        subscription: Subscription,
        identity: Identity,
        service: Arc<dyn Service>,
    ) -> Self {
        let settings = Settings::default();
        Self {
            server,
            thumbprint,
            subscription,
            identity,
            service,
            settings,
            connections: 1,
            observer: nobody(),
        }
    }
}

impl PollingClient {
    /// Begins to dial. Must be called inside a tokio runtime.
    pub fn start(mut options: PollingOptions) -> Result<Self, IdentityError> {
        let own = OwnCertificate::new(&options.identity)?;
        options.settings.known_types = options.service.known_types();
        let options = Arc::new(options);
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut states = Vec::new();
        for _ in 0..options.connections.clamp(1, 512) {
            let (state, watched) = watch::channel(PollingState::Connecting {
                since: SystemTime::now(),
                last_error: None,
            });
            states.push(watched);
            let poller = Poller {
                options: Arc::clone(&options),
                own: own.clone(),
                state,
            };
            let closing = closing.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = poller.run() => {}
                }
            });
        }
        let _close_on_drop = closing.clone().drop_guard();
        Ok(Self {
            states,
            closing,
            tasks,
            _close_on_drop,
        })
    }

    /// How it stands: connected when any of its connections is.
    pub fn state(&self) -> PollingState {
        let states = self.states.iter().map(|state| state.borrow().clone());
        let mut states: Vec<_> = states.collect();
        let position = states.iter().position(PollingState::is_connected).unwrap_or(0);
        states.swap_remove(position)
    }

    /// Returns once any connection was accepted by the Server.
    pub async fn connected(&self) {
        let waits = self.states.iter().cloned().map(|mut state| {
            Box::pin(async move {
                // An error means that the poller has ended, after which nothing will be accepted.
                if state.wait_for(PollingState::is_connected).await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        first_of(waits.collect()).await;
    }

    /// Cuts the connections and waits until they are gone. Calls that are being executed run on.
    pub async fn close(self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct Poller {
    options: Arc<PollingOptions>,
    own: OwnCertificate,
    state: watch::Sender<PollingState>,
}

impl Poller {
    async fn run(&self) {
        let factor = 1.0 + random_fraction();
        let mut failing_since: Option<Instant> = None;
        loop {
            let reason = self.round().await;
            let lived = self.connected_for();
            if lived.is_some() {
                failing_since = None;
            }
            self.state.send_replace(PollingState::Connecting {
                since: SystemTime::now(),
                last_error: Some(reason.clone()),
            });
            let since = *failing_since.get_or_insert_with(Instant::now);
            // `tentacle-protocol.md` 2.8
            let (least, most) = self.options.settings.timeouts.redial;
            let pause = match lived {
                // A Server closes a connection to cancel a call; the next call should not have to wait for
                // us.
                Some(lived) if lived >= least => PROMPT.mul_f64(factor).min(least),
                _ => since.elapsed().mul_f64(factor).clamp(least, most.max(least)),
            };
            self.tell(Event::PollingFailed {
                server: self.options.server.to_string(),
                reason,
                retry_in: pause,
            });
            tokio::time::sleep(pause).await;
        }
    }

    /// Several attempts to connect, and the conversation when one succeeds. Tells why it ended.
    async fn round(&self) -> String {
        let timeouts = &self.options.settings.timeouts;
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let connected = connect(
                &self.options.server,
                Some(&self.own),
                Some(self.options.thumbprint.clone()),
                timeouts.connect,
            );
            let reason = match connected.await {
                Ok(stream) => return self.converse(stream).await,
                Err(ConnectError::Mismatch(mismatch)) => {
                    return format!(
                        "certificate mismatch: {mismatch}; if the Server was given a new certificate, trust it"
                    );
                }
                Err(error @ (ConnectError::Refused | ConnectError::UnknownHost(_))) => {
                    return error.to_string();
                }
                Err(error) => error.to_string(),
            };
            if attempt >= timeouts.attempts || begun.elapsed() >= timeouts.attempts_total {
                return reason;
            }
            attempt += 1;
            tokio::time::sleep(timeouts.attempt_pause).await;
        }
    }

    async fn converse(&self, stream: tokio_rustls::client::TlsStream<tokio::net::TcpStream>) -> String {
        let connection = Connection::new(stream, self.options.settings.clone());
        let identified = || {
            self.state.send_replace(PollingState::Connected {
                since: SystemTime::now(),
            });
            self.tell(Event::PollingConnected {
                server: self.options.server.to_string(),
            });
        };
        match poll(
            connection,
            &self.options.subscription,
            &self.options.service,
            identified,
        )
        .await
        {
            Ok(()) => "the Server ended the connection".to_owned(),
            Err(error) if self.state.borrow().is_connected() => error.to_string(),
            Err(error) => {
                format!("{error}; check that the Server knows this agent by its thumbprint and subscription")
            }
        }
    }

    /// How long the last connection had been accepted, if it was.
    fn connected_for(&self) -> Option<Duration> {
        match &*self.state.borrow() {
            PollingState::Connected { since } => Some(since.elapsed().unwrap_or_default()),
            PollingState::Connecting { .. } => None,
        }
    }

    fn tell(&self, event: Event) {
        (self.options.observer)(&event);
    }
}

/// In [0, 1). So that many agents that lost their Server at once do not return at once.
fn random_fraction() -> f64 {
    let number = getrandom::u32().unwrap_or_default();
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

async fn first_of(mut waits: Vec<std::pin::Pin<Box<impl std::future::Future<Output = ()>>>>) {
    std::future::poll_fn(|context| {
        let ready = waits
            .iter_mut()
            .any(|wait| wait.as_mut().poll(context).is_ready());
        if ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
