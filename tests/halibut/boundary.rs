//! Every recorded conversation, cut and stalled at every boundary of a line, message or stream: whichever
//! part is ours, it ends, by itself or by a timeout. Time is virtual here, so that waiting costs none.

use std::sync::Arc;
use std::time::Duration;

use contracts::KNOWN_TYPES;
use halibut::dialogue::{
    Connection, Dialled, answer_client, answer_subscriber, poll, read_greeting, read_opening,
};
use halibut::protocol::message::Message;
use halibut::rpc::PendingRequestQueue;
use halibut::{DataStream, RequestMessage, Service, Settings, Value};
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::party::subscription;
use crate::server_side::RecordedService;
use crate::transcript::{Kind, Side, Step, Transcript, decode, inflate};
use crate::wire::Wire;

/// The longest that anything may wait for a peer that says nothing: the first byte of a request.
const LONGEST: Duration = Duration::from_secs(601);

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Cut,
    Stall,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

fn settings() -> Settings {
    Settings {
        known_types: KNOWN_TYPES,
        ..Settings::default()
    }
}

/// All steps of one connection that are part of the dialogue.
fn dialogue(transcript: &Transcript, connection: usize) -> Vec<Step> {
    let of_this = transcript
        .steps
        .iter()
        .filter(|step| step.connection == connection);
    of_this
        .filter(|step| !matches!(step.kind, Kind::Connected | Kind::Close))
        .cloned()
        .collect()
}

/// Plays the steps of the other side, and takes those of ours.
async fn play(far: DuplexStream, steps: &[Step], theirs: Side, trouble: Trouble) {
    let mut wire = Wire::new(far);
    for step in steps {
        let there = match (&step.kind, step.from == Some(theirs)) {
            (Kind::Line(text), true) => wire.write(text.as_bytes()).await,
            (Kind::Message(bytes) | Kind::Stream(bytes), true) => wire.write(bytes).await,
            (Kind::Line(text), false) if text.starts_with("MX\n") => wire.preamble().await.is_some(),
            (Kind::Line(text), false) if text.starts_with("MX") => wire.identity().await.is_some(),
            (Kind::Line(_), false) => wire.line().await.is_some(),
            (Kind::Message(_), false) => wire.bson().await.is_some(),
            (Kind::Stream(_), false) => wire.content().await.is_some(),
            (Kind::Connected | Kind::Close | Kind::Raw(_), _) => true,
        };
        if !there {
            return;
        }
    }
    if trouble == Trouble::Stall {
        tokio::time::sleep(LONGEST * 2).await;
    }
}

/// The agent's part, as far as it comes.
async fn agent(near: DuplexStream, transcript: &Transcript) {
    let service: Arc<dyn Service> = Arc::new(RecordedService::of(transcript));
    let mut connection = Connection::new(near, settings());
    if !transcript.listening {
        drop(poll(connection, &subscription(), &service, || {}).await);
    } else if read_opening(&mut connection).await.is_ok() && read_greeting(&mut connection).await.is_ok() {
        drop(answer_client(connection, &service).await);
    }
}

/// The Server's part, as far as it comes: the requests of the recording, one after the other.
async fn server(near: DuplexStream, transcript: &Transcript, steps: &[Step]) {
    let mut connection = Connection::new(near, settings());
    let requests = requests(steps);
    if transcript.listening {
        let Ok(mut link) = Dialled::open(connection).await else {
            return;
        };
        for (number, request) in requests.iter().enumerate() {
            if (number > 0 && link.reuse().await.is_err()) || link.call(request).await.is_err() {
                return;
            }
        }
        link.end().await;
    } else if read_opening(&mut connection).await.is_ok() && read_greeting(&mut connection).await.is_ok() {
        let queue = PendingRequestQueue::new();
        let never = CancellationToken::new();
        let calls = async {
            for request in requests {
                if queue
                    .queue_and_wait(request, Duration::from_secs(120), &never)
                    .await
                    .is_err()
                {
                    return;
                }
            }
        };
        let (_, ()) = tokio::join!(answer_subscriber(connection, &queue), calls);
    }
}

/// The recorded requests with content for their streams.
fn requests(steps: &[Step]) -> Vec<RequestMessage> {
    let requests = steps.iter().filter_map(|step| match &step.kind {
        Kind::Message(bytes) => match decode(&inflate(bytes)) {
            Message::Request(mut request) => {
                request.params = request.params.into_iter().map(with_content).collect();
                Some(request)
            }
            _ => None,
        },
        _ => None,
    });
    requests.collect()
}

fn with_content(value: Value) -> Value {
    match value {
        Value::Stream(_) => Value::Stream(DataStream::from_bytes(&b"content"[..])),
        Value::Array(values) => Value::Array(values.into_iter().map(with_content).collect()),
        Value::Document(document) => {
            let members = document.into_iter();
            Value::Document(members.fold(halibut::Document::new(), |all, (name, value)| {
                all.with(&name, with_content(value))
            }))
        }
        other => other,
    }
}

fn every_boundary(ours: Side) {
    let runtime = runtime();
    let mut count = 0;
    // The longest conversations are alike; one of each kind is enough here.
    for transcript in Transcript::conversations()
        .iter()
        .filter(|transcript| transcript.name != "listening-script-large")
    {
        for connection in 1..=transcript.connections() {
            let steps = dialogue(transcript, connection);
            for boundary in 0..=steps.len() {
                for trouble in [Trouble::Cut, Trouble::Stall] {
                    let (near, far) = tokio::io::duplex(1 << 20);
                    let took = runtime.block_on(async {
                        let begun = Instant::now();
                        let part = async {
                            match ours {
                                Side::Agent => agent(near, transcript).await,
                                Side::Server => server(near, transcript, &steps).await,
                            }
                            begun.elapsed()
                        };
                        let theirs = if ours == Side::Agent {
                            Side::Server
                        } else {
                            Side::Agent
                        };
                        let (took, ()) = tokio::join!(part, play(far, &steps[..boundary], theirs, trouble));
                        took
                    });
                    let most = if trouble == Trouble::Stall {
                        LONGEST
                    } else {
                        Duration::from_secs(150)
                    };
                    assert!(
                        took <= most,
                        "{} at step {boundary}: took {took:?}",
                        transcript.name
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count > 500, "{count} breaks");
}

#[test]
fn our_agent_survives_every_break() {
    every_boundary(Side::Agent);
}

#[test]
fn our_server_survives_every_break() {
    every_boundary(Side::Server);
}
