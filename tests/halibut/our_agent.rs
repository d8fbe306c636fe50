//! Recordings played from the server's side against our agent: it answers what the original did. Aside stand
//! ids, times, paths, the order of the log and how many lines of it an answer holds, debug lines, the words
//! of errors, and the first script contract, which our agent does not have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use contracts::{Capabilities, OutputSource, ScriptStatus, UploadResult};
use halibut::{Identity, ServerErrorKind};
use tentacle::agent::{Agent, AgentOptions, PolledServer};
use tokio::runtime::{Builder, Runtime};

use crate::party::{identity, loopback, subscription, uri};
use crate::server_side::{Exchange, PlayedAgent, play};
use crate::transcript::Transcript;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_agent_answers_every_recorded_server() {
    let server = identity();
    let ours = |transcript: &Transcript| {
        !["v1-script", "no-file-service"]
            .iter()
            .any(|name| transcript.name.ends_with(name))
    };
    let plays = Transcript::conversations()
        .into_iter()
        .filter(ours)
        .map(|transcript| {
            let server = server.clone();
            tokio::spawn(async move {
                let home = tempfile::tempdir().expect("a home");
                std::fs::create_dir(home.path().join("occupied")).expect("a folder where a file is wanted");
                let mut agent = OurAgent {
                    home: home.path().to_owned(),
                    identity: identity(),
                    running: None,
                };
                let exchanges = play(&transcript, &server, &mut agent).await;
                assert!(!exchanges.is_empty());
                compare(&transcript.name, exchanges);
            })
        });
    for play in plays.collect::<Vec<_>>() {
        play.await.expect("the conversation is held as recorded");
    }
}

/// The agent of this repository, in this process, on real sockets.
struct OurAgent {
    home: PathBuf,
    identity: Identity,
    running: Option<(Runtime, Agent)>,
}

impl PlayedAgent for OurAgent {
    async fn start(&mut self, server: &Identity, polls: Option<SocketAddr>) -> Option<SocketAddr> {
        let mut options = AgentOptions::new(&self.home, self.identity.clone());
        options.trusted = vec![server.thumbprint().clone()];
        match polls {
            Some(address) => options.polling.push(PolledServer {
                address: uri(address),
                thumbprint: server.thumbprint().clone(),
                subscription: subscription(),
            }),
            None => options.listen = Some(loopback()),
        }
        // A runtime of its own, so that nothing of it goes on once it is gone.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let agent = runtime
            .spawn(Agent::start(options))
            .await
            .expect("started")
            .expect("a home of its own");
        let address = agent.address();
        self.running = Some((runtime, agent));
        address
    }

    /// As if it were killed: its scripts are not asked to end.
    async fn stop(&mut self) {
        if let Some((runtime, agent)) = self.running.take() {
            runtime.shutdown_background();
            drop(agent);
        }
    }
}

/// What is known of one script after a whole conversation.
#[derive(Debug, Default, PartialEq)]
struct Script {
    /// By number; without debug lines and with the source.
    lines: BTreeMap<i64, String>,
    end: Option<(i32, i32)>,
}

impl Script {
    fn add(&mut self, status: &ScriptStatus) {
        let count = i64::try_from(status.logs.len()).expect("few");
        for (number, line) in (status.next_log_sequence - count + 1..).zip(&status.logs) {
            if line.source != OutputSource::Debug {
                self.lines
                    .insert(number, format!("{:?} {}", line.source, line.text));
            }
        }
        self.end = Some((status.state as i32, status.exit_code));
    }

    fn sorted(&self) -> Vec<&String> {
        let mut lines: Vec<_> = self.lines.values().collect();
        lines.sort();
        lines
    }
}

fn compare(name: &str, exchanges: Vec<Exchange>) {
    let mut scripts: BTreeMap<String, [Script; 2]> = BTreeMap::new();
    for exchange in exchanges {
        let ticket = exchange.ticket();
        let Exchange {
            request,
            recorded,
            recorded_contents,
            ours,
            our_contents,
        } = exchange;
        let what = format!("{name}: {}", request.method);
        let Some(recorded) = recorded else {
            let [our_script, _] = scripts.entry(ticket.expect("a script")).or_default();
            our_script.add(&ScriptStatus::from_value(ours.result.expect("a status")).expect("a status"));
            continue;
        };
        let (ours, recorded) = match (ours.result, recorded.result) {
            (Ok(ours), Ok(recorded)) => (ours, recorded),
            (Err(ours), Err(recorded)) => {
                assert_eq!(ours.error_type, recorded.error_type, "{what}");
                assert!(!ours.message.is_empty() && !ours.details.is_empty(), "{what}");
                if recorded.kind() == ServerErrorKind::MethodFailed {
                    assert_eq!(ours.kind(), ServerErrorKind::MethodFailed, "{what}");
                }
                continue;
            }
            (ours, recorded) => panic!("{what}: ours {ours:?}, recorded {recorded:?}"),
        };
        match &request.method[..] {
            "GetCapabilities" => {
                let ours = Capabilities::from_value(ours).expect("capabilities");
                let recorded = Capabilities::from_value(recorded).expect("capabilities");
                let mut expected = recorded.names().to_vec();
                expected.retain(|name| name != "IScriptService");
                assert_eq!(ours.names(), expected);
            }
            "UploadFile" => {
                let [ours, recorded] =
                    [ours, recorded].map(|value| UploadResult::from_value(value).expect("a result"));
                assert_eq!(
                    (&ours.hash, ours.length),
                    (&recorded.hash, recorded.length),
                    "{what}"
                );
                let end = |path: &str| path.rsplit('/').next().map(str::to_owned);
                assert_eq!(end(&ours.full_path), end(&recorded.full_path), "{what}");
            }
            "DownloadFile" => {
                assert_eq!(ours.is_null(), recorded.is_null(), "{what}");
                assert!(our_contents == recorded_contents, "{what}: the content differs");
            }
            "CompleteScript" => assert!(ours.is_null() && recorded.is_null(), "{what}"),
            _ => {
                let ticket = ticket.expect("a script");
                let both = scripts.entry(ticket.clone()).or_default();
                for (script, value) in both.iter_mut().zip([ours, recorded]) {
                    let status = ScriptStatus::from_value(value).expect("a status");
                    assert_eq!(status.ticket.as_str(), ticket, "{what}");
                    script.add(&status);
                }
            }
        }
    }
    for (ticket, [ours, recorded]) in scripts {
        assert_eq!(ours.sorted(), recorded.sorted(), "{name}: the log of {ticket}");
        assert_eq!(ours.end, recorded.end, "{name}: how {ticket} ended");
    }
}
