//! Recordings played from the server's side against an agent: it takes the original's bytes and answers as
//! the original did.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::script_service::TicketAndSequence;
use contracts::{KNOWN_TYPES, ScriptTicket};
use halibut::protocol::deflate::Deflater;
use halibut::protocol::message::Message;
use halibut::{
    DataStream, Document, Identity, KnownTypes, Listener, ListenerOptions, PollingClient, PollingOptions,
    RequestMessage, ResponseMessage, Service, ServiceError, Trust, TrustList, Value,
};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::party::{identity, loopback, subscription, uri};
use crate::raw_tls;
use crate::transcript::{Kind, Side, Step, Transcript, decode, inflate};
use crate::wire::{Wire, content_of};

const PATIENCE: Duration = Duration::from_secs(30);

/// One request with its two answers.
pub struct Exchange {
    pub request: RequestMessage,
    /// None for a question that was not asked when it was recorded.
    pub recorded: Option<ResponseMessage>,
    pub recorded_contents: Vec<Vec<u8>>,
    pub ours: ResponseMessage,
    pub our_contents: Vec<Vec<u8>>,
}

impl Exchange {
    fn unfinished(request: RequestMessage, ours: ResponseMessage) -> Self {
        Self {
            request,
            recorded: None,
            recorded_contents: Vec::new(),
            ours,
            our_contents: Vec::new(),
        }
    }

    /// The ticket that an exchange with the script service is about.
    pub fn ticket(&self) -> Option<String> {
        let Some(Value::Document(parameter)) = self.request.params.first() else {
            return None;
        };
        ticket_of(parameter)
    }
}

/// An agent that can be dialled or dials, and can be stopped and started again.
pub trait PlayedAgent: Send {
    /// Starts it so that it trusts this Server, which listens at `polls` when the agent is to dial. Where it
    /// listens itself, if it does.
    fn start(
        &mut self,
        server: &Identity,
        polls: Option<SocketAddr>,
    ) -> impl Future<Output = Option<SocketAddr>> + Send;

    /// Stops it as its operator would.
    fn stop(&mut self) -> impl Future<Output = ()> + Send;
}

