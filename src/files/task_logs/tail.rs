//! Reading along: every line once, in order, across takeovers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::event::{Event, Position};
use super::segment::{Lines, Segment};
use crate::error::{Error, Result};
use crate::spool::blocking;

/// The most events of one answer.
const BATCH: usize = 1000;

/// How often a reader looks when nobody tells it that the log grew: another node may be writing.
const LOOK: Duration = Duration::from_millis(250);

/// A reader of one log. Its position is after the last event that it gave.
#[derive(Debug, Clone)]
pub struct Tail {
    place: Place,
    grown: Arc<Notify>,
}

#[derive(Debug, Clone)]
struct Place {
    folder: PathBuf,
    position: Position,
    /// The end of the line at `position`, once known.
    offset: Option<u64>,
}

impl Tail {
    pub(super) fn new(folder: PathBuf, after: Position, grown: Arc<Notify>) -> Self {
        Self {
            place: Place {
                folder,
                position: after,
                offset: None,
            },
            grown,
        }
    }

    /// After the last event given.
    #[must_use]
    pub fn position(&self) -> Position {
        self.place.position
    }

    /// What there is now, at most a thousand events; empty at the end.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn read(&mut self) -> Result<Vec<Event>> {
        let mut place = self.place.clone();
        let folder = place.folder.clone();
        let (place, events) = blocking(move || place.read().map(|events| (place, events)))
            .await
            .map_err(Error::io("Reading the log in", &folder))?;
        self.place = place;
        Ok(events)
    }

    /// What comes next; waits for it at most as long as given, and comes back empty then.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn next(&mut self, wait: Duration) -> Result<Vec<Event>> {
        let end = tokio::time::Instant::now() + wait;
        let grown = self.grown.clone();
        loop {
            // Registered before looking, so that a line written in between wakes us.
            let hint = grown.notified();
            let events = self.read().await?;
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if !events.is_empty() || left.is_zero() {
                return Ok(events);
            }
            // Woken or not, the file is looked at again.
            let _woken = tokio::time::timeout(left.min(LOOK), hint).await.is_ok();
        }
    }
}

impl Place {
    fn read(&mut self) -> std::io::Result<Vec<Event>> {
        let mut events = Vec::new();
        for segment in Segment::list(&self.folder)? {
            if segment.epoch < self.position.epoch {
                continue;
            }
            // Read before the lines: a length that is recorded later is for a later look.
            let recorded = segment.recorded_length()?;
            let (line, offset) = if segment.epoch > self.position.epoch {
                (0, 0)
            } else if let Some(offset) = self.offset {
                (self.position.line, offset)
            } else {
                segment.start_for(self.position.line)
            };
            let mut lines = Lines::at(&segment, line, offset, recorded)?;
            while events.len() < BATCH {
                let Some(event) = lines.next_event()? else { break };
                if event.position > self.position {
                    self.position = event.position;
                    events.push(event);
                }
                self.offset = (self.position.line == lines.line).then_some(lines.offset);
            }
            let at_end = recorded.is_some_and(|length| lines.offset >= length);
            if events.len() >= BATCH || !at_end {
                break;
            }
        }
        Ok(events)
    }
}
