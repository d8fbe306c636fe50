//! Segments: the file of one lease epoch, its recorded length, its index.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::event::{Event, Position};

/// An index holds the offset of each line whose number follows a multiple of this.
pub(super) const LINES_PER_INDEX: u64 = 1000;

/// The longest line that is read; writers cut texts far below it.
const LONGEST_LINE: u64 = 4 * 1024 * 1024;

/// One file of a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    pub(super) epoch: u64,
    folder: PathBuf,
}

impl Segment {
    pub(super) fn new(folder: &Path, epoch: u64) -> Self {
        Self {
            epoch,
            folder: folder.into(),
        }
    }

    /// The segments of a folder, oldest first.
    pub(super) fn list(folder: &Path) -> std::io::Result<Vec<Self>> {
        let mut segments = Vec::new();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(segments),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name();
            let epoch = name
                .to_str()
                .and_then(|name| name.strip_suffix(".jsonl"))
                .and_then(|epoch| epoch.parse().ok());
            segments.extend(epoch.map(|epoch| Self::new(folder, epoch)));
        }
        segments.sort();
        Ok(segments)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(format!("{:05}.jsonl", self.epoch))
    }

    pub(super) fn index_path(&self) -> PathBuf {
        self.folder.join(format!("{:05}.index", self.epoch))
    }

    fn length_path(&self) -> PathBuf {
        self.folder.join(format!("{:05}.length", self.epoch))
    }

    /// How much of the file counts, once a later epoch has said so.
    pub(super) fn recorded_length(&self) -> std::io::Result<Option<u64>> {
        match std::fs::read_to_string(self.length_path()) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Closes the segment for ever: finds the length of its whole lines, records it, cuts the rest off. Nothing that
    /// a late writer appends afterwards is ever read. An epoch that never wrote is sealed empty, lest it still begins.
    pub(super) fn seal(&self) -> std::io::Result<()> {
        if self.recorded_length()?.is_some() {
            return Ok(());
        }
        if !self.path().try_exists()? {
            return match crate::spool::write_small(&self.length_path(), b"0", false) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            };
        }
        let mut lines = Lines::at(self, 0, 0, None)?;
        while lines.next_event()?.is_some() {}
        let length = lines.offset.to_string();
        match crate::spool::write_small(&self.length_path(), length.as_bytes(), false) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let length = self.recorded_length()?.unwrap_or(lines.offset);
        let file = File::options().write(true).open(self.path())?;
        if file.metadata()?.len() > length {
            file.set_len(length)?;
        }
        file.sync_all()
    }

    /// Where to begin to read for lines after `line`: the number of the last line before it, and its end.
    /// Without a usable index, the beginning.
    pub(super) fn start_for(&self, line: u64) -> (u64, u64) {
        let entry = line / LINES_PER_INDEX;
        if entry == 0 {
            return (0, 0);
        }
        let offset = || -> std::io::Result<u64> {
            let mut file = File::open(self.index_path())?;
            file.seek(SeekFrom::Start((entry - 1) * 8))?;
            let mut bytes = [0; 8];
            file.read_exact(&mut bytes)?;
            let offset = u64::from_le_bytes(bytes);
            // The index is a hint: what it says must be the beginning of the right line.
            let begins = Lines::at(self, entry * LINES_PER_INDEX, offset, None)?.next_event()?;
            match begins {
                Some(event) if event.position.line == entry * LINES_PER_INDEX + 1 => Ok(offset),
                _ => Err(std::io::ErrorKind::InvalidData.into()),
            }
        };
        offset().map_or((0, 0), |offset| (entry * LINES_PER_INDEX, offset))
    }
}

/// Whole lines of a segment, from a place on.
pub(super) struct Lines {
    reader: BufReader<File>,
    epoch: u64,
    /// The number of the last line read.
    pub(super) line: u64,
    /// The end of the last line read.
    pub(super) offset: u64,
    limit: Option<u64>,
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn at(segment: &Segment, line: u64, offset: u64, limit: Option<u64>) -> std::io::Result<Self> {
        let mut file = File::open(segment.path())?;
        file.seek(SeekFrom::Start(offset))?;
        let reader = BufReader::with_capacity(64 * 1024, file);
        Ok(Self {
            reader,
            epoch: segment.epoch,
            line,
            offset,
            limit,
            buffer: Vec::new(),
        })
    }

    /// The next whole line; None at the end, at a torn or foreign line, and at the limit.
    pub(super) fn next_event(&mut self) -> std::io::Result<Option<Event>> {
        self.buffer.clear();
        let count = (&mut self.reader)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut self.buffer)? as u64;
        let end = self.offset + count;
        if self.buffer.last() != Some(&b'\n') || self.limit.is_some_and(|limit| end > limit) {
            return Ok(None);
        }
        let expected = Position {
            epoch: self.epoch,
            line: self.line + 1,
        };
        let Some(event) = Event::from_line(&self.buffer).filter(|event| event.position == expected) else {
            return Ok(None);
        };
        self.line += 1;
        self.offset = end;
        Ok(Some(event))
    }
}
