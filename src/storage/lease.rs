//! The right to work on a task, and the only way to write what its executor may write (`architecture.md`, "Surviving
//! a crash").
//!
//! A lease has an epoch. Every write begins its transaction by renewing the lease row of that epoch; when another
//! executor has taken the task, no row is renewed and nothing is written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ServerTaskId;
use domain::server_task::TaskState;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::database::{Database, Session};
use crate::journal::{self, Entry, EntryKind, WrittenEntry};
use crate::server_task::{self, StoredTask};
use crate::{Error, Result};

/// How long a lease is good, in milliseconds.
pub const LASTS: i64 = 30_000;
/// How often it is renewed.
pub const RENEWED_EVERY: Duration = Duration::from_secs(10);
/// How long before its end an owner that could not renew it stops, by its own monotonic clock.
const STOPS_BEFORE: Duration = Duration::from_secs(5);
/// How often a claim looks again after another node was faster.
const TRIES: usize = 32;

/// Tasks that may be claimed: `$1` is now. Cancelling ones are claimed too, so that somebody ends them; that needs no tag.
macro_rules! claimable {
    () => {
        "((t.state = 'Queued' and t.queue_time <= $1 and (t.queue_time_expiry is null or t.queue_time_expiry > $1))
           or (t.state in ('Executing', 'Cancelling') and not t.is_parked
               and (t.lease_owner is null or t.lease_expires_at <= $1
                    or not exists (select 1 from node n where n.owner = t.lease_owner and n.is_alive))))
         and (t.concurrency_tag is null or t.running_tag is not null or t.state = 'Cancelling'
              or not exists (select 1 from server_task o where o.running_tag = t.concurrency_tag))"
    };
}

crate::statements! {
    // What a node left behind comes first, then what was moved to the top (the latest move first), then the oldest.
    CLAIM = concat!(
        "update server_task set state = case when state = 'Queued' then 'Executing' else state end, lease_owner = $2,
             lease_epoch = lease_epoch + 1, lease_expires_at = $3, server_node = $4,
             running_tag = case when state = 'Cancelling' then running_tag else concurrency_tag end,
             start_time = coalesce(start_time, $1), updated_at = $1
         where (id, state, lease_epoch, coalesce(lease_expires_at, 0)) = (
             select t.id, t.state, t.lease_epoch, coalesce(t.lease_expires_at, 0) from server_task t where ",
        claimable!(),
        " order by t.state = 'Queued', t.moved_to_top_at is null, t.moved_to_top_at desc, t.queue_time, t.number limit 1)
         returning *"
    );
    ANY_CLAIMABLE = concat!("select 1 as found from server_task t where ", claimable!(), " limit 1");
    RENEW = "update server_task set lease_expires_at = $4
             where id = $1 and lease_owner = $2 and lease_epoch = $3 and state in ('Executing', 'Cancelling')
             returning state";
    OPEN_SEGMENT = "insert into task_segment (task_id, epoch) values ($1, $2)";
    CLOSE_SEGMENT = "update task_segment set valid_length = $3 where task_id = $1 and epoch = $2";
    OPEN_SEGMENTS = "select epoch from task_segment where task_id = $1 and epoch < $2 and valid_length is null order by epoch";
    APPEND = "insert into journal (task_id, position, epoch, occurred_at, kind, ticket, attempt, outcome, document)
              select $1, coalesce(max(position), 0) + 1, $2, $3, $4, $5, $6, $7, $8 from journal where task_id = $1
              on conflict (task_id, ticket, kind) do nothing";
    SAVE_PLAN = "update server_task set plan = $2 where id = $1";
    PLAN = "select plan from server_task where id = $1";
    WARN = "update server_task set has_warnings = true, updated_at = $2 where id = $1";
    FINISH = "update server_task set state = $2, error_message = $3, has_warnings = (has_warnings or $4), completed_at = $5,
                  updated_at = $5, running_tag = null, lease_owner = null, lease_expires_at = null, has_pending_interruptions = false
              where id = $1";
    PARK = "update server_task set is_parked = true, has_pending_interruptions = true, lease_owner = null, lease_expires_at = null,
                running_tag = case when $2 then running_tag else null end, updated_at = $3
            where id = $1 and state = 'Executing'";
    RELEASE = "update server_task set lease_owner = null, lease_expires_at = null, updated_at = $2 where id = $1";
    INTERRUPT = "update server_task set has_pending_interruptions = $2, updated_at = $3 where id = $1";
}

/// The right to work on one task. Clones are the same lease.
#[derive(Clone)]
pub struct Lease {
    database: Database,
    task: ServerTaskId,
    owner: Arc<str>,
    epoch: i64,
    good_until: Arc<Mutex<Instant>>,
    /// Whether it is being given back, so that the renewal in the background does not take its end for a loss.
    ending: Arc<AtomicBool>,
}

/// A task and the right to work on it.
pub struct Claimed {
    /// The right.
    pub lease: Lease,
    /// The task as it is now.
    pub task: StoredTask,
}

/// How a task ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Success`, `Failed` or `Canceled`.
    pub state: TaskState,
    /// The first failure.
    pub error_message: Option<String>,
    /// Whether something was not quite well.
    pub has_warnings: bool,
}

