//! Runs of the agent's program on the machine of a case.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::machine::PROGRAM;
use super::tls;

/// The longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that an agent takes to say that it runs.
const START: Duration = Duration::from_secs(20);
/// Time enough to notice the end of the input.
const LATER: Duration = Duration::from_secs(1);
/// How often a run is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// A finished run.
#[derive(Debug)]
pub struct Ended {
    /// The exit code, none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Answers to the probes of an agent that ran.
    pub probes: Vec<Result<String, String>>,
}

/// Runs a step of a case to its end.
///
/// # Errors
/// When it cannot be started or does not end.
pub fn run(step: &Value) -> Result<Ended, String> {
    let mut run = Run::start(step)?;
    let mut input = run.input.take();
    if step["stdin"] != "open"
        && let Some(mut pipe) = input.take()
    {
        // A program that is over does not read.
        let _ = pipe.write_all(step["stdin"].as_str().unwrap_or_default().as_bytes());
    }
    let mut probes = Vec::new();
    if step["stop"].is_object() {
        run.await_start();
        for probe in step["probes"].as_array().into_iter().flatten() {
            let port = probe["port"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(10933);
            probes.push(tls::ask(
                port,
                probe["request"].as_str().unwrap_or_default().as_bytes(),
            ));
        }
        run.stop(step["stop"]["how"].as_str().unwrap_or_default(), input.take())?;
    }
    let mut ended = run.end()?;
    ended.probes = probes;
    Ok(ended)
}

struct Run {
    child: Child,
    input: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
}

/// What a stream has said so far, and the thread that reads it.
struct Stream(Arc<Mutex<Vec<u8>>>, JoinHandle<()>);

impl Run {
    fn start(step: &Value) -> Result<Self, String> {
        let mut command = if let Some(line) = step["shell"].as_str() {
            let mut command = Command::new("/bin/bash");
            command.args(["-c", line]);
            command
        } else {
            let mut command = Command::new(PROGRAM);
            let certificate = std::fs::read_to_string("/home/Octopus/in/tentacle.txt").unwrap_or_default();
            let words = step["argv"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            command.args(words.map(|word| word.replace("<base64-pfx>", certificate.trim())));
            command
        };
        command
            .current_dir(step["cwd"].as_str().unwrap_or("/"))
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(if step["stdin"] == "closed" {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap_or_default());
        }
        let mut child = command.spawn().map_err(|why| format!("{PROGRAM}: {why}"))?;
        Ok(Self {
            input: child.stdin.take(),
            stdout: Stream::of(child.stdout.take()),
            stderr: Stream::of(child.stderr.take()),
            child,
        })
    }

    /// Waits until the agent runs, or is over.
    fn await_start(&mut self) {
        let began = Instant::now();
        while began.elapsed() < START && matches!(self.child.try_wait(), Ok(None)) {
            let said = self.stdout.text();
            if said.contains("Running. ")
                || said.contains("Agent listening on:")
                || said.contains("will not listen")
            {
                return;
            }
            thread::sleep(GLANCE);
        }
    }

    /// Asks the agent to end. Beside the ways that were recorded there is `EOF, later TERM`: the end of the input alone
    /// must not end it.
    fn stop(&mut self, how: &str, input: Option<ChildStdin>) -> Result<(), String> {
        let mut input = input;
        let signal = match how {
            "EOF, later TERM" => {
                drop(input.take());
                thread::sleep(LATER);
                if let Ok(Some(status)) = self.child.try_wait() {
                    return Err(format!("the end of the input ended it: {status}"));
                }
                Signal::TERM
            }
            "TERM" => Signal::TERM,
            "INT" => Signal::INT,
            "HUP" => Signal::HUP,
            "QUIT" => Signal::QUIT,
            _ => {
                if let Some(mut pipe) = input {
                    let words = match how {
                        "ENTER" => "\n",
                        "CLS" => "cls\nhello\n\n",
                        _ => "",
                    };
                    // A program that is over does not read.
                    let _ = pipe.write_all(words.as_bytes());
                }
                return Ok(());
            }
        };
        let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) else {
            return Ok(());
        };
        // The pipe stays open until the signal has been sent.
        let sent = kill_process(pid, signal).map_err(|why| format!("signal {how}: {why}"));
        drop(input);
        sent
    }

    fn end(mut self) -> Result<Ended, String> {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(|why| format!("waiting: {why}"))? {
                break status;
            }
            if began.elapsed() > PATIENCE {
                if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
                    kill_process_group(group, Signal::KILL).map_err(|why| format!("ending it: {why}"))?;
                }
                let said = self.stdout.text();
                return Err(format!(
                    "no end within {} s; it said {said:?}",
                    PATIENCE.as_secs()
                ));
            }
            thread::sleep(GLANCE);
        };
        Ok(Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.end(),
            stderr: self.stderr.end(),
            probes: Vec::new(),
        })
    }
}

impl Stream {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&said);
        let reader = thread::spawn(move || {
            let Some(mut stream) = stream else { return };
            let mut bytes = [0; 4096];
            while let Ok(length) = stream.read(&mut bytes) {
                if length == 0 {
                    return;
                }
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(&bytes[..length]);
            }
        });
        Self(said, reader)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn end(self) -> String {
        let Self(said, reader) = self;
        // A reader that panicked has read less, which the comparison shows.
        let _ = reader.join();
        String::from_utf8_lossy(&said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
