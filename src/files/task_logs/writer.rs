//! Writing a log: one file for one epoch, appended in whole lines.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::event::{Category, Event, Kind, Position, Source, Status};
use super::segment::{LINES_PER_INDEX, Lines, Segment};
use crate::error::{Error, Result};
use crate::spool::{blocking, sync_folder};

/// The longest text of one line, in bytes; the rest is cut off.
const LONGEST_TEXT: usize = 256 * 1024;

/// The most bytes of plain lines in one log. Blocks and errors are written beyond it.
const LARGEST_LOG: u64 = 1024 * 1024 * 1024;

/// What the log of a task knows when its writer opens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// The blocks with their last status.
    pub blocks: BTreeMap<String, Status>,
    /// For each ticket, the agent's number of the last line taken.
    pub sequences: HashMap<String, i64>,
}

/// Appends to the log of one task. Clones write to the same file, line by line.
#[derive(Clone)]
pub struct LogWriter {
    shared: Arc<Mutex<Open>>,
    grown: Arc<Notify>,
}

struct Open {
    task: String,
    path: PathBuf,
    file: Arc<File>,
    index: Option<File>,
    epoch: u64,
    line: u64,
    offset: u64,
    /// The size of all segments.
    size: u64,
    full: bool,
    written: Written,
}

impl LogWriter {
    pub(super) fn open(task: String, folder: PathBuf, epoch: u64, grown: Arc<Notify>) -> Result<Self> {
        let io = |error| Error::io("Opening the log in", &folder)(error);
        std::fs::create_dir_all(&folder).map_err(io)?;
        let segment = Segment::new(&folder, epoch);
        let (mut written, mut size) = (Written::default(), 0);
        for former in (1..epoch).map(|epoch| Segment::new(&folder, epoch)) {
            former.seal().map_err(io)?;
        }
        for former in Segment::list(&folder).map_err(io)? {
            if former.epoch >= epoch {
                return Err(Error::Superseded {
                    task,
                    epoch,
                    newer: former.epoch,
                });
            }
            let limit = former.recorded_length().map_err(io)?;
            let mut lines = Lines::at(&former, 0, 0, limit).map_err(io)?;
            while let Some(event) = lines.next_event().map_err(io)? {
                written.note(&event);
            }
            size += lines.offset;
        }
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(segment.path())
            .map_err(io)?;
        sync_folder(&folder).map_err(io)?;
        if segment.recorded_length().map_err(io)?.is_some() {
            return Err(Error::Superseded {
                task,
                epoch,
                newer: epoch + 1,
            });
        }
        let open = Open {
            task,
            path: segment.path(),
            file: Arc::new(file),
            index: File::options()
                .append(true)
                .create(true)
                .open(segment.index_path())
                .ok(),
            epoch,
            line: 0,
            offset: 0,
            size,
            full: false,
            written,
        };
        Ok(Self {
            shared: Arc::new(Mutex::new(open)),
            grown,
        })
    }

    /// The task whose log it is.
    #[must_use]
    pub fn task(&self) -> String {
        self.lock().task.clone()
    }

    /// What the log held when it was opened, and what was written since.
    #[must_use]
    pub fn written(&self) -> Written {
        self.lock().written.clone()
    }

    /// The agent's number of the last line taken from a ticket; 0 before the first.
    #[must_use]
    pub fn last_sequence(&self, ticket: &str) -> i64 {
        self.lock().written.sequences.get(ticket).copied().unwrap_or(0)
    }

