//! Tasks of the Server: the queue, and what everybody may read and ask of it. What an executor may write is in
//! [`crate::lease`].

use domain::server_task::{TaskKind, TaskState};
use domain::{ProjectId, ServerTask, ServerTaskId, SpaceId, Timestamp};

use crate::database::{Row, Session, Value, any_of};
use crate::named::{from_text, to_text};
use crate::{Error, Result};

/// The conditions of a list, with `$1` to `$14`; an empty text and a null do not filter.
macro_rules! filtered {
    ($before:literal, $behind:literal) => {
        concat!(
            $before,
            " from server_task t where ($1 = '' or replace($1, ',' || t.id || ',', '') <> $1)
              and ($2 = '' or replace($2, ',' || t.space_id || ',', '') <> $2 or ($3 and t.space_id is null))
              and ($3 or t.space_id is not null)
              and ($4 = '' or replace($4, ',' || t.state || ',', '') <> $4)
              and ($5 = '' or t.name = $5)
              and ($6 = '' or t.project_id = $6)
              and ($7 = '' or t.environment_id = $7)
              and ($8 = '' or t.tenant_id = $8)
              and ($9 = '' or t.server_node = $9)
              and (cast($10 as boolean) is null or t.has_pending_interruptions = $10)
              and (cast($11 as boolean) is null or (t.has_warnings or t.state in ('Failed', 'TimedOut')) = $11)
              and (cast($12 as boolean) is null or (t.lease_owner is not null and t.completed_at is null) = $12)
              and ($13 = '' or replace(lower(t.description), $13, '') <> lower(t.description))
              and ($14 = '' or replace(t.arguments, $14, '') <> t.arguments)",
            $behind
        )
    };
}

crate::statements! {
    INSERT = "insert into server_task (id, number, space_id, name, description, state, arguments, project_id, environment_id,
                  tenant_id, queue_time, queue_time_expiry, concurrency_tag, updated_at, has_warnings,
                  has_pending_interruptions, is_parked, lease_epoch)
              values ($1, $2, $3, $4, $5, 'Queued', $6, $7, $8, $9, $10, $11, $12, $13, false, false, false, 0)";
    FIND = "select * from server_task where lower(id) = $1";
    PAGE = filtered!("select t.*", " order by t.queue_time desc, t.number desc limit $15 offset $16");
    COUNT = filtered!("select t.state as state, count(*) as total", " group by t.state");
    CANCEL_QUEUED = "update server_task set state = 'Canceled', completed_at = $2, updated_at = $2, cancel_requested_at = $2
                     where id = $1 and state = 'Queued'";
    CANCEL_RUNNING = "update server_task set state = 'Cancelling', updated_at = $2, cancel_requested_at = $2, is_parked = false,
                          has_pending_interruptions = false
                      where id = $1 and state = 'Executing'";
    ABANDON = "update server_task set state = 'Canceled', completed_at = $2, updated_at = $2, error_message = $3,
                   running_tag = null, lease_owner = null, lease_expires_at = null, is_parked = false
               where id = $1 and state = 'Cancelling' and cancel_requested_at <= $4";
    EXPIRE = "update server_task set state = 'TimedOut', completed_at = $1, updated_at = $1,
                  error_message = 'The task was not started before its queue time expired.'
              where state = 'Queued' and queue_time_expiry <= $1 returning id";
    MOVE_TO_TOP = "update server_task set moved_to_top_at = $2, updated_at = $2 where id = $1 and state = 'Queued'";
    UNPARK = "update server_task set is_parked = false, has_pending_interruptions = false, updated_at = $2
              where id = $1 and is_parked and state = 'Executing'";
    QUEUED_BEHIND = "select * from server_task where running_tag = $1 and id <> $2";
    SEGMENTS = "select epoch, valid_length from task_segment where task_id = $1 order by epoch";
    NEXT_DUE = "select min(queue_time) as due from server_task where state = 'Queued' and queue_time > $1";
    LEASED_BY = "select count(*) as total from server_task where lease_owner = $1";
    DELETE = "delete from server_task where id = $1 and state in ('Success', 'Failed', 'Canceled', 'TimedOut')";
}

