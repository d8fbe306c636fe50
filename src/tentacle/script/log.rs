//! The log of one script: numbered lines on disk, so that they survive the agent (`tentacle-protocol.md` 6.3, 6.9).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use contracts::script_service::{OutputSource, ProcessOutput};
use jiff::Timestamp;

/// Every so many lines, the offset in the file is remembered.
const STRIDE: i64 = 256;
/// An answer holds about so many bytes of lines; the caller asks for the rest with its next call.
const ANSWER_BYTES: usize = 4 << 20;

/// The lines from a number on, as many as fit into one answer.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<ProcessOutput>,
    /// The number of the last of them, or the one that was asked from.
    pub(crate) next: i64,
    /// Whether there are more already.
    pub(crate) more: bool,
}

/// An append-only file of JSON arrays `["stdout", text, time]`, one a line.
#[derive(Debug)]
pub(crate) struct ScriptLog {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    lines: i64,
    bytes: u64,
    /// A script that prints more loses the rest.
    largest: u64,
    is_full: bool,
    /// Offsets of the lines 1, 1 + STRIDE, …
    offsets: Vec<u64>,
    failure: Option<String>,
}

impl ScriptLog {
    /// A new log that keeps about so many bytes.
    pub(crate) fn create(path: &Path, largest: u64) -> io::Result<ScriptLog> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        file.set_len(0)?;
        Ok(ScriptLog::of(file, 0, 0, Vec::new(), largest))
    }

    /// The log that an earlier agent left; a last line that was cut by its end does not count.
    pub(crate) fn open(path: &Path) -> io::Result<ScriptLog> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        let (mut lines, mut bytes, mut offsets) = (0, 0, Vec::new());
        let mut reader = BufReader::new(&file);
        loop {
            let length = skip_line(&mut reader)?;
            if length == 0 {
                break;
            }
            if lines % STRIDE == 0 {
                offsets.push(bytes);
            }
            lines += 1;
            bytes += length;
        }
        // its script has ended: nothing is added
        Ok(ScriptLog::of(file, lines, bytes, offsets, bytes))
    }

    fn of(file: File, lines: i64, bytes: u64, offsets: Vec<u64>, largest: u64) -> ScriptLog {
        ScriptLog {
            inner: Mutex::new(Inner {
                file,
                lines,
                bytes,
                largest,
                is_full: false,
                offsets,
                failure: None,
            }),
        }
    }

    /// Adds a line with the present time. What does not fit any more is dropped, and one line says so. A failure is kept
    /// until [`sync`](Self::sync) tells it.
    pub(crate) fn append(&self, source: OutputSource, text: &str) {
        let mut inner = self.inner();
        if inner.failure.is_some() || inner.is_full {
            return;
        }
        let line = entry(source, text);
        if inner.bytes + line.len() as u64 <= inner.largest {
            return inner.write(&line);
        }
        inner.is_full = true;
        let text = format!(
            "The log of this script holds {} MiB, as much as this agent keeps; what the script prints from now on is left out.",
            inner.largest >> 20
        );
        inner.write(&entry(source, &text));
    }

    /// Adds a line of the agent's own about the end of the script, also when there is no more room for what the script
    /// prints.
    pub(crate) fn append_end(&self, source: OutputSource, text: &str) {
        let mut inner = self.inner();
        if inner.failure.is_none() {
            inner.write(&entry(source, text));
        }
    }

    /// Makes what was appended last.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let inner = self.inner();
        match &inner.failure {
            Some(failure) => Err(io::Error::other(failure.clone())),
            None => inner.file.sync_data(),
        }
    }

    /// The lines behind number `after`.
    pub(crate) fn read(&self, after: i64) -> io::Result<Lines> {
        let after = after.max(0);
        let (file, total, start) = {
            let inner = self.inner();
            if after >= inner.lines {
                return Ok(Lines {
                    next: after,
                    ..Lines::default()
                });
            }
            let slot = usize::try_from(after / STRIDE).map_err(io::Error::other)?;
            (inner.file.try_clone()?, inner.lines, inner.offsets[slot])
        };
        let mut reader = BufReader::with_capacity(64 << 10, At { file, offset: start });
        for _ in 0..after % STRIDE {
            skip_line(&mut reader)?;
        }
        let mut answer = Lines {
            next: after,
            ..Lines::default()
        };
        let mut size = 0;
        let mut line = Vec::new();
        while answer.next < total && size < ANSWER_BYTES {
            line.clear();
            size += reader.read_until(b'\n', &mut line)?;
            answer.lines.push(parse(&line));
            answer.next += 1;
        }
        answer.more = answer.next < total;
        Ok(answer)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, line: &[u8]) {
        if let Err(error) = self.file.write_all(line) {
            self.failure = Some(error.to_string());
            return;
        }
        if self.lines % STRIDE == 0 {
            self.offsets.push(self.bytes);
        }
        self.lines += 1;
        self.bytes += line.len() as u64;
    }
}

