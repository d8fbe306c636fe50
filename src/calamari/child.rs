//! Runs a program and forwards what it prints: hidden values masked, its service messages understood.

use crate::interruption::Interruption;
use crate::log::{ChildText, Log, Stream};
use contracts::service_message::{LONGEST, MARKER, ServiceMessage, WrappedMessage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A part of a line that waits longer than this is shown.
const IDLE: Duration = Duration::from_millis(500);

/// When the child ended but something that it started keeps its output open, reading ends after this much silence.
const SILENCE_AFTER_END: Duration = Duration::from_secs(2);

/// So long what was started is read at most after the child ended; then it goes on unheard.
const LONGEST_AFTER_END: Duration = Duration::from_secs(30);

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, 128 + signal when it was killed.
    pub exit_code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// It printed a line on standard error that is neither blank nor a service message.
    pub error_output: bool,
    /// The output variables that it set: name, value, sensitive.
    pub outputs: Vec<(String, String, bool)>,
}

/// Names beginning with `Octopus.` that a script may set (observed 9.8).
const SETTABLE: [&str; 3] = [
    "Octopus.Action.SkipRemainingConventions",
    "Octopus.Action.SkipJournal",
    "Octopus.Action.Package.CustomInstallationDirectory",
];

/// Starts the program in a process group of its own, with empty standard input, and waits for its end.
///
/// # Errors
/// The program cannot be started.
pub fn run(mut command: Command, log: &Log, interruption: &Interruption) -> std::io::Result<Ended> {
    log.default_mode();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        interruption.child_started(group);
    }
    let (output, error) = (child.stdout.take(), child.stderr.take());
    let ended = OnceLock::new();
    let child_end = ChildEnd {
        ended: &ended,
        interruption,
    };
    let found = Mutex::new(Found::default());
    let status = std::thread::scope(|scope| {
        if let Some(output) = output {
            scope.spawn(|| forward(output, Forwarder::new(Stream::Output, log, &found), child_end));
        }
        if let Some(error) = error {
            scope.spawn(|| forward(error, Forwarder::new(Stream::Error, log, &found), child_end));
        }
        let status = child.wait();
        interruption.child_ended();
        ended.get_or_init(Instant::now);
        status
    })?;
    log.flush();
    let found = found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Ended {
        exit_code: exit_code(status),
        signal: status.signal(),
        error_output: found.error_output,
        outputs: found.outputs,
    })
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

#[derive(Default)]
struct Found {
    outputs: Vec<(String, String, bool)>,
    error_output: bool,
}

/// When the child ended, and whether the process was asked to stop.
#[derive(Clone, Copy)]
struct ChildEnd<'a> {
    ended: &'a OnceLock<Instant>,
    interruption: &'a Interruption,
}

impl ChildEnd<'_> {
    /// Whether nobody waits any more for what others print that the child started.
    fn is_over(self, last_read: Instant) -> bool {
        self.ended.get().is_some_and(|ended| {
            last_read.elapsed() >= SILENCE_AFTER_END
                || ended.elapsed() >= LONGEST_AFTER_END
                || self.interruption.signal().is_some()
        })
    }
}

/// Reads until the end, or, after the child ended, until all is silent, a while has passed, or the process is to stop.
fn forward(mut pipe: impl Read + AsFd, mut forwarder: Forwarder<'_>, child_end: ChildEnd<'_>) {
    let mut chunk = vec![0; 64 << 10];
    let mut last_read = Instant::now();
    loop {
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: IDLE.subsec_nanos().into(),
        };
        let ready = poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&wait));
        match ready {
            Ok(0) => {
                forwarder.idle();
                if child_end.is_over(last_read) {
                    break;
                }
                continue;
            }
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
        }
        match pipe.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                last_read = Instant::now();
                forwarder.take(&chunk[..length]);
                if child_end.is_over(last_read) {
                    break;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    forwarder.finish();
}

/// Cuts a stream into lines and passes them on.
struct Forwarder<'a> {
    stream: Stream,
    log: &'a Log,
    found: &'a Mutex<Found>,
    pending: Vec<u8>,
    /// The beginning of the line was passed on already.
    begun: bool,
    /// The rest of the line belongs to a message that is too long.
    skipping: bool,
    /// A message that goes over several lines.
    wrapped: WrappedMessage,
}

