//! What an executor did with each ticket, so that the next one goes on where it stopped. Only a [`crate::Lease`] adds
//! to it.

use domain::ServerTaskId;

use crate::database::{Row, Session};
use crate::{Error, Result};

crate::statements! {
    READ = "select * from journal where task_id = $1 order by position";
}

/// How far a ticket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// It is about to be sent: the agent may know it or not. Alone it means to send the same ticket again.
    Dispatched,
    /// The agent has it. Alone it means to ask for its status, never to send it again.
    Accepted,
    /// It has ended, and its log is kept.
    Finished,
}

impl EntryKind {
    /// Every kind, in the order in which they come.
    pub const ALL: [Self; 3] = [Self::Dispatched, Self::Accepted, Self::Finished];

    /// The name that is stored, which is also part of the names of the fail points around the write:
    /// `journal::dispatched::before` and `journal::dispatched::after`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dispatched => "dispatched",
            Self::Accepted => "accepted",
            Self::Finished => "finished",
        }
    }
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The ticket, made of task, action, target and attempt.
    pub ticket: String,
    /// How far it has come.
    pub kind: EntryKind,
    /// Which attempt at its action it is, from 1.
    pub attempt: i64,
    /// How it ended, for [`EntryKind::Finished`]: a word of the executor's.
    pub outcome: Option<String>,
    /// What the executor needs to go on, such as output variables: JSON, with sealed secrets only.
    pub document: String,
}

/// An entry with where and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenEntry {
    /// Its number in the task's journal, from 1.
    pub position: i64,
    /// The epoch of the executor that wrote it.
    pub epoch: i64,
    /// Milliseconds since 1970 UTC.
    pub occurred_at: i64,
    /// What it says.
    pub entry: Entry,
}

/// The journal of a task, from the beginning.
///
/// # Errors
/// When the database fails.
pub async fn read(session: &mut Session, task: &ServerTaskId) -> Result<Vec<WrittenEntry>> {
    session
        .fetch_all(READ, vec![task.as_str().into()])
        .await?
        .iter()
        .map(read_row)
        .collect()
}

fn read_row(row: &Row) -> Result<WrittenEntry> {
    let kind = row.text("kind")?;
    let known = EntryKind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok(WrittenEntry {
        position: row.integer("position")?,
        epoch: row.integer("epoch")?,
        occurred_at: row.integer("occurred_at")?,
        entry: Entry {
            ticket: row.text("ticket")?,
            kind: known.ok_or_else(|| {
                Error::document(format!("the journal has an entry of the unknown kind '{kind}'"))
            })?,
            attempt: row.integer("attempt")?,
            outcome: row.optional_text("outcome")?,
            document: row.text("document")?,
        },
    })
}