/// Plays one recording and gives the answers beside each other. Every line between them is compared here.
pub async fn play(transcript: &Transcript, server: &Identity, agent: &mut impl PlayedAgent) -> Vec<Exchange> {
    let name = &transcript.name;
    let listener = TcpListener::bind(loopback()).await.expect("a free port");
    let polls = (!transcript.listening).then(|| listener.local_addr().expect("bound"));
    let mut address = agent.start(server, polls).await;

    let begun = Instant::now();
    let mut wires: HashMap<usize, Wire> = HashMap::new();
    let mut requests: HashMap<usize, RequestMessage> = HashMap::new();
    let mut exchanges = Vec::new();
    for (position, step) in transcript.steps.iter().enumerate() {
        let said = || format!("{name}, step {position}");
        match (step.from, &step.kind) {
            (None, _) => {
                let wire = match address {
                    Some(address) => {
                        Wire::new(raw_tls::dial(address, Some(server)).await.expect("a handshake"))
                    }
                    None => {
                        let (stream, _) = timely(listener.accept(), &said()).await.expect("dialled");
                        Wire::new(raw_tls::accept(stream, server).await.expect("a handshake"))
                    }
                };
                wires.insert(step.connection, wire);
            }
            (Some(Side::Server), kind) => {
                tokio::time::sleep_until(begun + Duration::from_secs_f64(step.seconds)).await;
                let Some(wire) = wires.get_mut(&step.connection) else {
                    continue;
                };
                let mut asked = None;
                let bytes = match kind {
                    Kind::Line(text) => text.clone().into_bytes(),
                    Kind::Message(bytes) => match decode(&inflate(bytes)) {
                        Message::Request(request) => {
                            let (request, bytes) = follow_up(request, bytes, &exchanges);
                            asked = Some(request);
                            bytes
                        }
                        _ => bytes.clone(),
                    },
                    Kind::Stream(bytes) | Kind::Raw(bytes) => bytes.clone(),
                    Kind::Close | Kind::Connected => {
                        wires.remove(&step.connection);
                        continue;
                    }
                };
                assert!(wire.write(&bytes).await, "{}: the agent takes it", said());
                if let Some(request) = asked {
                    requests.insert(step.connection, request);
                }
            }
            (Some(Side::Agent), Kind::Line(text)) => {
                let Some(wire) = wires.get_mut(&step.connection) else {
                    continue;
                };
                if text == "END\r\n" {
                    // How an agent takes its leave is its own affair.
                    continue;
                }
                let line = if text.starts_with("MX\n") || text.starts_with("MX\r") {
                    timely(wire.preamble(), &said())
                        .await
                        .map(|preamble| preamble.replace('\r', ""))
                } else if text.starts_with("MX") {
                    timely(wire.identity(), &said()).await
                } else {
                    timely(wire.line(), &said()).await
                };
                assert_eq!(line.as_ref(), Some(text), "{}", said());
            }
            (Some(Side::Agent), Kind::Message(bytes)) => {
                let wire = wires.get_mut(&step.connection).expect("an open connection");
                let Message::Response(recorded) = decode(&inflate(bytes)) else {
                    panic!("an answer")
                };
                let request = requests.remove(&step.connection).expect("a request before");
                let (mut ours, our_contents) = answer(wire, &request.id, &said()).await;
                // On a loaded machine a script may take longer than it did when it was recorded.
                while let (Some(2), Some(0 | 1)) = (state_of(&recorded), state_of(&ours)) {
                    assert!(
                        begun.elapsed() < PATIENCE * 2,
                        "{}: the script does not end",
                        said()
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let asks = status_request(&request);
                    exchanges.push(Exchange::unfinished(asks, ours));
                    let asks = status_request(&request);
                    if transcript.listening {
                        assert!(wire.write(b"NEXT\r\n").await);
                        assert_eq!(timely(wire.line(), &said()).await.as_deref(), Some("PROCEED\r\n"));
                    } else {
                        assert_eq!(timely(wire.line(), &said()).await.as_deref(), Some("NEXT\r\n"));
                        assert!(wire.write(b"PROCEED\r\n").await);
                    }
                    let mut bytes = Vec::new();
                    Deflater::new().deflate(&asks.to_bson(), &mut bytes);
                    assert!(wire.write(&bytes).await);
                    (ours, _) = answer(wire, &asks.id, &said()).await;
                }
                let recorded_contents = contents_after(&transcript.steps, position);
                exchanges.push(Exchange {
                    request,
                    recorded: Some(recorded),
                    recorded_contents,
                    ours,
                    our_contents,
                });
            }
            (Some(Side::Agent), Kind::Close) => {
                let server_closes_too = transcript.steps[..position].iter().any(|other| {
                    other.connection == step.connection
                        && other.from == Some(Side::Server)
                        && other.kind == Kind::Close
                });
                let more = transcript.steps[position..]
                    .iter()
                    .any(|other| other.kind == Kind::Connected);
                if !server_closes_too && more {
                    wires.remove(&step.connection);
                    agent.stop().await;
                    address = agent.start(server, polls).await;
                }
            }
            (Some(Side::Agent), _) => {}
        }
    }
    drop(wires);
    agent.stop().await;
    exchanges
}

async fn answer(wire: &mut Wire, id: &str, what: &str) -> (ResponseMessage, Vec<Vec<u8>>) {
    let bson = timely(wire.bson(), what).await.expect("an answer");
    let Message::Response(ours) = decode(&bson) else {
        panic!("{what}: an answer")
    };
    assert_eq!(ours.id, id, "{what}");
    let mut contents = Vec::new();
    for _ in ours.streams() {
        contents.push(timely(wire.content(), what).await.expect("content"));
    }
    (ours, contents)
}

/// The recorded server asked for what came after the lines that its agent had given; ours may have given more
/// or fewer.
fn follow_up(mut request: RequestMessage, wire: &[u8], exchanges: &[Exchange]) -> (RequestMessage, Vec<u8>) {
    let Some(Value::Document(parameter)) = request.params.first_mut() else {
        return (request, wire.to_vec());
    };
    let asked_after = parameter
        .get("LastLogSequence")
        .and_then(Value::as_i64)
        .filter(|sequence| *sequence > 0);
    let ticket = ticket_of(parameter);
    let given = exchanges
        .iter()
        .rev()
        .find(|exchange| exchange.ticket() == ticket)
        .and_then(|exchange| {
            let Ok(Value::Document(status)) = &exchange.ours.result else {
                return None;
            };
            status.get("NextLogSequence").and_then(Value::as_i64)
        });
    let (Some(_), Some(given)) = (asked_after, given) else {
        return (request, wire.to_vec());
    };
    // It is the last member, as it was.
    drop(parameter.take("LastLogSequence"));
    *parameter = std::mem::take(parameter).with("LastLogSequence", Value::Int64(given));
    let mut bytes = Vec::new();
    Deflater::new().deflate(&request.to_bson(), &mut bytes);
    (request, bytes)
}

/// A question about the script of that request, for all of its log.
fn status_request(request: &RequestMessage) -> RequestMessage {
    let Some(Value::Document(parameter)) = request.params.first() else {
        panic!("a script")
    };
    let ticket = ScriptTicket::parse(&ticket_of(parameter).expect("a ticket")).expect("a ticket");
    let asks = TicketAndSequence {
        ticket,
        last_log_sequence: 0,
    };
    RequestMessage::new("IScriptServiceV2", "GetStatus", vec![asks.into_status_request()])
}

fn ticket_of(parameter: &Document) -> Option<String> {
    let ticket = parameter
        .get("ScriptTicket")
        .or_else(|| parameter.get("Ticket"))?;
    let Value::Document(ticket) = ticket else {
        return None;
    };
    Some(ticket.get("TaskId")?.as_str()?.to_owned())
}

fn state_of(response: &ResponseMessage) -> Option<i64> {
    let Ok(Value::Document(status)) = &response.result else {
        return None;
    };
    status.get("State").and_then(Value::as_i64)
}

async fn timely<T>(work: impl Future<Output = T>, what: &str) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing came"))
}