impl<'a> Forwarder<'a> {
    fn new(stream: Stream, log: &'a Log, found: &'a Mutex<Found>) -> Self {
        Self {
            stream,
            log,
            found,
            pending: Vec::new(),
            begun: false,
            skipping: false,
            wrapped: WrappedMessage::default(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if std::mem::take(&mut self.skipping) {
                self.log.child(self.stream, &[], true);
                self.begun = false;
            } else if self.pending.is_empty() {
                self.line(&rest[..end]);
            } else {
                self.pending.extend_from_slice(&rest[..end]);
                let line = std::mem::take(&mut self.pending);
                self.line(&line);
            }
            rest = &rest[end + 1..];
        }
        if !self.skipping {
            self.pending.extend_from_slice(rest);
        }
        if self.pending.len() > LONGEST {
            self.shorten();
        }
        self.log.flush();
    }

    /// Passes a part of a long line on. A message in it stays whole, or is left out when it is longer than any may be, so that
    /// its values are not shown in Base64.
    fn shorten(&mut self) {
        let safe = character_boundary(&self.pending, self.log.safe_length(&self.pending));
        let message = memchr::memmem::rfind(&self.pending, MARKER.as_bytes())
            .filter(|start| memchr::memchr(b']', &self.pending[*start..]).is_none());
        match message {
            None => self.part(safe),
            Some(start) if self.pending.len() - start <= LONGEST => self.part(start.min(safe)),
            Some(start) => {
                self.part(start);
                self.pending.clear();
                self.skipping = true;
                self.warn(vec![too_long()]);
            }
        }
    }

    /// Shows an unfinished line, unless it may become a message. Half a character waits for its other half.
    fn idle(&mut self) {
        if !self.pending.is_empty() && !self.pending.windows(2).any(|pair| pair == b"##") {
            let length = match std::str::from_utf8(&self.pending) {
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                _ => self.pending.len(),
            };
            self.part(length);
            self.log.flush();
        }
    }

    fn finish(&mut self) {
        if !self.pending.is_empty() || self.begun {
            let line = std::mem::take(&mut self.pending);
            self.line(&line);
        }
        self.log.flush();
    }

    fn part(&mut self, length: usize) {
        if length > 0 {
            self.log
                .child(self.stream, &[ChildText::Masked(&self.pending[..length])], false);
            self.note_error_output(&self.pending[..length]);
            self.pending.drain(..length);
            self.begun = true;
        }
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.begun = false;
        self.note_error_output(line);
        let mut warnings = Vec::new();
        if let Some(message) = self.ended_message(line) {
            warnings.extend(self.understand(&message).err());
        }
        if !line.windows(2).any(|pair| pair == b"##") {
            self.log.child(self.stream, &[ChildText::Masked(line)], true);
            return self.warn(warnings);
        }
        let text = String::from_utf8_lossy(line);
        let mut parts = Vec::new();
        let mut position = 0;
        for found in ServiceMessage::find(&text) {
            let written = &text[found.place.clone()];
            let keep = match &found.message {
                None if written.len() > LONGEST => {
                    warnings.push(too_long());
                    parts.push(ChildText::Masked(&text.as_bytes()[position..found.place.start]));
                    position = found.place.end;
                    continue;
                }
                None => {
                    let inside = written.trim_start_matches("##octopus").trim_matches(['[', ']']);
                    warnings.push(format!(
                        "A service message cannot be read and is ignored; its values must be Base64 in quotes: {inside}"
                    ));
                    false
                }
                Some(message) => match self.understand(message) {
                    Ok(()) => !message.attributes.is_empty(),
                    Err(warning) => {
                        warnings.push(warning);
                        parts.push(ChildText::Masked(&text.as_bytes()[position..found.place.start]));
                        position = found.place.end;
                        continue;
                    }
                },
            };
            if keep {
                parts.push(ChildText::Masked(&text.as_bytes()[position..found.place.start]));
                parts.push(ChildText::Intact(written.as_bytes()));
                position = found.place.end;
            }
        }
        parts.push(ChildText::Masked(&text.as_bytes()[position..]));
        self.log.child(self.stream, &parts, true);
        self.warn(warnings);
    }

    fn warn(&self, warnings: Vec<String>) {
        for warning in warnings.into_iter().filter(|_| self.stream == Stream::Output) {
            self.log.warning(&warning);
            self.log.default_mode();
        }
    }

    /// The message that began on an earlier line and ends on this one. The lines themselves are shown as they come; the
    /// Server puts them together again.
    fn ended_message(&mut self, line: &[u8]) -> Option<ServiceMessage> {
        if !self.wrapped.is_open() && memchr::memmem::find(line, MARKER.as_bytes()).is_none() {
            return None;
        }
        let ready = self.wrapped.take(&String::from_utf8_lossy(line));
        let whole = ready.iter().find(|text| text.contains('\n'))?;
        ServiceMessage::find(whole).into_iter().next()?.message
    }

    /// Applies what concerns the runner itself. Messages on standard error mean nothing.
    fn understand(&self, message: &ServiceMessage) -> Result<(), String> {
        if self.stream == Stream::Error {
            return Ok(());
        }
        if message.name.starts_with("stdout-") {
            self.log.mode_switched(&message.name);
        }
        if message.name != "setVariable" {
            return Ok(());
        }
        let name = message.get("name").unwrap_or_default().trim();
        if name.is_empty() {
            return Ok(());
        }
        let reserved = name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("Octopus."));
        if reserved
            && !SETTABLE
                .iter()
                .any(|settable| settable.eq_ignore_ascii_case(name))
        {
            return Err(format!(
                "The script tried to set the variable {name}; names that begin with Octopus. are reserved, so it was ignored"
            ));
        }
        let value = message.get("value").unwrap_or_default();
        let sensitive = message
            .get("sensitive")
            .is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        if sensitive {
            self.log.hide([value]);
        }
        self.found()
            .outputs
            .push((name.to_owned(), value.to_owned(), sensitive));
        Ok(())
    }

    fn note_error_output(&self, text: &[u8]) {
        if self.stream == Stream::Error
            && !text.starts_with(b"##octopus")
            && !text.iter().all(u8::is_ascii_whitespace)
        {
            self.found().error_output = true;
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn too_long() -> String {
    format!(
        "A service message of more than {} KiB is left out; hand over a file instead, such as an artifact",
        LONGEST >> 10
    )
}

/// The end of the last whole character before `length`.
fn character_boundary(bytes: &[u8], length: usize) -> usize {
    let mut end = length;
    for _ in 0..3 {
        match bytes.get(end) {
            Some(byte) if byte & 0xC0 == 0x80 && end > 0 => end -= 1,
            _ => break,
        }
    }
    end
}
