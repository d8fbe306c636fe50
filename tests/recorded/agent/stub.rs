//! The recording server: answers as the recorded one did, and writes down what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// More than any request has.
const LONGEST_BODY: usize = 1 << 22;
/// Headers that say who asks.
const CREDENTIALS: [&str; 3] = ["X-Octopus-ApiKey", "Authorization", "Cookie"];

/// A request as it came, with a method that an override names in its place.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// `comms:10943`, `api:80`, …: where it came in.
    pub listener: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// What the listeners share.
#[derive(Default)]
pub struct Stub {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What answers when nothing was recorded.
    fixture: Value,
    /// The recorded requests, with their answers, and whether each was given.
    script: Vec<(Value, bool)>,
    /// What was made by a POST that was not recorded.
    made: BTreeMap<String, Value>,
    seen: Vec<Request>,
    refuses_tunnels: bool,
}

impl Stub {
    /// Starts the listeners that a case needs.
    ///
    /// # Errors
    /// When a port is taken.
    pub fn start(fixture: &Value, case: &Value, tls: &Arc<ServerConfig>) -> Result<Arc<Self>, String> {
        let difference = case["server"].as_str().unwrap_or_default();
        let stub = Arc::new(Self::default());
        {
            let mut state = stub.lock();
            state.fixture = fixture.clone();
            state.refuses_tunnels = difference.contains("501");
        }
        let mut ports = vec![(10999, "comms", true)];
        if !difference.contains("nothing listens on the comms port") {
            ports.push((10943, "comms", true));
        }
        if !fixture.is_null() {
            ports.extend([(80, "api", false), (8081, "api", false), (443, "api", true)]);
        }
        for (port, name, is_tls) in ports {
            let listener =
                TcpListener::bind(("0.0.0.0", port)).map_err(|why| format!("port {port}: {why}"))?;
            let (stub, tls) = (Arc::clone(&stub), is_tls.then(|| Arc::clone(tls)));
            thread::spawn(move || {
                let name = format!("{name}:{port}");
                for stream in listener.incoming().flatten() {
                    let (stub, name, tls) = (Arc::clone(&stub), name.clone(), tls.clone());
                    thread::spawn(move || stub.serve(stream, &name, tls));
                }
            });
        }
        Ok(stub)
    }

    /// From now on the recorded answers of a case count, and its requests are written down.
    pub fn record(&self, requests: &Value) {
        let mut state = self.lock();
        let recorded = requests.as_array().into_iter().flatten();
        state.script = recorded.map(|request| (request.clone(), false)).collect();
        state.seen.clear();
    }

    /// What was asked since then.
    pub fn seen(&self) -> Vec<Request> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A connection; one that breaks off is over, and the missing request shows in the comparison.
    fn serve(&self, stream: TcpStream, listener: &str, tls: Option<Arc<ServerConfig>>) {
        match tls {
            Some(config) => {
                if let Ok(connection) = ServerConnection::new(config) {
                    self.converse(BufReader::new(StreamOwned::new(connection, stream)), listener);
                }
            }
            None => self.converse(BufReader::new(stream), listener),
        }
    }

    fn converse<S: Read + Write>(&self, mut stream: BufReader<S>, listener: &str) {
        while let Some(mut request) = read(&mut stream, listener) {
            if request.method == "CONNECT" {
                let line = if self.lock().refuses_tunnels {
                    "501 Not Implemented"
                } else {
                    "502 Bad Gateway"
                };
                let answer = format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.get_mut().write_all(answer.as_bytes());
                return;
            }
            if let Some(method) = request.headers.get("x-http-method-override") {
                request.method.clone_from(method);
            }
            let (status, answer, cookies) = self.answer(&request);
            let text = match &answer {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let kind = if text.starts_with('<') {
                "text/html"
            } else {
                "application/json"
            };
            let head = format!(
                "HTTP/1.1 {status} Recorded\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{cookies}\r\n",
                text.len()
            );
            let stream = stream.get_mut();
            if stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(text.as_bytes()))
                .is_err()
                || stream.flush().is_err()
            {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> (u64, Value, String) {
        let mut state = self.lock();
        state.seen.push(request.clone());
        let mut cookies = String::new();
        if request.target == "/api/users/login" {
            let installation = "11111111-2222-3333-4444-555555555555";
            for (name, value) in [
                ("OctopusIdentificationToken", "token"),
                ("Octopus-Csrf-Token", "csrf"),
            ] {
                cookies.push_str(&format!("Set-Cookie: {name}_{installation}={value}; path=/\r\n"));
            }
        }
        let same = |recorded: &Value| {
            let address = recorded["target"].as_str().unwrap_or_default();
            method(recorded) == request.method && target(address) == request.target
        };
        // One that was asked before the sign-in was answered otherwise.
        let proves = CREDENTIALS
            .iter()
            .any(|name| request.headers.contains_key(&name.to_lowercase()));
        let same_proof = |recorded: &Value| {
            proves
                == CREDENTIALS
                    .iter()
                    .any(|name| recorded["headers"][name].is_string())
        };
        let script = &state.script;
        let place = script
            .iter()
            .position(|(recorded, given)| !given && same(recorded) && same_proof(recorded))
            .or_else(|| {
                script
                    .iter()
                    .position(|(recorded, given)| !given && same(recorded))
            })
            .or_else(|| script.iter().rposition(|(recorded, _)| same(recorded)));
        if let Some(place) = place {
            state.script[place].1 = true;
            let recorded = state.script[place].0.clone();
            let status = recorded["status"].as_u64().unwrap_or(200);
            let answer = match recorded.get("answer") {
                Some(answer) => answer.clone(),
                None => state.fixture["answers"][&request.target].clone(),
            };
            return (status, answer, cookies);
        }
        let (status, answer) = state.unrecorded(request);
        (status, answer, cookies)
    }
}

impl State {
    fn unrecorded(&mut self, request: &Request) -> (u64, Value) {
        if request.target == "/handshake" {
            return (200, Value::Null);
        }
        if let Some(answer) = self.made.get(&request.target) {
            return (200, answer.clone());
        }
        if request.method == "POST"
            && let Ok(mut body) = serde_json::from_str::<Value>(&request.body)
            && body.is_object()
        {
            let kind = if request.target.ends_with("workers") {
                "Workers"
            } else {
                "Machines"
            };
            let id = format!("{kind}-101");
            let own = format!("{}/{id}", request.target);
            body["Id"] = json!(id);
            body["Links"] = json!({"Self": own});
            self.made.insert(own, body.clone());
            return (201, body);
        }
        match self.fixture["answers"].get(&request.target) {
            Some(answer) => (200, answer.clone()),
            None => (
                404,
                json!({"ErrorMessage": "There is no such thing.", "Errors": []}),
            ),
        }
    }
}

/// The method of a recorded request, or the one that an override names.
pub fn method(recorded: &Value) -> &str {
    let named = recorded["headers"]["X-HTTP-Method-Override"].as_str();
    named.or(recorded["method"].as_str()).unwrap_or_default()
}

/// A target without the address that a request to a proxy has before it.
pub fn target(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("http://") else {
        return text;
    };
    rest.find('/').map_or("/", |start| &rest[start..])
}

fn read(stream: &mut impl BufRead, listener: &str) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, address) = (words.next()?.to_owned(), words.next()?.to_owned());
    if !words.next()?.starts_with("HTTP/1") {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers
        .get("content-length")
        .map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length.min(LONGEST_BODY)];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        target: target(&address).to_owned(),
        listener: listener.to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