/// A task to enqueue: of `task` count id, space, kind, description, arguments, queue time, its expiry and project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewTask {
    /// What clients see of it.
    pub task: ServerTask,
    /// The environment that it works in, for filters.
    pub environment_id: Option<String>,
    /// The tenant that it works for, for filters.
    pub tenant_id: Option<String>,
    /// Of tasks with the same tag one runs at a time.
    pub concurrency_tag: Option<String>,
}

/// A task with what clients do not see.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTask {
    /// What clients see of it.
    pub task: ServerTask,
    /// The environment that it works in.
    pub environment_id: Option<String>,
    /// The tenant that it works for.
    pub tenant_id: Option<String>,
    /// Of tasks with the same tag one runs at a time.
    pub concurrency_tag: Option<String>,
    /// Whether it waits for a person, without node and tag.
    pub is_parked: bool,
    /// When somebody asked to cancel it, in milliseconds since 1970 UTC.
    pub cancel_requested_at: Option<i64>,
    /// How often it was picked up.
    pub epoch: i64,
}

/// A part of a task's log, written by one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Who wrote it.
    pub epoch: i64,
    /// Bytes that count; None while it is the last one and grows.
    pub valid_length: Option<u64>,
}

/// Which tasks are wanted. Empty members and None do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Any of these ids, as they are written.
    pub ids: Vec<String>,
    /// Any of these spaces.
    pub spaces: Vec<String>,
    /// Whether the tasks of the system, which are in no space, are wanted too.
    pub include_system: bool,
    /// Any of these states.
    pub states: Vec<TaskState>,
    /// This kind.
    pub name: Option<TaskKind>,
    /// This project.
    pub project: Option<String>,
    /// This environment.
    pub environment: Option<String>,
    /// This tenant.
    pub tenant: Option<String>,
    /// Picked up last by this node.
    pub node: Option<String>,
    /// Whether it waits for a person.
    pub has_pending_interruptions: Option<bool>,
    /// Whether it has warnings or failed.
    pub has_warnings_or_errors: Option<bool>,
    /// Whether a node works on it now.
    pub running: Option<bool>,
    /// A part of the description, in any case (of ASCII letters).
    pub partial_name: Option<String>,
    /// An id that stands among its arguments, `Machines-1`.
    pub regarding: Option<String>,
}

impl TaskFilter {
    /// The states of tasks that have not ended, for [`TaskFilter::states`].
    #[must_use]
    pub fn active() -> Vec<TaskState> {
        TaskState::ALL
            .iter()
            .copied()
            .filter(|state| !state.is_completed())
            .collect()
    }

    fn values(&self) -> Vec<Value> {
        let states: Vec<String> = self.states.iter().map(ToString::to_string).collect();
        let text = |text: &Option<String>| Value::from(text.clone().unwrap_or_default());
        vec![
            any_of(&self.ids).into(),
            any_of(&self.spaces).into(),
            self.include_system.into(),
            any_of(&states).into(),
            self.name.map(|name| name.to_string()).unwrap_or_default().into(),
            text(&self.project),
            text(&self.environment),
            text(&self.tenant),
            text(&self.node),
            self.has_pending_interruptions.into(),
            self.has_warnings_or_errors.into(),
            self.running.into(),
            self.partial_name
                .as_ref()
                .map(|part| part.to_ascii_lowercase())
                .unwrap_or_default()
                .into(),
            self.regarding
                .as_ref()
                .map(|id| format!("\"{}\"", id.replace('"', "")))
                .unwrap_or_default()
                .into(),
        ]
    }
}

/// A page of tasks with what stands around it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPage {
    /// The tasks, newest first.
    pub tasks: Vec<StoredTask>,
    /// How many there are on all pages.
    pub total: i64,
    /// How many there are of each state, on all pages.
    pub counts: Vec<(TaskState, i64)>,
}