/// Takes the next task that is free, for the node's `owner` (see [`crate::node::register`]). None: nothing is free.
/// Call [`crate::node::bury_dead`] before, so that the tasks of nodes that died are free at once.
///
/// # Errors
/// When the database fails.
pub async fn claim(database: &Database, owner: &str, node: &str, now: i64) -> Result<Option<Claimed>> {
    for _ in 0..TRIES {
        let begun = Instant::now();
        let mut session = database.read().await?;
        if session
            .fetch_optional(ANY_CLAIMABLE, vec![now.into()])
            .await?
            .is_none()
        {
            return Ok(None);
        }
        drop(session);
        let mut session = database.write().await?;
        let values = vec![now.into(), owner.into(), (now + LASTS).into(), node.into()];
        let task = match session.fetch_optional(CLAIM, values).await {
            Ok(Some(row)) => server_task::read(&row)?,
            // Another node was faster, at the task or at its tag.
            Ok(None) | Err(Error::Duplicate { .. }) => continue,
            Err(error) => return Err(error),
        };
        session
            .execute(
                OPEN_SEGMENT,
                vec![task.task.id.as_str().into(), task.epoch.into()],
            )
            .await?;
        session.commit().await?;
        let lease = Lease {
            database: database.clone(),
            task: task.task.id.clone(),
            owner: owner.into(),
            epoch: task.epoch,
            good_until: Arc::new(Mutex::new(begun + lasts())),
            ending: Arc::new(AtomicBool::new(false)),
        };
        return Ok(Some(Claimed { lease, task }));
    }
    Ok(None)
}

impl Lease {
    /// The task.
    #[must_use]
    pub fn task(&self) -> &ServerTaskId {
        &self.task
    }

    /// Which executor of the task this is, from 1.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Begins a transaction by renewing the lease, which holds off a takeover until it is committed. Everything that
    /// an executor writes goes through such a session.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when another executor has the task, or the task has ended.
    pub async fn write(&self, now: i64) -> Result<Session> {
        let mut session = self.database.write().await?;
        self.renew_in(&mut session, now).await?;
        Ok(session)
    }

