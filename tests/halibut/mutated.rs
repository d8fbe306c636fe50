//! Recorded bytes, mutated at random: whatever arrives, a decoder answers with a value or an error, within
//! bounds. Seconds for each kind are in `MANTLE_FUZZ_SECONDS` (2 when unset); a failure names the seed that
//! repeats it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::KNOWN_TYPES;
use halibut::dialogue::{Connection, answer_client, answer_subscriber, poll, read_greeting, read_opening};
use halibut::protocol::Limits;
use halibut::protocol::control_line::{ControlLine, Greeting, first_line, preamble_end};
use halibut::protocol::data_stream::{FrameHeader, HEADER_LENGTH};
use halibut::protocol::deflate::{Deflater, Inflater};
use halibut::protocol::message::Message;
use halibut::rpc::PendingRequestQueue;
use halibut::{RequestMessage, Service, Settings, Timeouts};
use tokio::io::AsyncWriteExt;

use crate::party::{Echo, subscription};
use crate::transcript::{Kind, Side, Transcript};

/// A small generator of the xorshift family; what it gives depends on its seed only.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).expect("48 bits") % limit.max(1)
    }

    /// Changes, removes, repeats, and inserts.
    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            let length = self.below(16).min(bytes.len() - at);
            match self.below(8) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = u8::try_from(self.next() & 0xff).expect("a byte"),
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..at + length)),
                4 => {
                    let copy = bytes[at..at + length].to_vec();
                    bytes.splice(at..at, copy);
                }
                5 => {
                    const EDGES: [i64; 8] =
                        [0, -1, 1, 4, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];
                    let width = if self.below(2) == 0 { 4 } else { 8 };
                    let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                    let end = (at + width).min(bytes.len());
                    let count = end - at;
                    bytes[at..end].copy_from_slice(&edge[..count]);
                }
                6 if !other.is_empty() => {
                    let from = self.below(other.len());
                    let to = (from + self.below(64)).min(other.len());
                    bytes.splice(at..at, other[from..to].to_vec());
                }
                _ => bytes.insert(at, b"\r\n \0$M"[self.below(6)]),
            }
        }
    }
}

/// Feeds mutations of `samples` to `decode` for the time given, from seeds that are printed when one of them
/// fails.
fn feed(what: &str, samples: &[Vec<u8>], mut decode: impl FnMut(&[u8], &mut Random)) {
    let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2.0);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut seed = 1_u64;
    while Instant::now() < until {
        for _ in 0..64 {
            let told = Told(what, seed);
            let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
            let mut bytes = samples[random.below(samples.len())].clone();
            let other = &samples[random.below(samples.len())];
            random.mutate(&mut bytes, other);
            decode(&bytes, &mut random);
            std::mem::forget(told);
            seed += 1;
        }
    }
    println!("{what}: {seed} mutations");
}

/// Names the seed when a decoder panics.
struct Told<'a>(&'a str, u64);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!("{}: seed {}", self.0, self.1);
    }
}

fn samples(of: impl Fn(&Kind) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut samples: Vec<_> = Transcript::all()
        .iter()
        .flat_map(|transcript| {
            transcript
                .steps
                .iter()
                .filter_map(|step| of(&step.kind))
                .collect::<Vec<_>>()
        })
        .collect();
    samples.sort();
    samples.dedup();
    samples
}

#[test]
fn control_lines() {
    let lines = samples(|kind| {
        if let Kind::Line(text) = kind {
            Some(text.clone().into_bytes())
        } else {
            None
        }
    });
    feed("control lines", &lines, |bytes, _| {
        assert!(preamble_end(bytes).is_none_or(|end| end <= bytes.len()));
        let mut rest = bytes;
        while let Ok(Some((line, used))) = first_line(rest) {
            assert!(used <= rest.len() && line.len() < used);
            let known = ControlLine::parse(line).is_ok();
            assert!(
                !(known && Greeting::parse(line).is_ok()),
                "a line has one meaning"
            );
            rest = &rest[used..];
        }
    });
}

#[test]
fn messages() {
    let wires = samples(|kind| {
        if let Kind::Message(wire) = kind {
            Some(wire.clone())
        } else {
            None
        }
    });
    let bsons: Vec<_> = wires
        .iter()
        .map(|wire| crate::transcript::inflate(wire))
        .collect();
    let limits = Limits {
        inflated: 4 << 20,
        ..Limits::default()
    };
    feed("compressed messages", &wires, |bytes, random| {
        let mut inflater = Inflater::new();
        let piece = 1 + random.below(bytes.len());
        for chunk in bytes.chunks(piece) {
            match inflater.feed(chunk, &limits) {
                Ok((used, true)) => {
                    assert!(used <= chunk.len());
                    drop(Message::from_bson(&inflater.take(), KNOWN_TYPES, &limits));
                }
                Ok((used, false)) => assert_eq!(used, chunk.len()),
                Err(_) => return,
            }
        }
    });
    feed("messages", &bsons, |bytes, _| {
        let Ok(message) = Message::from_bson(bytes, KNOWN_TYPES, &limits) else {
            return;
        };
        // What is understood can be said again, and is understood as the same.
        let again = match &message {
            Message::Heartbeat => return,
            Message::Request(request) => request.to_bson(),
            Message::Response(response) => response.to_bson(),
        };
        let understood = Message::from_bson(&again, KNOWN_TYPES, &limits);
        let understood = understood.expect("what we say");
        assert_eq!(format!("{understood:?}"), format!("{message:?}"));
    });
}

