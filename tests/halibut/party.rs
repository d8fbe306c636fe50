//! The two parties of a call, each with a certificate.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use halibut::{
    Answering, Caller, Endpoint, Event, Identity, KnownTypes, Listener, ListenerOptions, ListeningUri,
    PollingClient, PollingOptions, Service, ServiceError, Settings, Subscription, Subscriptions, TrustList,
    Value,
};

/// A self-signed certificate.
pub fn identity() -> Identity {
    let key = rcgen::KeyPair::generate().expect("an elliptic key");
    let parameters = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    let certificate = parameters.self_signed(&key).expect("self-signed");
    Identity::new(certificate.der().to_vec(), key.serialize_der())
}

pub fn subscription() -> Subscription {
    Subscription::parse("poll://abcdefghjklmnpqrstuv/").expect("a subscription")
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub fn uri(address: SocketAddr) -> ListeningUri {
    ListeningUri::new(&address.ip().to_string(), address.port()).expect("an address")
}

/// Waiting long enough for a loaded machine, and not for ever.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} within ten seconds");
}

/// What a listener or polling client said.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub fn observer(&self) -> halibut::Observer {
        let lines = Arc::clone(&self.0);
        Arc::new(move |event: &Event| lines.lock().expect("whole").push(event.to_string()))
    }

    pub fn has(&self, part: &str) -> bool {
        self.0
            .lock()
            .expect("whole")
            .iter()
            .any(|line| line.contains(part))
    }
}

/// A service that gives back what it gets, fails, takes its time, and counts.
#[derive(Default)]
pub struct Echo {
    pub calls: AtomicUsize,
}

#[async_trait]
impl Service for Echo {
    async fn call(
        &self,
        service: &str,
        method: &str,
        mut parameters: Vec<Value>,
    ) -> Result<Value, ServiceError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match (service, method) {
            ("IEcho", "Nothing") => Ok(Value::Null),
            ("IEcho", "Long") => Ok("long ".repeat(1000).into()),
            ("IEcho", "Same") => Ok(parameters.pop().unwrap_or(Value::Null)),
            ("IEcho", "Fresh") => match parameters.pop() {
                Some(Value::Stream(stream)) => Ok(Value::Stream(stream.fresh())),
                _ => Err(ServiceError::no_matching_parameters(service, method, 0)),
            },
            ("IEcho", "Slow") => {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok(Value::Null)
            }
            ("IEcho", "Fail") => Err(ServiceError::threw("System.IO.IOException", "the disk is full")),
            ("IEcho", "Panic") => panic!("a bug in a service"),
            ("IEcho", _) => Err(ServiceError::method_not_found(service, method)),
            _ => Err(ServiceError::service_not_found(service)),
        }
    }

    fn known_types(&self) -> KnownTypes {
        KnownTypes::default()
    }
}

/// A Server and an agent that trust each other, in one of the modes.
pub struct Pair {
    pub caller: Arc<Caller>,
    pub endpoint: Endpoint,
    pub trust: Arc<TrustList>,
    pub echo: Arc<Echo>,
    pub subscriptions: Arc<Subscriptions>,
    pub heard: Heard,
    pub listener: Listener,
    pub polling: Option<PollingClient>,
}

impl Pair {
    pub fn listening() -> Self {
        Self::listening_with(Settings::default())
    }

    pub fn listening_with(settings: Settings) -> Self {
        let (server, agent) = (identity(), identity());
        let trust = Arc::new(TrustList::of([server.thumbprint().clone()]));
        let echo = Arc::new(Echo::default());
        let heard = Heard::default();
        let mut options = ListenerOptions::new(loopback(), agent.clone(), Arc::clone(&trust) as Arc<_>);
        options.answering.service = Some(Arc::clone(&echo) as Arc<_>);
        options.settings = settings.clone();
        options.observer = heard.observer();
        let listener = Listener::bind(options).expect("a free port");
        let subscriptions = Arc::new(Subscriptions::new());
        let caller =
            Caller::new(&server, Arc::clone(&subscriptions), settings).expect("a usable certificate");
        let endpoint = Endpoint::Listening {
            uri: uri(listener.address()),
            thumbprint: agent.thumbprint().clone(),
        };
        Self {
            caller: Arc::new(caller),
            endpoint,
            trust,
            echo,
            subscriptions,
            heard,
            listener,
            polling: None,
        }
    }

    pub async fn polling() -> Self {
        Self::polling_with(Settings::default()).await
    }

    pub async fn polling_with(settings: Settings) -> Self {
        let (server, agent) = (identity(), identity());
        let trust = Arc::new(TrustList::new());
        trust.bind(subscription(), agent.thumbprint().clone());
        let echo = Arc::new(Echo::default());
        let heard = Heard::default();
        let subscriptions = Arc::new(Subscriptions::new());
        let mut options = ListenerOptions::new(loopback(), server.clone(), Arc::clone(&trust) as Arc<_>);
        options.answering = Answering {
            service: None,
            subscriptions: Some(Arc::clone(&subscriptions)),
        };
        options.settings = settings.clone();
        options.observer = heard.observer();
        let listener = Listener::bind(options).expect("a free port");
        let caller =
            Caller::new(&server, Arc::clone(&subscriptions), settings.clone()).expect("a usable certificate");
        let mut options = PollingOptions::new(
            uri(listener.address()),
            server.thumbprint().clone(),
            subscription(),
            agent.clone(),
            Arc::clone(&echo) as Arc<_>,
        );
        options.settings = settings;
        let polling = PollingClient::start(options).expect("a usable certificate");
        polling.connected().await;
        let endpoint = Endpoint::Polling {
            subscription: subscription(),
            thumbprint: agent.thumbprint().clone(),
        };
        Self {
            caller: Arc::new(caller),
            endpoint,
            trust,
            echo,
            subscriptions,
            heard,
            listener,
            polling: Some(polling),
        }
    }

    pub async fn both() -> [Self; 2] {
        [Self::listening(), Self::polling().await]
    }

    pub async fn call(&self, method: &str, parameters: Vec<Value>) -> Result<Value, halibut::CallError> {
        let request = halibut::RequestMessage::new("IEcho", method, parameters);
        self.caller
            .call(
                &self.endpoint,
                request,
                &tokio_util::sync::CancellationToken::new(),
            )
            .await
    }
}