    /// Renews the lease, and gives the state of the task: `Cancelling` means that the executor is to stop its work.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn renew(&self, now: i64) -> Result<TaskState> {
        let begun = Instant::now();
        let mut session = self.database.write().await?;
        let state = self.renew_in(&mut session, now).await?;
        session.commit().await?;
        let mut good_until = self.good_until.lock().unwrap_or_else(PoisonError::into_inner);
        *good_until = (*good_until).max(begun + lasts());
        Ok(state)
    }

    /// Renews the lease in the background until the answer is dropped, and tells what happens to it.
    /// `now` is the clock, in milliseconds since 1970 UTC.
    #[must_use]
    pub fn keep(&self, now: impl Fn() -> i64 + Send + 'static) -> KeptLease {
        let (lost, cancelling, stop) = (
            CancellationToken::new(),
            CancellationToken::new(),
            CancellationToken::new(),
        );
        let kept = KeptLease {
            lost: lost.clone(),
            cancelling: cancelling.clone(),
            _stop: stop.clone().drop_guard(),
        };
        let lease = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = lease.keep_until_lost(now, &cancelling) => lost.cancel(),
            }
        });
        kept
    }

    /// Writes an entry of the journal and gives true, or false when the ticket has this entry already.
    /// It is durable when this returns.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn append(&self, entry: &Entry, now: i64) -> Result<bool> {
        let (before, after) = crash_points(entry.kind);
        crash_point(before);
        let mut session = self.write(now).await?;
        let written = self.append_in(&mut session, entry, now).await?;
        session.commit().await?;
        crash_point(after);
        Ok(written)
    }

    /// The journal, of all epochs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn journal(&self) -> Result<Vec<WrittenEntry>> {
        journal::read(&mut self.database.read().await?, &self.task).await
    }

    /// Keeps the plan of the task, JSON, with sealed secrets only.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn save_plan(&self, plan: &str, now: i64) -> Result<()> {
        let mut session = self.write(now).await?;
        session
            .execute(SAVE_PLAN, vec![self.task.as_str().into(), plan.into()])
            .await?;
        session.commit().await
    }

    /// The plan that was kept, by this epoch or one before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plan(&self) -> Result<Option<String>> {
        let mut session = self.database.read().await?;
        let row = session
            .fetch_optional(PLAN, vec![self.task.as_str().into()])
            .await?;
        row.map_or(Ok(None), |row| row.optional_text("plan"))
    }

    /// The segments of the log that former epochs left open. Cut each one's torn last line and tell its length to
    /// [`Lease::close_segment`] before the first line of this epoch is written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_segments(&self) -> Result<Vec<i64>> {
        let mut session = self.database.read().await?;
        let rows = session
            .fetch_all(OPEN_SEGMENTS, vec![self.task.as_str().into(), self.epoch.into()])
            .await?;
        rows.iter().map(|row| row.integer("epoch")).collect()
    }

    /// Records how many bytes of a segment count; readers stop there, whatever a late writer appends.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn close_segment(&self, epoch: i64, valid_length: u64, now: i64) -> Result<()> {
        let length = i64::try_from(valid_length).map_err(Error::document)?;
        let mut session = self.write(now).await?;
        session
            .execute(
                CLOSE_SEGMENT,
                vec![self.task.as_str().into(), epoch.into(), length.into()],
            )
            .await?;
        session.commit().await
    }

    /// Notes that something was not quite well.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn warn(&self, now: i64) -> Result<()> {
        let mut session = self.write(now).await?;
        session
            .execute(WARN, vec![self.task.as_str().into(), now.into()])
            .await?;
        session.commit().await
    }

    /// Notes whether the task waits for a person in place, with node and tag.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn set_pending_interruptions(&self, pending: bool, now: i64) -> Result<()> {
        let mut session = self.write(now).await?;
        session
            .execute(
                INTERRUPT,
                vec![self.task.as_str().into(), pending.into(), now.into()],
            )
            .await?;
        session.commit().await
    }

    /// Ends the task and the lease.
    ///
    /// # Errors
    /// As [`Lease::write`]; [`Error::Statement`] for a way that `deployments.md` 8.1 does not know, such as
    /// `Cancelling` to `Success`.
    pub async fn finish(&self, outcome: &Outcome, now: i64) -> Result<()> {
        let session = self.write(now).await?;
        self.finish_in(session, outcome, now).await
    }

    /// Ends the task and the lease together with what the caller has written in this session, which must come from
    /// [`Lease::write`]; commits it.
    ///
    /// # Errors
    /// As [`Lease::finish`].
    pub async fn finish_in(&self, mut session: Session, outcome: &Outcome, now: i64) -> Result<()> {
        let ending = Ending::of(self);
        let state = self.renew_in(&mut session, now).await?;
        if !state.may_become(outcome.state) {
            let message = format!(
                "the task {} is {state} and cannot become {}",
                self.task, outcome.state
            );
            return Err(Error::Statement { message });
        }
        let values = vec![
            self.task.as_str().into(),
            outcome.state.name().into(),
            outcome.error_message.clone().into(),
            outcome.has_warnings.into(),
            now.into(),
        ];
        session.execute(FINISH, values).await?;
        crash_point("task::finish::before");
        session.commit().await?;
        ending.done();
        crash_point("task::finish::after");
        Ok(())
    }

    /// Lets the task wait for a person, without a node and, unless `keep_tag`, without its concurrency tag; the answer
    /// ([`server_task::unpark`]) makes it claimable again. False when it was asked to stop meanwhile: then it is not
    /// parked and the lease stays.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn park(&self, keep_tag: bool, now: i64) -> Result<bool> {
        let ending = Ending::of(self);
        let mut session = self.write(now).await?;
        let parked = session
            .execute(PARK, vec![self.task.as_str().into(), keep_tag.into(), now.into()])
            .await?
            > 0;
        session.commit().await?;
        if parked {
            ending.done();
        }
        Ok(parked)
    }

    /// Gives the task back unfinished, so that any node can go on with it at once.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub async fn release(&self, now: i64) -> Result<()> {
        let ending = Ending::of(self);
        let mut session = self.write(now).await?;
        session
            .execute(RELEASE, vec![self.task.as_str().into(), now.into()])
            .await?;
        session.commit().await?;
        ending.done();
        Ok(())
    }

    async fn renew_in(&self, session: &mut Session, now: i64) -> Result<TaskState> {
        let values = vec![
            self.task.as_str().into(),
            (&*self.owner).into(),
            self.epoch.into(),
            (now + LASTS).into(),
        ];
        let row = session
            .fetch_optional(RENEW, values)
            .await?
            .ok_or(Error::LeaseLost)?;
        row.text("state")?.parse().map_err(Error::document)
    }

    async fn append_in(&self, session: &mut Session, entry: &Entry, now: i64) -> Result<bool> {
        let values = vec![
            self.task.as_str().into(),
            self.epoch.into(),
            now.into(),
            entry.kind.as_str().into(),
            entry.ticket.as_str().into(),
            entry.attempt.into(),
            entry.outcome.clone().into(),
            entry.document.as_str().into(),
        ];
        Ok(session.execute(APPEND, values).await? > 0)
    }

    /// Returns when the lease is lost, or can no longer be trusted by this program's own clock.
    async fn keep_until_lost(&self, now: impl Fn() -> i64, cancelling: &CancellationToken) {
        loop {
            let good_until = *self.good_until.lock().unwrap_or_else(PoisonError::into_inner);
            let last_moment = good_until - STOPS_BEFORE;
            let renewal = tokio::time::timeout_at(last_moment.into(), self.renew(now()));
            match renewal.await {
                Ok(Ok(TaskState::Cancelling)) => cancelling.cancel(),
                Ok(Ok(_)) => {}
                Ok(Err(Error::LeaseLost)) if self.ending.load(Ordering::SeqCst) => {
                    std::future::pending().await
                }
                Ok(Err(Error::LeaseLost)) => return,
                Ok(Err(error)) => {
                    tracing::warn!("the lease of {} could not be renewed: {error}", self.task);
                    if Instant::now() >= last_moment {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Err(_) => return,
            }
            tokio::time::sleep(RENEWED_EVERY).await;
        }
    }
}

/// A lease that is being given back; if that does not succeed, it is not.
struct Ending<'a>(Option<&'a AtomicBool>);