/// Enqueues a task. Others look for it when they are told by the notifier, or soon after.
///
/// # Errors
/// When the database fails, or the id has no number.
pub async fn insert(session: &mut Session, new: &NewTask, now: i64) -> Result<()> {
    let task = &new.task;
    let number = task
        .id
        .number()
        .ok_or_else(|| Error::document(format!("the task id '{}' has no number", task.id)))?;
    let values = vec![
        task.id.as_str().into(),
        number.into(),
        task.space_id.as_ref().map(ToString::to_string).into(),
        task.name.name().into(),
        task.description.as_str().into(),
        to_text(&task.arguments)?.into(),
        task.project_id.as_ref().map(ToString::to_string).into(),
        new.environment_id.clone().into(),
        new.tenant_id.clone().into(),
        task.queue_time.map_or(now, Timestamp::milliseconds).into(),
        task.queue_time_expiry.map(Timestamp::milliseconds).into(),
        new.concurrency_tag.clone().into(),
        now.into(),
    ];
    session.execute(INSERT, values).await.map(drop)
}

/// A task by id, in any letter case.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, id: &str) -> Result<Option<StoredTask>> {
    session
        .fetch_optional(FIND, vec![id.to_lowercase().into()])
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// A page of tasks, newest first.
///
/// # Errors
/// When the database fails.
pub async fn page(session: &mut Session, filter: &TaskFilter, skip: i64, take: i64) -> Result<TaskPage> {
    let mut counts = Vec::new();
    for row in session.fetch_all(COUNT, filter.values()).await? {
        counts.push((state(&row)?, row.integer("total")?));
    }
    let mut values = filter.values();
    values.extend([take.into(), skip.into()]);
    let tasks = session
        .fetch_all(PAGE, values)
        .await?
        .iter()
        .map(read)
        .collect::<Result<_>>()?;
    Ok(TaskPage {
        tasks,
        total: counts.iter().map(|(_, count)| count).sum(),
        counts,
    })
}

/// Asks a task to stop, and gives the state that it then has: a queued one is `Canceled` at once, a running or parked
/// one becomes `Cancelling` and its node is to stop it. A task that has ended or is being stopped stays as it is.
/// None: there is no such task.
///
/// # Errors
/// When the database fails.
pub async fn cancel(session: &mut Session, id: &ServerTaskId, now: i64) -> Result<Option<TaskState>> {
    for statement in [CANCEL_QUEUED, CANCEL_RUNNING] {
        if session
            .execute(statement, vec![id.as_str().into(), now.into()])
            .await?
            > 0
        {
            break;
        }
    }
    Ok(find(session, id.as_str()).await?.map(|stored| stored.task.state))
}

/// Ends a task that did not stop although it was asked to before `asked_before`: its node may go on, but can write
/// nothing any more. False when it is not such a task.
///
/// # Errors
/// When the database fails.
pub async fn abandon(
    session: &mut Session,
    id: &ServerTaskId,
    message: &str,
    asked_before: i64,
    now: i64,
) -> Result<bool> {
    let values = vec![
        id.as_str().into(),
        now.into(),
        message.into(),
        asked_before.into(),
    ];
    Ok(session.execute(ABANDON, values).await? > 0)
}

/// Ends the queued tasks whose time to start has passed, and gives their ids.
///
/// # Errors
/// When the database fails.
pub async fn expire(session: &mut Session, now: i64) -> Result<Vec<ServerTaskId>> {
    let rows = session.fetch_all(EXPIRE, vec![now.into()]).await?;
    rows.iter()
        .map(|row| Ok(ServerTaskId::from_text(row.text("id")?)))
        .collect()
}

/// Puts a queued task before all others; false when it is not queued.
///
/// # Errors
/// When the database fails.
pub async fn move_to_top(session: &mut Session, id: &ServerTaskId, now: i64) -> Result<bool> {
    Ok(session
        .execute(MOVE_TO_TOP, vec![id.as_str().into(), now.into()])
        .await?
        > 0)
}

