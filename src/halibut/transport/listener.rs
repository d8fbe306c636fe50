use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::dialogue::{
    Connection, DialogueError, Opening, Settings, answer_client, answer_subscriber, read_greeting,
    read_opening,
};
use crate::identity::{Identity, IdentityError, Thumbprint};
use crate::protocol::control_line::Greeting;
use crate::rpc::{Subscriptions, Trust};
use crate::service::Service;
use crate::transport::admission::{Admission, Permit};
use crate::transport::event::{Event, Observer, nobody};
use crate::transport::tls::{self, OwnCertificate};
use crate::transport::{friendly_page, socket};

/// Pause after the system could not give a connection, for instance because files ran out.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// What a listener has for those who dial it.
#[derive(Clone, Default)]
pub struct Answering {
    /// For callers: what they may call. An agent has this.
    pub service: Option<Arc<dyn Service>>,
    /// For polling agents: the requests for them. A Server has this.
    pub subscriptions: Option<Arc<Subscriptions>>,
}

/// What a listener is made of.
pub struct ListenerOptions {
    /// Where to listen; port 0 picks a free one.
    pub address: SocketAddr,
    /// Our certificate.
    pub identity: Identity,
    /// Who may connect.
    pub trust: Arc<dyn Trust>,
    /// What they get.
    pub answering: Answering,
    /// What holds for the conversations. [`Settings::known_types`] is replaced by the service's own, when
    /// there is one.
    pub settings: Settings,
    /// Who hears what happens.
    pub observer: Observer,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The port.
    #[error("cannot listen on {address}: {error}; choose another port, or stop what uses this one")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

/// Accepts connections until it is dropped or closed; live connections then end with it.
pub struct Listener {
    address: SocketAddr,
    closing: CancellationToken,
    connections: TaskTracker,
    _close_on_drop: DropGuard,
}

impl ListenerOptions {
    /// Options with nothing to offer, trusting whom `trust` does, and heard by nobody.
    pub fn new(address: SocketAddr, identity: Identity, trust: Arc<dyn Trust>) -> Self {
        Self {
            address,
            identity,
            trust,
            answering: Answering::default(),
            settings: Settings::default(),
            observer: nobody(),
        }
    }
}

impl Listener {
    /// Opens the port and begins to accept. Must be called inside a tokio runtime.
    pub fn bind(options: ListenerOptions) -> Result<Self, BindError> {
        let ListenerOptions {
            address,
            identity,
            trust,
            answering,
            mut settings,
            observer,
        } = options;
        if let Some(service) = &answering.service {
            settings.known_types = service.known_types();
        }
        let own = OwnCertificate::new(&identity)?;
        let failed = |error| BindError::Bind { address, error };
        let listener = socket::listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let reception = Arc::new(Reception {
            acceptor: TlsAcceptor::from(Arc::new(tls::server_config(&own))),
            trust,
            answering,
            settings,
            observer,
            admission: Admission::default(),
        });
        reception.tell(Event::Listening { address });
        let (closing, connections) = (CancellationToken::new(), TaskTracker::new());
        connections.spawn(accept(listener, reception, closing.clone(), connections.clone()));
        let _close_on_drop = closing.clone().drop_guard();
        Ok(Self {
            address,
            closing,
            connections,
            _close_on_drop,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, cuts live connections and waits until they are gone. Calls that are being executed
    /// run on.
    pub async fn close(self) {
        self.closing.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

struct Reception {
    acceptor: TlsAcceptor,
    trust: Arc<dyn Trust>,
    answering: Answering,
    settings: Settings,
    observer: Observer,
    admission: Admission,
}

async fn accept(
    listener: TcpListener,
    reception: Arc<Reception>,
    closing: CancellationToken,
    connections: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            continue;
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let Some(permit) = reception.admission.stranger(peer.ip()) else {
            reception.refuse(
                peer,
                None,
                "too many connections are open that have not said who they are",
            );
            continue;
        };
        let (reception, closing) = (Arc::clone(&reception), closing.clone());
        connections.spawn(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = reception.receive(stream, peer, permit) => {}
            }
        });
    }
}

impl Reception {
    async fn receive(&self, stream: TcpStream, peer: SocketAddr, stranger: Permit<std::net::IpAddr>) {
        if let Err(error) = socket::prepare(&stream) {
            return self.refuse(peer, None, &format!("its socket failed: {error}"));
        }
        let handshake = self.settings.timeouts.handshake;
        let stream = match timeout(handshake, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.refuse(peer, None, &format!("the TLS handshake failed: {error}")),
            Err(_) => return self.refuse(peer, None, "the TLS handshake took too long"),
        };
        let thumbprint = thumbprint_of(&stream);
        let mut connection = Connection::new(stream, self.settings.clone());
        match read_opening(&mut connection).await {
            Ok(Opening::Protocol) => {}
            Ok(Opening::Stranger) => return show_page(connection).await,
            Ok(Opening::Silent) => return,
            Err(error) => return self.refuse(peer, thumbprint, &error.to_string()),
        }
        let Some(thumbprint) = thumbprint else {
            return self.refuse(peer, None, "it showed no certificate");
        };
        // From here on a change of trust cuts the connection, whatever it is doing.
        let mut changes = self.trust.changes();
        if !self.trust.accepts(&thumbprint) {
            return self.refuse(peer, Some(thumbprint), "its certificate is not trusted");
        }
        let greeting = match read_greeting(&mut connection).await {
            Ok(greeting) => greeting,
            Err(error) => return self.refuse(peer, Some(thumbprint), &error.to_string()),
        };
        let Some(_permit) = self.admission.identity(thumbprint.clone()) else {
            return self.refuse(peer, Some(thumbprint), "it has too many connections");
        };
        drop(stranger);
        let subscription = if let Greeting::Subscriber(subscription) = &greeting {
            Some(subscription.clone())
        } else {
            None
        };
        let trusted = || {
            subscription.as_ref().map_or_else(
                || self.trust.accepts(&thumbprint),
                |subscription| self.trust.accepts_subscription(subscription, &thumbprint),
            )
        };
        let conversation = async {
            match greeting {
                Greeting::Client => self.serve_client(connection, peer, &thumbprint).await,
                Greeting::Subscriber(subscription) if trusted() => {
                    self.serve_subscriber(connection, peer, &thumbprint, &subscription)
                        .await
                }
                Greeting::Subscriber(subscription) => {
                    self.tell(Event::SubscriptionRefused {
                        peer,
                        thumbprint: thumbprint.clone(),
                        subscription,
                    });
                }
                Greeting::Server => self.refuse(
                    peer,
                    Some(thumbprint.clone()),
                    "it dialled us and yet says that it is a server",
                ),
            }
        };
        tokio::select! {
            () = conversation => {}
            () = until_distrusted(&mut changes, &trusted) => {
                self.refuse(peer, Some(thumbprint.clone()), "its certificate is no longer trusted");
            }
        }
    }

    async fn serve_client(
        &self,
        connection: Connection<TlsStream<TcpStream>>,
        peer: SocketAddr,
        thumbprint: &Thumbprint,
    ) {
        let Some(service) = &self.answering.service else {
            return self.refuse(
                peer,
                Some(thumbprint.clone()),
                "it wants to make calls, and there is nothing here to call",
            );
        };
        self.tell(Event::Accepted {
            peer,
            thumbprint: thumbprint.clone(),
            subscription: None,
        });
        self.ended(peer, answer_client(connection, service).await);
    }

    async fn serve_subscriber(
        &self,
        connection: Connection<TlsStream<TcpStream>>,
        peer: SocketAddr,
        thumbprint: &Thumbprint,
        subscription: &crate::Subscription,
    ) {
        let Some(subscriptions) = &self.answering.subscriptions else {
            return self.refuse(
                peer,
                Some(thumbprint.clone()),
                "it polls, and there are no requests here",
            );
        };
        let session = subscriptions.of(subscription).begin_session();
        self.tell(Event::Accepted {
            peer,
            thumbprint: thumbprint.clone(),
            subscription: Some(subscription.clone()),
        });
        self.ended(peer, answer_subscriber(connection, session.queue()).await);
    }

    fn ended(&self, peer: SocketAddr, outcome: Result<(), DialogueError>) {
        if let Err(error) = outcome {
            self.tell(Event::Broken {
                peer: peer.to_string(),
                reason: error.to_string(),
            });
        }
    }

    fn refuse(&self, peer: SocketAddr, thumbprint: Option<Thumbprint>, reason: &str) {
        self.tell(Event::Refused {
            peer,
            thumbprint,
            reason: reason.to_owned(),
        });
    }

    fn tell(&self, event: Event) {
        (self.observer)(&event);
    }
}

async fn until_distrusted(changes: &mut watch::Receiver<u64>, trusted: &impl Fn() -> bool) {
    loop {
        if changes.changed().await.is_err() {
            // The list is gone and cannot change any more.
            return std::future::pending().await;
        }
        if !trusted() {
            return;
        }
    }
}

fn thumbprint_of(stream: &TlsStream<TcpStream>) -> Option<Thumbprint> {
    let (_, session) = stream.get_ref();
    session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|certificate| Thumbprint::of(certificate))
}

async fn show_page(mut connection: Connection<TlsStream<TcpStream>>) {
    let within = connection.settings().timeouts.handshake;
    let stream = connection.stream_mut();
    let page = async {
        stream.write_all(&friendly_page::response()).await?;
        stream.shutdown().await
    };
    // A browser that does not wait for its page is no one's concern.
    drop(timeout(within, page).await);
}
