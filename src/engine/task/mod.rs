//! One file for each kind of task.

pub mod deploy;
pub mod health_check;

use std::sync::Arc;

use application::Context;
use domain::server_task::TaskState;
use domain::{ServerTask, SpaceId};
use files::task_logs::{Category, Status};
use storage::lease::Outcome;
use storage::{Lease, Session};

use crate::error::{Error, Result};
use crate::execution::{Means, Stop};
use crate::log::{TaskLog, block};

/// A task at work on this node.
pub struct Work {
    /// What every use case works with.
    pub context: Arc<Context>,
    /// The ways to machines.
    pub means: Arc<Means>,
    /// The right to work on it.
    pub lease: Lease,
    /// The task as it was claimed.
    pub task: ServerTask,
    /// Which executor of the task this is.
    pub epoch: i64,
    /// Where it is told.
    pub log: TaskLog,
    /// What ends it early.
    pub stop: Stop,
}

impl Work {
    /// The space of the task.
    ///
    /// # Errors
    /// When the task is one of the system.
    pub fn space(&self) -> Result<&SpaceId> {
        let space = self.task.space_id.as_ref();
        space.ok_or_else(|| Error::Broken(format!("The task {} belongs to no space.", self.task.id)))
    }

    /// The block of the whole task.
    #[must_use]
    pub fn root(&self) -> String {
        block::task(self.task.id.as_str())
    }

    /// A session that only the holder of the lease gets.
    ///
    /// # Errors
    /// When the lease is lost or the database fails.
    pub async fn write(&self) -> Result<Session> {
        Ok(self.lease.write(self.context.clock.now()).await?)
    }

    /// Begins the end of the task: decides how it ends, and tells it in the log. Nobody can cancel it any more until the session
    /// in the answer is committed or dropped. What belongs to the end is written with that session.
    ///
    /// # Errors
    /// When the lease is lost, or the database or the volume fails.
    pub async fn ending(&self, error: Option<String>, is_cancelled: bool) -> Result<Ending> {
        let root = self.root();
        let mut session = self.write().await?;
        let stored = storage::server_task::find(&mut session, self.task.id.as_str()).await?;
        let cancelling = stored.is_some_and(|stored| stored.task.state == TaskState::Cancelling);
        let error = error.map(|text| self.log.mask().apply(&text).into_owned());
        let state = match &error {
            _ if cancelling => TaskState::Canceled,
            None if !is_cancelled => TaskState::Success,
            _ => TaskState::Failed,
        };
        let warned = self.log.has_warned();
        let (status, text) = match state {
            TaskState::Canceled => (Status::Canceled, "The task was canceled.".to_owned()),
            TaskState::Failed => (Status::Failed, error.clone().unwrap_or_default()),
            _ if warned => (
                Status::SuccessWithWarning,
                "The task ended with warnings.".to_owned(),
            ),
            _ => (Status::Success, "The task ended successfully.".to_owned()),
        };
        match status {
            Status::Failed => self.log.line(&root, Category::Fatal, &text)?,
            _ => self.log.info(&root, &text)?,
        }
        self.log.end(&root, status)?;
        self.log.sync().await?;
        Ok(Ending {
            session,
            outcome: Outcome {
                state,
                error_message: error,
                has_warnings: warned,
            },
        })
    }

    /// Ends the task and the lease.
    ///
    /// # Errors
    /// When the lease is lost or the database fails.
    pub async fn finish(&self, ending: Ending) -> Result<()> {
        let Ending { session, outcome } = ending;
        Ok(self
            .lease
            .finish_in(session, &outcome, self.context.clock.now())
            .await?)
    }
}

/// A task that is about to end.
pub struct Ending {
    /// The transaction of the end.
    pub session: Session,
    outcome: Outcome,
}

impl Ending {
    /// How the task ends.
    #[must_use]
    pub fn state(&self) -> TaskState {
        self.outcome.state
    }
}