/// Makes a parked task claimable again: its question has been answered. False when it is not parked.
///
/// # Errors
/// When the database fails.
pub async fn unpark(session: &mut Session, id: &ServerTaskId, now: i64) -> Result<bool> {
    Ok(session
        .execute(UNPARK, vec![id.as_str().into(), now.into()])
        .await?
        > 0)
}

/// The task that holds the tag which another one waits for, if any.
///
/// # Errors
/// When the database fails.
pub async fn queued_behind(session: &mut Session, task: &StoredTask) -> Result<Option<StoredTask>> {
    let Some(tag) = &task.concurrency_tag else {
        return Ok(None);
    };
    let values = vec![tag.as_str().into(), task.task.id.as_str().into()];
    session
        .fetch_optional(QUEUED_BEHIND, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The parts of a task's log, in order.
///
/// # Errors
/// When the database fails.
pub async fn segments(session: &mut Session, id: &ServerTaskId) -> Result<Vec<Segment>> {
    let rows = session.fetch_all(SEGMENTS, vec![id.as_str().into()]).await?;
    rows.iter()
        .map(|row| {
            let length = row.optional_integer("valid_length")?;
            Ok(Segment {
                epoch: row.integer("epoch")?,
                valid_length: length.and_then(|length| u64::try_from(length).ok()),
            })
        })
        .collect()
}

/// When the next task that is queued for later becomes due.
///
/// # Errors
/// When the database fails.
pub async fn next_due(session: &mut Session, now: i64) -> Result<Option<i64>> {
    session
        .fetch_one(NEXT_DUE, vec![now.into()])
        .await?
        .optional_integer("due")
}

/// How many tasks a node holds now.
///
/// # Errors
/// When the database fails.
pub async fn leased_by(session: &mut Session, owner: &str) -> Result<i64> {
    session
        .fetch_one(LEASED_BY, vec![owner.into()])
        .await?
        .integer("total")
}

/// Removes a task that has ended, with its journal; false when there is none.
///
/// # Errors
/// When the database fails.
pub async fn delete(session: &mut Session, id: &ServerTaskId) -> Result<bool> {
    Ok(session.execute(DELETE, vec![id.as_str().into()]).await? > 0)
}

fn state(row: &Row) -> Result<TaskState> {
    row.text("state")?.parse().map_err(Error::document)
}

pub(crate) fn read(row: &Row) -> Result<StoredTask> {
    let time = |column: &str| Ok::<_, Error>(row.optional_integer(column)?.map(Timestamp));
    let state = state(row)?;
    let has_warnings = row.boolean("has_warnings")?;
    let task = ServerTask {
        id: ServerTaskId::from_text(row.text("id")?),
        space_id: row.optional_text("space_id")?.map(SpaceId::from_text),
        name: row.text("name")?.parse().map_err(Error::document)?,
        description: row.text("description")?,
        arguments: from_text(&row.text("arguments")?)?,
        state,
        queue_time: Some(Timestamp(row.integer("queue_time")?)),
        queue_time_expiry: time("queue_time_expiry")?,
        start_time: time("start_time")?,
        last_updated_time: time("updated_at")?,
        completed_time: time("completed_at")?,
        error_message: row.optional_text("error_message")?,
        server_node: row.optional_text("server_node")?,
        has_pending_interruptions: row.boolean("has_pending_interruptions")?,
        has_warnings_or_errors: has_warnings || matches!(state, TaskState::Failed | TaskState::TimedOut),
        has_been_picked_up_by_processor: row.integer("lease_epoch")? > 0,
        project_id: row.optional_text("project_id")?.map(ProjectId::from_text),
    };
    Ok(StoredTask {
        task,
        environment_id: row.optional_text("environment_id")?,
        tenant_id: row.optional_text("tenant_id")?,
        concurrency_tag: row.optional_text("concurrency_tag")?,
        is_parked: row.boolean("is_parked")?,
        cancel_requested_at: row.optional_integer("cancel_requested_at")?,
        epoch: row.integer("lease_epoch")?,
    })
}
