//! Takes tasks that are free, does them, and lets go of them (`architecture.md`, "Surviving a crash").

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::Context;
use domain::server_task::{TaskKind, TaskState};
use files::task_logs::{Category, Status};
use storage::lease::{self, Claimed, Outcome};
use storage::{Lease, node, server_task};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::execution::{Means, Stop};
use crate::log::{TaskLog, block};
use crate::machines::Reach;
use crate::task::{self, Work};

/// How often the queue is looked at when nobody gives a hint.
const LOOK: Duration = Duration::from_millis(500);

/// How often a node says that it lives, looks for others that died and for tasks that were not started in time.
const TIDY: Duration = Duration::from_secs(5);

/// How long a stopping node waits for tasks to let go.
const LET_GO: Duration = Duration::from_secs(10);

/// How the queue of a node works.
pub(crate) struct Queue {
    pub(crate) context: Arc<Context>,
    pub(crate) means: Arc<Means>,
    pub(crate) reach: Arc<Reach>,
    /// The name of this life of the node.
    pub(crate) owner: String,
    /// No more tasks are taken.
    pub(crate) draining: CancellationToken,
    /// Tasks are to be given back.
    pub(crate) stopping: CancellationToken,
    running: Mutex<HashMap<String, Stop>>,
}

impl Queue {
    pub(crate) fn new(context: Arc<Context>, means: Arc<Means>, reach: Arc<Reach>, owner: String) -> Self {
        Self {
            context,
            means,
            reach,
            owner,
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            running: Mutex::default(),
        }
    }

