//! The log of a task: what is watched is what is kept.

use std::time::Duration;

use domain::SpaceId;
pub use files::task_logs::{Category, Event, Kind, Node, Status, View};
use files::task_logs::{Position, Tail};

use crate::{Actor, Context, Result};

/// A reader that goes on until the task has ended and everything was read.
pub struct Reader {
    tail: Tail,
    task_id: String,
    space: SpaceId,
    ended: bool,
}

/// Opens the log of a task after a position; 0 is its beginning.
///
/// # Errors
/// [`crate::Error::NotFound`], or without TaskView.
pub async fn tail(context: &Context, actor: &Actor, space: &SpaceId, id: &str, after: u64) -> Result<Reader> {
    let task = crate::task::get(context, actor, space, id).await?;
    let tail = context
        .files
        .task_logs
        .tail(task.id.as_str(), Position::from(after))?;
    Ok(Reader {
        tail,
        task_id: task.id.to_string(),
        space: space.clone(),
        ended: false,
    })
}

impl Reader {
    /// What comes next, waiting at most as long as given; none when the log has come to its end.
    ///
    /// # Errors
    /// When the volume or the database fails, or the actor lost the right to look.
    pub async fn next(
        &mut self,
        context: &Context,
        actor: &Actor,
        wait: Duration,
    ) -> Result<Option<Vec<Event>>> {
        if self.ended {
            return Ok(None);
        }
        let events = self.tail.next(wait).await?;
        if !events.is_empty() {
            return Ok(Some(events));
        }
        let task = crate::task::get(context, actor, &self.space, &self.task_id).await?;
        if !task.state.is_completed() {
            return Ok(Some(events));
        }
        // What was written between the last look and the end of the task.
        let rest = self.tail.read().await?;
        self.ended = rest.is_empty();
        Ok(if self.ended { None } else { Some(rest) })
    }
}

/// The log as a tree of steps, targets and actions.
///
/// # Errors
/// As [`tail`].
pub async fn tree(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    view: View,
) -> Result<Vec<Node>> {
    let task = crate::task::get(context, actor, space, id).await?;
    Ok(context.files.task_logs.tree(task.id.as_str(), view).await?)
}

/// The bytes that the log takes on its volume.
///
/// # Errors
/// As [`tail`].
pub async fn size(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<u64> {
    let task = crate::task::get(context, actor, space, id).await?;
    Ok(context.files.task_logs.size(task.id.as_str()).await?)
}
