//! Recorded conversations of the original programs (`fixtures/transcripts/README.md`).

use std::path::Path;

use contracts::KNOWN_TYPES;
use halibut::protocol::Limits;
use halibut::protocol::deflate::Inflater;
use halibut::protocol::message::Message;
use serde_json::Value as Json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Server,
    Agent,
}

/// What passed, apart from who sent it on which connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Connected,
    /// Preamble, identity or control line, with its line ends.
    Line(String),
    /// A message as it was on the wire.
    Message(Vec<u8>),
    /// A frame of a data stream.
    Stream(Vec<u8>),
    /// Bytes outside of the dialogue.
    Raw(Vec<u8>),
    /// The side closed the connection.
    Close,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub connection: usize,
    /// Nobody in particular for `Connected`.
    pub from: Option<Side>,
    pub kind: Kind,
    pub seconds: f64,
}

#[derive(Debug, Clone)]
pub struct Transcript {
    pub name: String,
    pub listening: bool,
    pub steps: Vec<Step>,
}

impl Transcript {
    pub fn load(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transcripts");
        let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).expect(name);
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<Json>(line).expect("a line of JSON"));
        let head = lines.next().expect("a head");
        Self {
            name: name.to_owned(),
            listening: head["mode"] == "listening",
            steps: lines.map(|line| step(&line)).collect(),
        }
    }

    pub fn all() -> Vec<Self> {
        const NAMES: [&str; 30] = [
            "listening-discover",
            "listening-files",
            "listening-idle",
            "listening-no-file-service",
            "listening-script-cancel",
            "listening-script-fail",
            "listening-script-files",
            "listening-script-isolation",
            "listening-script-isolation-timeout",
            "listening-script-large",
            "listening-script-quick",
            "listening-script-slow",
            "listening-script-twice",
            "listening-script-unknown-ticket",
            "listening-untrusted",
            "listening-upload-error",
            "listening-v1-script",
            "polling-idle",
            "polling-no-file-service",
            "polling-reuse",
            "polling-script-fail",
            "polling-script-files",
            "polling-script-isolation",
            "polling-script-quick",
            "polling-script-restart",
            "polling-script-slow",
            "polling-script-unknown-ticket",
            "polling-script-wait",
            "polling-unknown-method",
            "polling-upload-error",
        ];
        NAMES.into_iter().map(Self::load).collect()
    }

    /// Those that hold calls which were answered or cancelled.
    pub fn conversations() -> Vec<Self> {
        let mut all = Self::all();
        all.retain(|transcript| {
            !["listening-discover", "listening-untrusted"].contains(&&transcript.name[..])
        });
        all
    }

    pub fn connections(&self) -> usize {
        self.steps.iter().map(|step| step.connection).max().unwrap_or(0)
    }

    /// The messages as BSON, with who sent them.
    pub fn messages(&self) -> Vec<(Side, Vec<u8>)> {
        let messages = self
            .steps
            .iter()
            .filter_map(|step| match (&step.kind, step.from) {
                (Kind::Message(wire), Some(side)) => Some((side, inflate(wire))),
                _ => None,
            });
        messages.collect()
    }
}

/// The BSON of a message that is whole and alone.
pub fn inflate(wire: &[u8]) -> Vec<u8> {
    let mut inflater = Inflater::new();
    let (used, whole) = inflater.feed(wire, &Limits::default()).expect("deflate");
    assert!(whole && used == wire.len(), "one message and nothing after it");
    inflater.take()
}

pub fn decode(bson: &[u8]) -> Message {
    Message::from_bson(bson, KNOWN_TYPES, &Limits::default()).expect("a message of the protocol")
}

fn step(line: &Json) -> Step {
    let bytes = || hex::decode(line["wire"].as_str().expect("bytes")).expect("hexadecimal");
    let kind = match line["kind"].as_str().expect("a kind") {
        "connected" => Kind::Connected,
        "preamble" | "identity" | "line" => Kind::Line(line["text"].as_str().expect("text").to_owned()),
        "message" => Kind::Message(bytes()),
        "stream" => Kind::Stream(bytes()),
        "raw" => Kind::Raw(bytes()),
        "close" | "broken" => Kind::Close,
        other => panic!("unknown step {other}"),
    };
    let from = match line["from"].as_str() {
        Some("server") => Some(Side::Server),
        Some("agent") => Some(Side::Agent),
        _ => None,
    };
    let connection = usize::try_from(line["connection"].as_u64().expect("a number")).expect("small");
    Step {
        connection,
        from,
        kind,
        seconds: line["seconds"].as_f64().unwrap_or(0.0),
    }
}