fn entry(source: OutputSource, text: &str) -> Vec<u8> {
    let time = Timestamp::now();
    let mut line = serde_json::to_vec(&(word(source), text, time.to_string())).expect("texts are JSON");
    line.push(b'\n');
    line
}

/// Reads a file from an offset on without moving anybody else's position.
struct At {
    file: File,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// The length of the next whole line, or 0 when there is none.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut length = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        length += taken as u64;
        reader.consume(taken);
        if end.is_some() {
            return Ok(length);
        }
    }
}

fn parse(line: &[u8]) -> ProcessOutput {
    let (source, text, time): (String, String, String) = serde_json::from_slice(line).unwrap_or_else(|_| {
        (
            "stderr".to_owned(),
            "A line of the log is damaged.".to_owned(),
            String::new(),
        )
    });
    ProcessOutput {
        source: match source.as_str() {
            "stdout" => OutputSource::StdOut,
            "debug" => OutputSource::Debug,
            _ => OutputSource::StdErr,
        },
        occurred: time.parse::<Timestamp>().map_or(0, |time| time.as_millisecond()),
        text,
    }
}

fn word(source: OutputSource) -> &'static str {
    match source {
        OutputSource::StdOut => "stdout",
        OutputSource::StdErr => "stderr",
        OutputSource::Debug => "debug",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn texts(lines: &Lines) -> Vec<&str> {
        lines.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_are_numbered_from_one_and_reading_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = ScriptLog::create(&folder.path().join("Output.log"), u64::MAX).unwrap();
        for number in 1..=600 {
            log.append(OutputSource::StdOut, &format!("line {number}"));
        }
        for after in [0, 255, 256, 511, 599] {
            let read = log.read(after).unwrap();
            assert_eq!((read.next, read.more), (600, false));
            assert_eq!(read.lines[0].text, format!("line {}", after + 1));
        }
        let nothing = log.read(600).unwrap();
        assert_eq!((texts(&nothing).len(), nothing.next), (0, 600));
        assert_eq!(log.read(9000).unwrap().next, 9000);
    }

    #[test]
    fn a_restarted_agent_reads_on_and_forgets_the_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Output.log");
        let log = ScriptLog::create(&path, u64::MAX).unwrap();
        log.append(OutputSource::StdOut, "two\nlines");
        log.append(OutputSource::StdErr, "bad");
        log.sync().unwrap();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"[\"stdout\",\"torn")
            .unwrap();
        let read = ScriptLog::open(&path).unwrap().read(0).unwrap();
        assert_eq!(texts(&read), ["two\nlines", "bad"]);
        assert_eq!(read.lines[1].source, OutputSource::StdErr);
        assert!(read.lines[0].occurred > 1_700_000_000_000);
    }

    #[test]
    fn one_answer_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let log = ScriptLog::create(&folder.path().join("Output.log"), u64::MAX).unwrap();
        let text = "x".repeat(1 << 20);
        for _ in 0..9 {
            log.append(OutputSource::StdOut, &text);
        }
        let first = log.read(0).unwrap();
        assert!(first.more && first.next < 9);
        let mut read = first;
        while read.more {
            read = log.read(read.next).unwrap();
        }
        assert_eq!(read.next, 9);
    }

    #[test]
    fn a_full_log_says_so_once_and_still_tells_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Output.log");
        let log = ScriptLog::create(&path, 1 << 20).unwrap();
        for _ in 0..100_000 {
            log.append(OutputSource::StdOut, "again and again");
        }
        log.append_end(OutputSource::Debug, "the end");
        log.sync().unwrap();
        assert!(fs::metadata(&path).unwrap().len() < (1 << 20) + 1000);
        let read = log.read(10_000).unwrap();
        let texts = texts(&read);
        let told = |text: &&&str| text.contains("holds 1 MiB");
        assert_eq!(texts.iter().filter(told).count(), 1);
        assert!(told(&&texts[texts.len() - 2]) && texts[texts.len() - 1] == "the end");
    }
}