#[test]
fn data_streams() {
    let frames = samples(|kind| {
        if let Kind::Stream(frame) = kind {
            Some(frame.clone())
        } else {
            None
        }
    });
    feed("data streams", &frames, |bytes, _| {
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LENGTH>() else {
            return;
        };
        let Ok(header) = FrameHeader::parse(*head, &Limits::default()) else {
            return;
        };
        let Ok(length) = usize::try_from(header.length) else {
            return;
        };
        if let Some(trailer) = rest.get(length..).and_then(|rest| rest.first_chunk()) {
            drop(header.check_trailer(*trailer));
        }
    });
}

/// Whole conversations: what one side said, mutated, against our part of the other side.
#[test]
fn conversations() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let spool = tempfile::tempdir().expect("a folder");
    let mut settings = Settings {
        known_types: KNOWN_TYPES,
        ..Settings::default()
    };
    settings.spool.folder = spool.path().to_owned();
    settings.spool.in_memory = 1000;
    settings.timeouts = Timeouts {
        heartbeat: Duration::from_millis(5),
        ..Timeouts::default()
    };
    let mut said: Vec<(bool, Vec<u8>)> = Vec::new();
    for transcript in Transcript::conversations() {
        for side in [Side::Server, Side::Agent] {
            let bytes = transcript
                .steps
                .iter()
                .filter(|step| step.from == Some(side) && step.connection == 1);
            let bytes = bytes.flat_map(|step| match &step.kind {
                Kind::Line(text) => text.clone().into_bytes(),
                Kind::Message(bytes) | Kind::Stream(bytes) | Kind::Raw(bytes) => bytes.clone(),
                Kind::Connected | Kind::Close => Vec::new(),
            });
            said.push((side == Side::Server, bytes.collect()));
        }
    }
    // The longest would take all the time.
    said.retain(|(_, bytes)| bytes.len() < 40_000);
    for by_server in [true, false] {
        let samples: Vec<_> = said
            .iter()
            .filter(|(server, _)| *server == by_server)
            .map(|(_, bytes)| bytes.clone())
            .collect();
        feed("conversations", &samples, |bytes, random| {
            let dialled = random.below(2) == 0;
            runtime.block_on(converse(bytes.to_vec(), settings.clone(), by_server, dialled));
        });
    }
    let left = std::fs::read_dir(spool.path()).expect("listed").count();
    assert_eq!(left, 0, "streams that broke off leave nothing behind");
}

async fn converse(bytes: Vec<u8>, settings: Settings, by_server: bool, dialled: bool) {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let mut connection = Connection::new(near, settings);
    far.write_all(&bytes).await.expect("room for all of it");
    // The peer has gone after its last word; our own words go nowhere.
    far.shutdown().await.expect("open until now");
    let service: Arc<dyn Service> = Arc::new(Echo::default());
    let limit = Duration::from_secs(10);
    let ended = if by_server && !dialled {
        tokio::time::timeout(limit, poll(connection, &subscription(), &service, || {}))
            .await
            .map(drop)
    } else {
        tokio::time::timeout(limit, async {
            if read_opening(&mut connection).await.is_err() || read_greeting(&mut connection).await.is_err() {
                return;
            }
            if by_server {
                drop(answer_client(connection, &service).await);
            } else {
                let queue = PendingRequestQueue::new();
                let never = tokio_util::sync::CancellationToken::new();
                let request = RequestMessage::new("IEcho", "Nothing", Vec::new());
                let call = queue.queue_and_wait(request, Duration::from_millis(50), &never);
                drop(tokio::join!(answer_subscriber(connection, &queue), call));
            }
        })
        .await
    };
    assert!(ended.is_ok(), "a conversation with the dead ends");
}

/// The generator must not fail silently: unmutated bytes are understood.
#[test]
fn what_is_mutated_was_right_before() {
    let mut wire = Vec::new();
    Deflater::new().deflate(halibut::protocol::message::HEARTBEAT, &mut wire);
    assert_eq!(
        crate::transcript::decode(&crate::transcript::inflate(&wire)),
        Message::Heartbeat
    );
    let mut first = Random(7);
    let mut second = Random(7);
    assert_eq!(first.next(), second.next(), "a seed repeats");
}
