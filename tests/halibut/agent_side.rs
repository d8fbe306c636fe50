//! Recordings played from the agent's side against our Server's caller: it asks what the original asked, in
//! the same conversation, and understands what the original answered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::{AgentClient, CapabilityCache, KNOWN_TYPES};
use halibut::protocol::deflate::Deflater;
use halibut::protocol::message::Message;
use halibut::{
    Caller, Endpoint, Identity, Listener, ListenerOptions, RequestMessage, ResponseMessage, Settings,
    Subscriptions, Trust, TrustList,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::asked::{Outcome, ask, expected};
use crate::party::{identity, loopback, subscription, uri};
use crate::raw_tls;
use crate::transcript::{Kind, Side, Step, Transcript, decode};
use crate::wire::{Wire, content_of};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn our_server_holds_every_recorded_conversation() {
    let plays = Transcript::conversations()
        .into_iter()
        .map(|transcript| tokio::spawn(play(transcript)));
    for play in plays.collect::<Vec<_>>() {
        play.await.expect("the conversation is held as recorded");
    }
}

#[tokio::test]
async fn an_agent_that_does_not_trust_us_is_asked_five_times() {
    let transcript = Transcript::load("listening-untrusted");
    let (server, agent) = (identity(), identity());
    let listener = TcpListener::bind(loopback()).await.expect("a free port");
    let mut settings = Settings::default();
    settings.timeouts.attempt_pause = Duration::from_millis(20);
    let caller = Caller::new(&server, Arc::default(), settings).expect("a usable certificate");
    let endpoint = Endpoint::Listening {
        uri: uri(listener.local_addr().expect("bound")),
        thumbprint: agent.thumbprint().clone(),
    };
    let times = transcript.connections();
    let distrusts = tokio::spawn(async move {
        for _ in 0..times {
            let (stream, _) = listener.accept().await.expect("dialled");
            let mut wire = Wire::new(raw_tls::accept(stream, &agent).await.expect("a handshake"));
            assert_eq!(wire.preamble().await.expect("a preamble"), "MX\r\n\r\n");
            assert_eq!(
                wire.identity().await.expect("an identity"),
                "MX-CLIENT 1.0\r\n\r\n"
            );
        }
        tokio::time::timeout(Duration::from_millis(300), listener.accept())
            .await
            .expect_err("no sixth time");
    });
    let request = RequestMessage::new("ICapabilitiesServiceV2", "GetCapabilities", Vec::new());
    let error = caller
        .call(&endpoint, request, &CancellationToken::new())
        .await
        .expect_err("not trusted");
    assert!(
        error.certainly_not_executed() && error.to_string().contains("trusts"),
        "{error}"
    );
    distrusts.await.expect("asked five times");
}

/// What passed on each connection, in words.
type Notes = Arc<Mutex<Vec<Vec<String>>>>;

/// A request that arrived at the played agent, and the way to its answer.
struct Arrived {
    request: RequestMessage,
    contents: Vec<Vec<u8>>,
    answer: oneshot::Sender<Answer>,
}

struct Answer {
    response: ResponseMessage,
    frames: Vec<Vec<u8>>,
    then_stops: bool,
}

struct Outstanding {
    connection: usize,
    recorded: RequestMessage,
    answer: oneshot::Sender<Answer>,
    call: JoinHandle<Outcome>,
    cancel: CancellationToken,
}

async fn play(transcript: Transcript) {
    let name = &transcript.name;
    let (server, agent) = (identity(), identity());
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (beat, mut heartbeats) = mpsc::unbounded_channel();
    let played = Played {
        agent: agent.clone(),
        arrived,
        beat,
        notes: Notes::default(),
    };

    let subscriptions = Arc::new(Subscriptions::new());
    let mut settings = Settings {
        known_types: KNOWN_TYPES,
        ..Settings::default()
    };
    settings.timeouts.heartbeat = Duration::from_secs(2);
    let caller =
        Arc::new(Caller::new(&server, Arc::clone(&subscriptions), settings.clone()).expect("usable"));
    // Whichever party is dialled.
    let mut our_listener = None;
    let endpoint = if transcript.listening {
        let listener = TcpListener::bind(loopback()).await.expect("a free port");
        let uri = uri(listener.local_addr().expect("bound"));
        tokio::spawn(played.clone().listen(listener));
        Endpoint::Listening {
            uri,
            thumbprint: agent.thumbprint().clone(),
        }
    } else {
        let trust = Arc::new(TrustList::new());
        trust.bind(subscription(), agent.thumbprint().clone());
        let mut options = ListenerOptions::new(loopback(), server, trust as Arc<dyn Trust>);
        options.answering.subscriptions = Some(subscriptions);
        options.settings = settings;
        our_listener = Some(Listener::bind(options).expect("a free port"));
        Endpoint::Polling {
            subscription: subscription(),
            thumbprint: agent.thumbprint().clone(),
        }
    };
    let client = AgentClient::new(Arc::clone(&caller), endpoint, Arc::new(CapabilityCache::new()));

    let mut outstanding: Vec<Outstanding> = Vec::new();
    for (position, step) in transcript.steps.iter().enumerate() {
        match (step.from, &step.kind) {
            (None, Kind::Connected) => {
                if let Some(listener) = &our_listener {
                    tokio::spawn(played.clone().poll(listener.address()));
                }
            }
            (Some(Side::Server), Kind::Message(wire)) => match decode(&crate::transcript::inflate(wire)) {
                Message::Heartbeat => {
                    tokio::time::timeout(PATIENCE, heartbeats.recv())
                        .await
                        .expect("a heartbeat");
                }
                Message::Request(recorded) => {
                    let contents = frames_after(&transcript.steps, position);
                    let contents: Vec<_> = contents.iter().map(|frame| content_of(frame)).collect();
                    let cancel = CancellationToken::new();
                    let call = {
                        let Message::Request(again) = decode(&crate::transcript::inflate(wire)) else {
                            unreachable!()
                        };
                        let (client, caller, cancel) = (client.clone(), Arc::clone(&caller), cancel.clone());
                        let contents = contents.clone();
                        tokio::spawn(async move { ask(&client, &caller, again, contents, &cancel).await })
                    };
                    let arrived = tokio::time::timeout(PATIENCE, arrivals.recv())
                        .await
                        .expect("a request soon");
                    let arrived: Arrived = arrived.expect("a request");
                    assert_eq!(shape(&arrived.request), shape(&recorded), "{name}");
                    assert!(arrived.contents == contents, "{name}: the streams differ");
                    let connection = step.connection;
                    outstanding.push(Outstanding {
                        connection,
                        recorded,
                        answer: arrived.answer,
                        call,
                        cancel,
                    });
                }
                Message::Response(_) => panic!("a server that answers"),
            },
            (Some(Side::Agent), Kind::Message(wire)) => {
                let at = outstanding
                    .iter()
                    .position(|call| call.connection == step.connection);
                let Outstanding {
                    recorded,
                    answer,
                    call,
                    ..
                } = outstanding.remove(at.expect("a request before"));
                let Message::Response(response) = decode(&crate::transcript::inflate(wire)) else {
                    panic!("an answer")
                };
                let Message::Response(again) = decode(&crate::transcript::inflate(wire)) else {
                    panic!("an answer")
                };
                let frames = frames_after(&transcript.steps, position);
                let contents: Vec<_> = frames.iter().map(|frame| content_of(frame)).collect();
                let then_stops =
                    !transcript.listening && stops_after(&transcript.steps[position..], step.connection);
                assert!(
                    answer
                        .send(Answer {
                            response,
                            frames,
                            then_stops
                        })
                        .is_ok(),
                    "{name}: the agent still has it"
                );
                let outcome = tokio::time::timeout(PATIENCE, call)
                    .await
                    .expect("an answer soon")
                    .expect("ran");
                assert_eq!(outcome, expected(&recorded, again, &contents), "{name}");
            }
            (Some(Side::Server), Kind::Close) => {
                // Only a cancelled call leaves a request without answer.
                while let Some(at) = outstanding
                    .iter()
                    .position(|call| call.connection == step.connection)
                {
                    let Outstanding { call, cancel, .. } = outstanding.remove(at);
                    cancel.cancel();
                    assert_eq!(call.await.expect("ran"), Outcome::Cancelled, "{name}");
                }
            }
            _ => {}
        }
    }
    caller.client().close().await;
    let wanted = words_of(&transcript);
    let held = || arranged(&transcript, &played.notes.lock().expect("whole"));
    for _ in 0..400 {
        if held() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(held(), wanted, "{name}");
}

/// An agent that says what the conductor hands it.
#[derive(Clone)]
struct Played {
    agent: Identity,
    arrived: mpsc::UnboundedSender<Arrived>,
    beat: mpsc::UnboundedSender<()>,
    notes: Notes,
}

impl Played {
    async fn listen(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let played = self.clone();
            tokio::spawn(async move {
                let stream = raw_tls::accept(stream, &played.agent).await.expect("a handshake");
                played.converse_listening(Wire::new(stream)).await;
            });
        }
    }

    async fn converse_listening(&self, mut wire: Wire) -> Option<()> {
        let notes = self.open_notes();
        self.note(notes, "server", &wire.preamble().await?);
        self.note(notes, "server", &wire.identity().await?);
        self.say(notes, &mut wire, "MX-SERVER 1.0\r\n\r\n").await;
        loop {
            let Message::Request(request) = decode(&wire.bson().await?) else {
                panic!("a request")
            };
            self.answer(notes, &mut wire, request).await?;
            let line = wire.line().await?;
            self.note(notes, "server", &line);
            if line == "END\r\n" {
                return Some(());
            }
            assert_eq!(line, "NEXT\r\n");
            self.say(notes, &mut wire, "PROCEED\r\n").await;
        }
    }

    async fn poll(self, server: std::net::SocketAddr) -> Option<()> {
        let stream = raw_tls::dial(server, Some(&self.agent))
            .await
            .expect("a handshake");
        let mut wire = Wire::new(stream);
        let notes = self.open_notes();
        self.say(notes, &mut wire, "MX\n\n").await;
        self.say(
            notes,
            &mut wire,
            "MX-SUBSCRIBER 1.0 poll://abcdefghjklmnpqrstuv/\r\n\r\n",
        )
        .await;
        self.note(notes, "server", &wire.identity().await?);
        loop {
            let mut then_stops = false;
            match decode(&wire.bson().await?) {
                Message::Heartbeat => {
                    self.note(notes, "server", "heartbeat");
                    self.beat.send(()).expect("the conductor waits");
                }
                Message::Request(request) => then_stops = self.answer(notes, &mut wire, request).await?,
                Message::Response(_) => panic!("a server that answers"),
            }
            self.say(notes, &mut wire, "NEXT\r\n").await;
            if then_stops {
                wire.write(b"END\r\n").await;
                return Some(());
            }
            self.note(notes, "server", &wire.line().await?);
        }
    }

    /// Whether the agent stops after it.
    async fn answer(&self, notes: usize, wire: &mut Wire, request: RequestMessage) -> Option<bool> {
        self.note(
            notes,
            "server",
            &format!("{}.{}", request.service, request.method),
        );
        let mut contents = Vec::new();
        for _ in request.streams() {
            contents.push(wire.content().await?);
            self.note(
                notes,
                "server",
                &format!("stream of {}", contents.last().map_or(0, Vec::len)),
            );
        }
        let (answer, answered) = oneshot::channel();
        let id = request.id.clone();
        self.arrived
            .send(Arrived {
                request,
                contents,
                answer,
            })
            .expect("the conductor waits");
        // Without an answer the connection ends: the call was cancelled.
        let Answer {
            mut response,
            frames,
            then_stops,
        } = answered.await.ok()?;
        response.id = id;
        let mut bytes = Vec::new();
        Deflater::new().deflate(&response.to_bson(), &mut bytes);
        self.note(notes, "agent", "answer");
        for frame in frames {
            self.note(notes, "agent", &format!("stream of {}", content_of(&frame).len()));
            bytes.extend(frame);
        }
        wire.write(&bytes).await.then_some(then_stops)
    }

    async fn say(&self, notes: usize, wire: &mut Wire, text: &str) {
        wire.write(text.as_bytes()).await;
        self.note(notes, "agent", text);
    }

    fn open_notes(&self) -> usize {
        let mut notes = self.notes.lock().expect("whole");
        notes.push(Vec::new());
        notes.len() - 1
    }

    fn note(&self, connection: usize, who: &str, what: &str) {
        self.notes.lock().expect("whole")[connection].push(word(who, what));
    }
}

/// Newlines of the preamble are the sender's own.
fn word(who: &str, what: &str) -> String {
    format!("{who}: {}", what.trim_end())
}

/// What the recording holds for each connection, without ids. Which of two connections of equal content came
/// first does not matter.
fn words_of(transcript: &Transcript) -> Vec<Vec<String>> {
    let mut words = vec![Vec::new(); transcript.connections()];
    for step in &transcript.steps {
        let Some(side) = step.from else { continue };
        let who = if side == Side::Server { "server" } else { "agent" };
        let what = match &step.kind {
            Kind::Line(text) if side == Side::Agent && text == "END\r\n" => continue,
            Kind::Line(text) => text.clone(),
            Kind::Message(wire) => match decode(&crate::transcript::inflate(wire)) {
                Message::Heartbeat => "heartbeat".to_owned(),
                Message::Request(request) => format!("{}.{}", request.service, request.method),
                Message::Response(_) => "answer".to_owned(),
            },
            Kind::Stream(frame) => format!("stream of {}", content_of(frame).len()),
            Kind::Connected | Kind::Raw(_) | Kind::Close => continue,
        };
        words[step.connection - 1].push(word(who, &what));
    }
    arranged(transcript, &words)
}

/// Connections in an order of their own; when calls overlap, which of the connections serves which of them
/// does not matter either.
fn arranged(transcript: &Transcript, words: &[Vec<String>]) -> Vec<Vec<String>> {
    let last_of_first = transcript
        .steps
        .iter()
        .rposition(|step| step.connection == 1 && step.kind != Kind::Close);
    let first_of_second = transcript.steps.iter().position(|step| step.connection == 2);
    let overlap = first_of_second.is_some_and(|second| Some(second) < last_of_first);
    let mut words = if overlap {
        words.concat().into_iter().map(|word| vec![word]).collect()
    } else {
        words.to_vec()
    };
    words.sort();
    words
}

/// All of a request that does not vary: ids of streams, of the call and the destination do.
fn shape(request: &RequestMessage) -> String {
    format!("{} {} {:?}", request.service, request.method, request.params)
}

fn frames_after(steps: &[Step], position: usize) -> Vec<Vec<u8>> {
    let of_this = steps[position + 1..]
        .iter()
        .filter(|step| step.connection == steps[position].connection);
    let frames = of_this.map_while(|step| {
        if let Kind::Stream(frame) = &step.kind {
            Some(frame.clone())
        } else {
            None
        }
    });
    frames.collect()
}

fn stops_after(steps: &[Step], connection: usize) -> bool {
    let mut next = steps.iter().skip(1).filter(|step| step.connection == connection);
    let line =
        |step: Option<&Step>, text: &str| step.is_some_and(|step| step.kind == Kind::Line(text.to_owned()));
    line(next.next(), "NEXT\r\n") && line(next.next(), "END\r\n")
}