fn contents_after(steps: &[Step], position: usize) -> Vec<Vec<u8>> {
    let of_this = steps[position + 1..]
        .iter()
        .filter(|step| step.connection == steps[position].connection);
    let contents = of_this.map_while(|step| {
        if let Kind::Stream(frame) = &step.kind {
            Some(content_of(frame))
        } else {
            None
        }
    });
    contents.collect()
}

/// Halibut's own listener and polling client around a service that answers as recorded.
struct Recorded {
    identity: Identity,
    service: Arc<RecordedService>,
    listener: Option<Listener>,
    polling: Option<PollingClient>,
}

/// Recorded answers by service and method, in order.
pub struct RecordedService(Mutex<Vec<RecordedCall>>);

struct RecordedCall {
    service: String,
    method: String,
    answer: Option<RecordedAnswer>,
}

type RecordedAnswer = (ResponseMessage, Vec<Vec<u8>>);

impl RecordedService {
    pub fn of(transcript: &Transcript) -> Self {
        let mut answers = Vec::new();
        for (position, step) in transcript.steps.iter().enumerate() {
            let Kind::Message(bytes) = &step.kind else {
                continue;
            };
            let Message::Request(request) = decode(&inflate(bytes)) else {
                continue;
            };
            let later = transcript.steps.iter().enumerate().skip(position + 1);
            let answer = later
                .filter(|(_, other)| other.connection == step.connection)
                .find_map(|(position, other)| match &other.kind {
                    Kind::Message(bytes) => match decode(&inflate(bytes)) {
                        Message::Response(response) => {
                            Some(Some((response, contents_after(&transcript.steps, position))))
                        }
                        _ => None,
                    },
                    Kind::Close => Some(None),
                    _ => None,
                });
            answers.push(RecordedCall {
                service: request.service,
                method: request.method,
                answer: answer.flatten(),
            });
        }
        Self(Mutex::new(answers))
    }
}

