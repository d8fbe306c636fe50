//! Logs of tasks: `<task logs>/ServerTasks-42/00001.jsonl`, one segment for each lease epoch.
//!
//! What you watch is what is kept: a live reader reads the same file as one who comes in a year.

mod event;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

pub use event::{Category, Event, Kind, Position, Source, Status};
pub use tail::Tail;
pub use tree::{Builder, Element, Node, View, tree};
pub use writer::{LogWriter, Written};

use crate::error::{Error, Result};
use crate::name;
use crate::spool::blocking;

/// The logs.
#[derive(Debug, Clone)]
pub struct TaskLogs {
    volume: PathBuf,
    grown: Arc<Notify>,
}

impl TaskLogs {
    pub(crate) fn new(volume: PathBuf) -> Self {
        Self {
            volume,
            grown: Arc::new(Notify::new()),
        }
    }

    /// Opens the log of a task for the holder of the lease with this epoch. Former segments are sealed first: what
    /// their writers append from now on is never read. Returns what the log knows already.
    ///
    /// # Errors
    /// [`Error::Superseded`] when a later epoch writes already, or when the disk fails.
    pub async fn writer(&self, task: &str, epoch: u64) -> Result<LogWriter> {
        let folder = self.folder(task)?;
        let (task, grown) = (task.to_owned(), self.grown.clone());
        tokio::task::spawn_blocking(move || LogWriter::open(task, folder, epoch, grown))
            .await
            .unwrap_or_else(|error| {
                Err(Error::io("Opening the log in", &self.volume)(
                    std::io::Error::other(error),
                ))
            })
    }

    /// Reads a log from behind a position on, and goes on as it grows.
    ///
    /// # Errors
    /// When the task's id cannot be a folder name.
    pub fn tail(&self, task: &str, after: Position) -> Result<Tail> {
        Ok(Tail::new(self.folder(task)?, after, self.grown.clone()))
    }

    /// The whole log as a tree.
    ///
    /// # Errors
    /// When the disk fails. A task without a log has an empty list.
    pub async fn tree(&self, task: &str, view: View) -> Result<Vec<Node>> {
        let mut tail = self.tail(task, Position::default())?;
        let mut builder = tree(view);
        loop {
            let events = tail.read().await?;
            if events.is_empty() {
                return Ok(builder.finish());
            }
            for event in events {
                builder.add(event);
            }
        }
    }

    /// The size of a log in bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn size(&self, task: &str) -> Result<u64> {
        let folder = self.folder(task)?;
        let at = folder.clone();
        blocking(move || {
            let segments = segment::Segment::list(&at)?;
            segments.iter().try_fold(0, |sum, segment| {
                let length = match segment.recorded_length()? {
                    Some(length) => length,
                    None => std::fs::metadata(segment.path())?.len(),
                };
                Ok(sum + length)
            })
        })
        .await
        .map_err(Error::io("Measuring", &folder))
    }

    /// Deletes the log of a task; one that is not there is deleted already.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn delete(&self, task: &str) -> Result<()> {
        let folder = self.folder(task)?;
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("Deleting", &folder)(error))
            }
            _ => Ok(()),
        }
    }

    fn folder(&self, task: &str) -> Result<PathBuf> {
        name::check("task id", task)?;
        Ok(self.volume.join(task))
    }
}