    /// Opens a block, or moves it from Pending to Running. A block that is there already with this status or has ended
    /// is left alone, so that a resumed task writes its tree once.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open_block(
        &self,
        time: i64,
        block: &str,
        parent: Option<&str>,
        name: &str,
        status: Status,
    ) -> Result<()> {
        let mut open = self.lock();
        let opens = match open.written.blocks.get(block) {
            None => true,
            Some(Status::Pending) => status == Status::Running,
            Some(_) => false,
        };
        if !opens {
            return Ok(());
        }
        let kind = Kind::Open {
            name: cut(name.into(), 1000),
            parent: parent.map(str::to_owned),
            status,
        };
        self.append(&mut open, time, block, vec![kind])
    }

    /// Ends a block; one that has ended already is left alone.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn close_block(&self, time: i64, block: &str, status: Status) -> Result<()> {
        let mut open = self.lock();
        if open
            .written
            .blocks
            .get(block)
            .is_some_and(|status| status.is_final())
        {
            return Ok(());
        }
        self.append(&mut open, time, block, vec![Kind::Close { status }])
    }

    /// Writes a line of the Server's own.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn line(&self, time: i64, block: &str, category: Category, text: impl Into<String>) -> Result<()> {
        let kind = Kind::Line {
            category,
            text: text.into(),
            detail: None,
            source: None,
        };
        self.append(&mut self.lock(), time, block, vec![kind])
    }

    /// Writes how far a block is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn progress(&self, time: i64, block: &str, percentage: u8, text: impl Into<String>) -> Result<()> {
        let kind = Kind::Progress {
            percentage: percentage.min(100),
            text: cut(text.into(), 1000),
        };
        self.append(&mut self.lock(), time, block, vec![kind])
    }

    /// Writes lines that an agent sent, each with its time. Those whose ticket and number are in the log already
    /// are left out.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn agent_lines(&self, block: &str, lines: Vec<(i64, Category, String, Source)>) -> Result<()> {
        let mut open = self.lock();
        for (time, category, text, source) in lines {
            let last = open.written.sequences.get(&source.ticket).copied().unwrap_or(0);
            if source.sequence > last {
                let kind = Kind::Line {
                    category,
                    text,
                    detail: None,
                    source: Some(source),
                };
                self.append(&mut open, time, block, vec![kind])?;
            }
        }
        Ok(())
    }

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn sync(&self) -> Result<()> {
        let (file, path) = {
            let open = self.lock();
            (open.file.clone(), open.path.clone())
        };
        blocking(move || file.sync_data())
            .await
            .map_err(Error::io("Syncing the log", &path))
    }

    /// One write to the file for all lines: to the page cache, so no reader waits for a disk.
    fn append(&self, open: &mut Open, time: i64, block: &str, kinds: Vec<Kind>) -> Result<()> {
        let mut text = Vec::new();
        let mut offsets = Vec::new();
        let (mut line, mut events) = (open.line, Vec::new());
        for kind in kinds {
            let Some(kind) = open.allowed(kind) else { continue };
            if line > 0 && line.is_multiple_of(LINES_PER_INDEX) {
                offsets.extend((open.offset + text.len() as u64).to_le_bytes());
            }
            line += 1;
            let event = Event {
                position: Position {
                    epoch: open.epoch,
                    line,
                },
                time,
                block: block.into(),
                kind,
            };
            text.extend_from_slice(event.to_line().as_bytes());
            text.push(b'\n');
            events.push(event);
        }
        if let Err(error) = (&*open.file).write_all(&text) {
            // Half a line may stand there: cut it off, so that the next one can be read.
            if open.file.set_len(open.offset).is_err() {
                open.full = true;
            }
            return Err(Error::io("Writing the log", &open.path)(error));
        }
        open.line = line;
        open.offset += text.len() as u64;
        open.size += text.len() as u64;
        for event in &events {
            open.written.note(event);
        }
        // An index that cannot be written is left out: readers scan instead.
        if let Some(index) = open.index.as_mut().filter(|_| !offsets.is_empty())
            && index.write_all(&offsets).is_err()
        {
            open.index = None;
        }
        self.grown.notify_waiters();
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Cuts long texts, and drops plain lines when the log is full, saying so once.
    fn allowed(&mut self, kind: Kind) -> Option<Kind> {
        let Kind::Line {
            category,
            text,
            detail,
            source,
        } = kind
        else {
            return Some(kind);
        };
        if self.size > LARGEST_LOG && category < Category::Alert {
            if std::mem::replace(&mut self.full, true) {
                return None;
            }
            let text = format!(
                "The log holds {} MiB; further output is left out.",
                LARGEST_LOG / 1024 / 1024
            );
            return Some(Kind::Line {
                category: Category::Gap,
                text,
                detail: None,
                source,
            });
        }
        Some(Kind::Line {
            category,
            text: cut(text, LONGEST_TEXT),
            detail,
            source,
        })
    }
}

impl Written {
    fn note(&mut self, event: &Event) {
        match &event.kind {
            Kind::Open { status, .. } | Kind::Close { status } => {
                self.blocks.insert(event.block.clone(), *status);
            }
            Kind::Line {
                source: Some(source), ..
            } => {
                let last = self.sequences.entry(source.ticket.clone()).or_default();
                *last = source.sequence.max(*last);
            }
            Kind::Line { .. } | Kind::Progress { .. } => {}
        }
    }
}

fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest)
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        text.truncate(end);
        text.push_str(" … (cut)");
    }
    text
}