impl<'a> Ending<'a> {
    fn of(lease: &'a Lease) -> Self {
        lease.ending.store(true, Ordering::SeqCst);
        Self(Some(&lease.ending))
    }

    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(ending) = self.0 {
            ending.store(false, Ordering::SeqCst);
        }
    }
}

/// A lease that is renewed in the background, until this is dropped.
pub struct KeptLease {
    /// Cancelled when the lease is lost: stop at once, write nothing, and take back requests that wait in queues. Not
    /// when it was given back by [`Lease::finish`], [`Lease::park`] or [`Lease::release`].
    pub lost: CancellationToken,
    /// Cancelled when somebody asked to cancel the task; noticed within the time between two renewals.
    pub cancelling: CancellationToken,
    _stop: DropGuard,
}

fn lasts() -> Duration {
    Duration::from_millis(LASTS.unsigned_abs())
}

/// The points before and after the write of an entry.
fn crash_points(kind: EntryKind) -> (&'static str, &'static str) {
    match kind {
        EntryKind::Dispatched => ("journal::dispatched::before", "journal::dispatched::after"),
        EntryKind::Accepted => ("journal::accepted::before", "journal::accepted::after"),
        EntryKind::Finished => ("journal::finished::before", "journal::finished::after"),
    }
}

/// A point where a test can stop this program (`FAILPOINTS="journal::accepted::before=pause"`) or end it as a crash
/// does, without any clean-up (`=return`). Nothing, unless built with the feature `failpoints`.
fn crash_point(name: &'static str) {
    if fail::has_failpoints() {
        fail::eval(name, |_| std::process::abort());
    }
}