    /// Takes tasks until the node drains, then waits until those taken have ended or were given back.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        let mut hints = self.context.notifier.subscribe();
        let mut tidied: Option<tokio::time::Instant> = None;
        while !self.draining.is_cancelled() {
            if tidied.is_none_or(|then| then.elapsed() >= TIDY) {
                tidied = Some(tokio::time::Instant::now());
                told(self.tidy().await, "the queue could not be tidied");
                told(
                    application::health_check::queue_due(&self.context).await,
                    "health checks that are due could not be queued",
                );
            }
            while tasks.try_join_next().is_some() {}
            told(
                self.watch_cancels().await,
                "cancelled tasks could not be looked for",
            );
            match self.claim(tasks.len()).await {
                Ok(Some(claimed)) => {
                    tasks.spawn(self.clone().perform(claimed));
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "no task could be claimed"),
            }
            tokio::select! {
                _hint = hints.next() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = self.draining.cancelled() => {}
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            }
        }
        loop {
            tokio::select! {
                ended = tasks.join_next() => if ended.is_none() { break },
                () = self.stopping.cancelled() => break,
                () = tokio::time::sleep(LOOK) => told(self.watch_cancels().await, "cancelled tasks could not be looked for"),
            }
        }
        for stop in self.lock().values() {
            stop.lost.cancel();
        }
        let letting_go = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LET_GO, letting_go).await.is_err() {
            tracing::warn!("some tasks did not stop in time; another node goes on with them");
        }
        told(self.leave().await, "the node could not be marked as gone");
    }

    async fn claim(&self, running: usize) -> storage::Result<Option<Claimed>> {
        let mut session = self.context.database.read().await?;
        let node = node::find(&mut session, &self.context.node_name).await?;
        drop(session);
        let Some(node) = node else { return Ok(None) };
        let cap = usize::try_from(node.task_cap).unwrap_or(0);
        if node.is_draining || running >= cap {
            return Ok(None);
        }
        lease::claim(
            &self.context.database,
            &self.owner,
            &self.context.node_name,
            self.context.clock.now(),
        )
        .await
    }

    async fn perform(self: Arc<Self>, claimed: Claimed) {
        let Claimed { lease, task: stored } = claimed;
        let id = stored.task.id.to_string();
        let epoch = stored.epoch;
        let clock = self.context.clock.clone();
        let kept = lease.keep(move || clock.now());
        let stop = Stop {
            cancelling: kept.cancelling.clone(),
            lost: kept.lost.clone(),
        };
        if stored.task.state == TaskState::Cancelling {
            stop.cancelling.cancel();
        }
        self.lock().insert(id.clone(), stop.clone());
        tracing::info!(task = %id, epoch, "a task begins");
        let work = self.clone().work(lease.clone(), stored, stop.clone());
        let ended = match tokio::spawn(work).await {
            Ok(ended) => ended,
            Err(fault) => {
                tracing::error!(task = %id, %fault, "a task broke off because of a fault in the Server");
                Err(Error::Broken(
                    "The task broke off because of a fault in the Server. The Server's log says more.".into(),
                ))
            }
        };
        if let Err(error) = ended {
            self.broken(&lease, epoch, error).await;
        }
        self.lock().remove(&id);
        tracing::info!(task = %id, epoch, "a task ends");
        // Others may wait for its tag.
        self.context.notifier.notify(application::task::QUEUE);
        drop(kept);
    }

    async fn work(self: Arc<Self>, lease: Lease, stored: server_task::StoredTask, stop: Stop) -> Result<()> {
        let id = stored.task.id.clone();
        let epoch = u64::try_from(stored.epoch).map_err(|error| Error::Broken(error.to_string()))?;
        let writer = self.context.files.task_logs.writer(id.as_str(), epoch).await?;
        let log = TaskLog::new(writer, self.context.clock.clone());
        log.begin(&block::task(id.as_str()), None, &stored.task.description)?;
        let kind = stored.task.name;
        let work = Work {
            context: self.context.clone(),
            means: self.means.clone(),
            lease,
            epoch: stored.epoch,
            task: stored.task,
            log,
            stop,
        };
        let ended = match kind {
            TaskKind::Deploy => task::deploy::run(&work).await,
            TaskKind::Health => task::health_check::run(&work).await,
        };
        match ended {
            // What is broken for this task is told in its log, and ends it.
            Err(Error::Broken(text)) => work.finish(work.ending(Some(text), false).await?).await,
            Err(Error::Security(error)) => {
                let text = format!("A secret could not be opened: {error}");
                work.finish(work.ending(Some(text), false).await?).await
            }
            other => other,
        }
    }

    /// A task that could not be ended by its own code.
    async fn broken(&self, lease: &Lease, epoch: i64, error: Error) {
        let task = lease.task();
        let now = self.context.clock.now();
        match error {
            Error::LeaseLost => {
                // Given back when this node stops; when another node has it, this writes nothing.
                match lease.release(now).await {
                    Ok(()) => tracing::info!(%task, epoch, "a task was given back"),
                    Err(error) => tracing::info!(%task, epoch, %error, "a task was given up"),
                }
            }
            Error::Storage(
                storage::Error::Unavailable { message } | storage::Error::CommitUnknown { message },
            ) => {
                tracing::warn!(%task, epoch, %message, "a task waits for the database and goes on later");
            }
            error => {
                tracing::error!(%task, epoch, %error, "a task failed because of a fault of the Server");
                let outcome = Outcome {
                    state: TaskState::Failed,
                    error_message: Some(error.to_string()),
                    has_warnings: true,
                };
                if let Err(error) = lease.finish(&outcome, now).await {
                    tracing::error!(%task, epoch, %error, "the failure of a task could not be written down");
                }
            }
        }
    }

    /// Tells running tasks that somebody wants them to stop, long before the next renewal of their lease.
    async fn watch_cancels(&self) -> storage::Result<()> {
        let running: Vec<(String, Stop)> = self
            .lock()
            .iter()
            .map(|(id, stop)| (id.clone(), stop.clone()))
            .collect();
        for (id, stop) in running.iter().filter(|(_, stop)| !stop.cancelling.is_cancelled()) {
            let mut session = self.context.database.read().await?;
            let stored = server_task::find(&mut session, id).await?;
            if stored.is_some_and(|stored| stored.task.state == TaskState::Cancelling) {
                stop.cancelling.cancel();
            }
        }
        Ok(())
    }

    async fn tidy(&self) -> storage::Result<()> {
        let now = self.context.clock.now();
        let dead = node::bury_dead(&self.context.database, &self.owner).await?;
        for name in dead {
            tracing::warn!(node = %name, "another node has died; its tasks are taken over");
        }
        self.reach.follow().await?;
        let mut session = self.context.database.write().await?;
        node::touch(&mut session, &self.owner, now).await?;
        let expired = server_task::expire(&mut session, now).await?;
        session.commit().await?;
        for task in expired {
            self.tell_expired(&task).await;
        }
        Ok(())
    }

    /// The log of a task that never began says why.
    async fn tell_expired(&self, task: &domain::ServerTaskId) {
        let told = async {
            let writer = self.context.files.task_logs.writer(task.as_str(), 1).await?;
            let log = TaskLog::new(writer, self.context.clock.clone());
            let root = block::task(task.as_str());
            log.begin(&root, None, task.as_str())?;
            log.line(
                &root,
                Category::Fatal,
                "The task was not started before its queue time expired.",
            )?;
            log.end(&root, Status::Failed)
        };
        if let Err(error) = told.await {
            tracing::info!(%task, %error, "the log of an expired task could not be written");
        }
    }

    async fn leave(&self) -> storage::Result<()> {
        let mut session = self.context.database.write().await?;
        node::leave(&mut session, &self.owner, self.context.clock.now()).await?;
        session.commit().await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Stop>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(result: std::result::Result<(), impl std::fmt::Display>, what: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, "{what}");
    }
}