#[async_trait]
impl Service for RecordedService {
    async fn call(&self, service: &str, method: &str, _: Vec<Value>) -> Result<Value, ServiceError> {
        let answer = {
            let mut answers = self.0.lock().expect("whole");
            let at = answers
                .iter()
                .position(|call| call.service == service && call.method == method)
                .expect("a recorded call");
            answers.remove(at).answer
        };
        // What was never answered was cancelled, and nobody waits for it.
        let Some((response, mut contents)) = answer else {
            tokio::time::sleep(Duration::from_secs(20)).await;
            return Ok(Value::Null);
        };
        match response.result {
            Ok(Value::Stream(_)) => Ok(Value::Stream(DataStream::from_bytes(contents.remove(0)))),
            Ok(value) => Ok(value),
            Err(error) if error.message.starts_with("Service not found") => {
                Err(ServiceError::service_not_found(service))
            }
            Err(error) if error.message.starts_with("Method ") => {
                Err(ServiceError::method_not_found(service, method))
            }
            Err(error) => Err(ServiceError::threw(
                "System.UnauthorizedAccessException",
                error.message,
            )),
        }
    }

    fn known_types(&self) -> KnownTypes {
        KNOWN_TYPES
    }
}

impl PlayedAgent for Recorded {
    async fn start(&mut self, server: &Identity, polls: Option<SocketAddr>) -> Option<SocketAddr> {
        let service = Arc::clone(&self.service) as Arc<dyn Service>;
        if let Some(address) = polls {
            let options = PollingOptions::new(
                uri(address),
                server.thumbprint().clone(),
                subscription(),
                self.identity.clone(),
                service,
            );
            self.polling = Some(PollingClient::start(options).expect("a usable certificate"));
            return None;
        }
        let trust: Arc<dyn Trust> = Arc::new(TrustList::of([server.thumbprint().clone()]));
        let mut options = ListenerOptions::new(loopback(), self.identity.clone(), trust);
        options.answering.service = Some(service);
        self.listener = Some(Listener::bind(options).expect("a free port"));
        self.listener.as_ref().map(Listener::address)
    }

    async fn stop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.close().await;
        }
        if let Some(polling) = self.polling.take() {
            polling.close().await;
        }
    }
}

#[tokio::test]
async fn a_service_of_ours_is_heard_as_the_original_was() {
    let server = identity();
    let plays = Transcript::conversations().into_iter().map(|transcript| {
        let server = server.clone();
        tokio::spawn(async move {
            let service = Arc::new(RecordedService::of(&transcript));
            let mut agent = Recorded {
                identity: identity(),
                service,
                listener: None,
                polling: None,
            };
            for exchange in play(&transcript, &server, &mut agent).await {
                let Exchange {
                    recorded,
                    recorded_contents,
                    ours,
                    our_contents,
                    ..
                } = exchange;
                assert!(our_contents == recorded_contents, "{}", transcript.name);
                match (ours.result, recorded.expect("nothing is asked anew").result) {
                    (Err(ours), Err(recorded)) => {
                        assert_eq!(
                            (ours.kind(), ours.error_type),
                            (recorded.kind(), recorded.error_type)
                        );
                    }
                    (ours, recorded) => assert_eq!(
                        format!("{ours:?}"),
                        format!("{recorded:?}"),
                        "{}",
                        transcript.name
                    ),
                }
            }
        })
    });
    for play in plays.collect::<Vec<_>>() {
        play.await.expect("the conversation is held as recorded");
    }
}
