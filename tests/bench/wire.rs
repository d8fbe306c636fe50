//! B13: our Server's caller and our agent, both modes. The original made 1,230 calls a second listening and 11
//! polling, and took 19 and 189 ms for a one-line script (`performance.md`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::ScriptTicket;
use contracts::script_service::{IsolationLevel, StartScriptCommand};
use contracts::{AgentClient, CapabilityCache};
use halibut::{
    Answering, Caller, DataStream, Endpoint, Identity, Listener, ListenerOptions, ListeningUri,
    RequestMessage, Settings, Subscription, Subscriptions, Trust, TrustList,
};
use security::Certificate;
use tentacle::agent::{Agent, AgentOptions, PolledServer};
use tokio_util::sync::CancellationToken;

use crate::{line, milliseconds};

const CALLS: u32 = 20_000;
const SCRIPTS: u32 = 50;
const UPLOAD: usize = 256 * 1024 * 1024;

pub async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, agent) = (identity("Server"), identity("Tentacle"));
    let subscription = Subscription::parse("poll://benchmarkbenchmark00/").expect("a subscription");
    let trust = Arc::new(TrustList::new());
    trust.bind(subscription.clone(), agent.thumbprint().clone());
    let subscriptions = Arc::new(Subscriptions::new());
    let mut options = ListenerOptions::new(loopback(), server.clone(), Arc::clone(&trust) as Arc<dyn Trust>);
    options.answering = Answering {
        service: None,
        subscriptions: Some(Arc::clone(&subscriptions)),
    };
    options.settings = settings();
    let listener = Listener::bind(options).expect("a free port");
    let caller =
        Arc::new(Caller::new(&server, Arc::clone(&subscriptions), settings()).expect("a certificate"));

    let mut options = AgentOptions::new(folder.path(), agent.clone());
    options.listen = Some(loopback());
    options.trusted = vec![server.thumbprint().clone()];
    options.polling = vec![PolledServer {
        address: uri(listener.address()),
        thumbprint: server.thumbprint().clone(),
        subscription: subscription.clone(),
    }];
    let running = Agent::start(options).await.expect("the agent starts");
    running.connected().await;
    let address = running.address().expect("it listens");
    let thumbprint = agent.thumbprint().clone();
    let modes = [
        (
            "listening",
            Endpoint::Listening {
                uri: uri(address),
                thumbprint: thumbprint.clone(),
            },
            "1,230 calls/s",
            "19 ms",
        ),
        (
            "polling",
            Endpoint::Polling {
                subscription,
                thumbprint,
            },
            "11 calls/s",
            "189 ms",
        ),
    ];
    println!("{:<58} {:>18}   the original", "", "ours");
    for (mode, endpoint, calls, script) in modes {
        let rate = calls_a_second(&caller, &endpoint).await;
        line(
            &format!("{mode}: calls one after the other"),
            format!("{rate:.0} /s"),
            calls,
        );
        let client = AgentClient::new(Arc::clone(&caller), endpoint, Arc::new(CapabilityCache::new()));
        line(
            &format!("{mode}: one-line script"),
            milliseconds(one_line_script(&client, mode).await),
            script,
        );
        line(
            &format!("{mode}: upload of 256 MiB"),
            format!("{:.0} MiB/s", upload(&client).await),
            "",
        );
    }
    running.stop().await;
    listener.close().await;
}

fn settings() -> Settings {
    Settings {
        known_types: contracts::KNOWN_TYPES,
        ..Settings::default()
    }
}

fn identity(name: &str) -> Identity {
    let made = Certificate::generate(name, 1_700_000_000_000).expect("a certificate");
    Identity::new(made.der, made.private_key_pkcs8.to_vec())
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn uri(address: SocketAddr) -> ListeningUri {
    ListeningUri::new(&address.ip().to_string(), address.port()).expect("an address")
}

/// The cheapest call that the agent has: the status of a script that it does not know.
async fn calls_a_second(caller: &Caller, endpoint: &Endpoint) -> f64 {
    let cancel = CancellationToken::new();
    let call = || RequestMessage::new("ICapabilitiesServiceV2", "GetCapabilities", Vec::new());
    for _ in 0..500 {
        caller.call(endpoint, call(), &cancel).await.expect("an answer");
    }
    let began = Instant::now();
    for _ in 0..CALLS {
        caller.call(endpoint, call(), &cancel).await.expect("an answer");
    }
    f64::from(CALLS) / began.elapsed().as_secs_f64()
}

async fn one_line_script(client: &AgentClient, mode: &str) -> Duration {
    let cancel = CancellationToken::new();
    let began = Instant::now();
    for number in 0..SCRIPTS {
        let ticket = ScriptTicket::parse(&format!("bench-{mode}-{number}")).expect("a ticket");
        let command = StartScriptCommand {
            ticket: ticket.clone(),
            body: "echo hello".into(),
            task_id: "ServerTasks-1".into(),
            wait: Some(Duration::from_secs(5)),
            isolation: IsolationLevel::No,
            mutex_timeout: None,
            mutex_name: None,
            scripts: BTreeMap::new(),
            files: Vec::new(),
            arguments: Vec::new(),
        };
        let status = client.start_script(&command, &cancel).await.expect("it runs");
        assert_eq!(status.exit_code, 0);
        client
            .complete_script(&ticket, &cancel)
            .await
            .expect("it is forgotten");
    }
    began.elapsed() / SCRIPTS
}

async fn upload(client: &AgentClient) -> f64 {
    let cancel = CancellationToken::new();
    let content = DataStream::from_bytes(vec![7_u8; UPLOAD]);
    let began = Instant::now();
    client
        .upload_file("bench/upload", &content, &cancel)
        .await
        .expect("it is stored");
    (UPLOAD / 1024 / 1024) as f64 / began.elapsed().as_secs_f64()
}
