//! What the runner prints: lines in a mode, service messages, and the output of children; all of it masked (3.1, 3.4).

use contracts::ServiceMessage;
use security::masking::{Masker, NOT_MASKED};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where lines go. Clones share one state, so that the two streams of a child and the runner itself stay in order.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

struct Inner {
    output: Box<dyn Write + Send>,
    error: Box<dyn Write + Send>,
    /// The mode in force on standard output; none when a child may have left any.
    mode: Option<&'static str>,
    /// Whether the last thing on standard output was a part of a line.
    open_line: bool,
    masker: Masker,
    /// It was told that texts could not be masked.
    mask_failed: bool,
}

const VERBOSE: &str = "stdout-verbose";
const DEFAULT: &str = "stdout-default";
const WARNING: &str = "stdout-warning";

impl std::fmt::Debug for Log {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Prints to these streams.
    pub fn new(output: impl Write + Send + 'static, error: impl Write + Send + 'static) -> Self {
        let inner = Inner {
            output: Box::new(output),
            error: Box::new(error),
            mode: None,
            open_line: false,
            masker: Masker::default(),
            mask_failed: false,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// A line for the detailed log only.
    pub fn verbose(&self, text: &str) {
        self.line(VERBOSE, text);
    }

    /// A line for everyone.
    pub fn info(&self, text: &str) {
        self.line(DEFAULT, text);
    }

    /// A line that marks the step.
    pub fn warning(&self, text: &str) {
        self.line(WARNING, text);
    }

    /// A line on standard error.
    pub fn error(&self, text: &str) {
        let mut inner = self.lock();
        let text = inner.masked(text.as_bytes());
        inner.write(Stream::Error, format!("{text}\n").as_bytes());
        inner.tell_failure();
        inner.flush();
    }

    /// A message to the Server, in the default mode.
    pub fn message(&self, message: &ServiceMessage) {
        let mut inner = self.lock();
        inner.switch(DEFAULT);
        inner.write(Stream::Output, format!("{message}\n").as_bytes());
        inner.flush();
    }

    /// A message to the Server in the verbose mode: what is found and checked in the package cache (observed 9.8).
    pub fn verbose_message(&self, message: &ServiceMessage) {
        let mut inner = self.lock();
        inner.switch(VERBOSE);
        inner.write(Stream::Output, format!("{message}\n").as_bytes());
        inner.flush();
    }

    /// Makes lines of a child information until it says otherwise.
    pub fn default_mode(&self) {
        let mut inner = self.lock();
        inner.switch(DEFAULT);
        inner.flush();
    }

    /// A child switched the mode.
    pub(crate) fn mode_switched(&self, mode: &str) {
        self.lock().mode = [VERBOSE, DEFAULT, WARNING]
            .into_iter()
            .find(|known| *known == mode);
    }

    /// Hides these values from now on.
    pub fn hide<'a>(&self, values: impl IntoIterator<Item = &'a str>) {
        self.lock().masker.add(values);
    }

    /// A text with the sensitive values hidden.
    pub fn masked(&self, text: &str) -> String {
        self.lock().masked(text.as_bytes())
    }

    /// A part of a child's output, hidden values masked but for what is `intact`; `end` also ends the line.
    pub(crate) fn child(&self, stream: Stream, parts: &[ChildText<'_>], end: bool) {
        let mut inner = self.lock();
        for part in parts {
            match part {
                ChildText::Masked(bytes) => {
                    let text = inner.masked(bytes);
                    inner.write(stream, text.as_bytes());
                }
                ChildText::Intact(bytes) => inner.write(stream, bytes),
            }
        }
        if end {
            inner.write(stream, b"\n");
        }
        if stream == Stream::Output {
            inner.open_line = !end;
        }
        if end {
            inner.tell_failure();
        }
    }

    /// Hands what was printed to the system.
    pub fn flush(&self) {
        self.lock().flush();
    }

    /// How much of a child's unfinished text can be printed.
    pub(crate) fn safe_length(&self, text: &[u8]) -> usize {
        self.lock().masker.safe_length(text)
    }

    fn line(&self, mode: &'static str, text: &str) {
        let mut inner = self.lock();
        inner.switch(mode);
        let text = inner.masked(text.as_bytes());
        inner.write(Stream::Output, format!("{text}\n").as_bytes());
        inner.tell_failure();
        inner.flush();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while printing leaves nothing half changed that matters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of what a child printed.
pub(crate) enum ChildText<'a> {
    /// Text, in which values are hidden.
    Masked(&'a [u8]),
    /// A service message: its values are encoded, and the Server needs them.
    Intact(&'a [u8]),
}

impl Inner {
    /// A text with the sensitive values hidden.
    fn masked(&self, text: &[u8]) -> String {
        String::from_utf8_lossy(&self.masker.mask(text)).into_owned()
    }

    /// Says once that something was left out, and goes back to the mode in force.
    fn tell_failure(&mut self) {
        if !self.masker.take_failure() || std::mem::replace(&mut self.mask_failed, true) {
            return;
        }
        let mode = self.mode;
        self.switch(WARNING);
        let text = format!(
            "A line could not be searched for sensitive values; each such line is replaced by {NOT_MASKED}. This is a \
             fault of the runner, please report it.\n"
        );
        self.write(Stream::Output, text.as_bytes());
        self.switch(mode.unwrap_or(DEFAULT));
    }

    fn switch(&mut self, mode: &'static str) {
        if std::mem::take(&mut self.open_line) {
            self.write(Stream::Output, b"\n");
        }
        if self.mode != Some(mode) {
            self.mode = Some(mode);
            self.write(Stream::Output, format!("##octopus[{mode}]\n").as_bytes());
        }
    }

    /// When nobody reads any more there is nobody to tell: the exit code still says how it went.
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Output => self.output.write_all(bytes).ok(),
            Stream::Error => self.error.write_all(bytes).ok(),
        };
    }

    fn flush(&mut self) {
        self.output.flush().and(self.error.flush()).ok();
    }
}
