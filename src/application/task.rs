//! Tasks: what is wanted is a row; the engine looks for it. Nothing here runs anything.

use std::collections::BTreeMap;

use domain::event::Message;
use domain::permission::Permission;
use domain::server_task::{ServerTask, TaskState};
use domain::{ServerTaskId, SpaceId, Timestamp};
use serde_json::Value;
use storage::Session;
use storage::server_task::{self, NewTask};

use crate::event::record;
use crate::{Actor, Context, Error, List, Result, Slice};

/// The topic on which the engine waits for new tasks.
pub const QUEUE: &str = "queue";
const DAY: i64 = 24 * 60 * 60 * 1000;

/// Which tasks are wanted. Empty members do not filter.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Any of these ids.
    pub ids: Vec<String>,
    /// This kind.
    pub name: Option<String>,
    /// Of this project.
    pub project: Option<String>,
    /// In this environment.
    pub environment: Option<String>,
    /// In any of these states.
    pub states: Vec<String>,
    /// Only those that have not ended.
    pub active: bool,
    /// Only those that a node works on.
    pub running: bool,
    /// Which have this id among their arguments.
    pub regarding: Option<String>,
    /// Picked up by this node.
    pub node: Option<String>,
    /// Whether something of them was not well.
    pub has_warnings_or_errors: Option<bool>,
    /// Whether they wait for a person.
    pub has_pending_interruptions: Option<bool>,
    /// A part of the description.
    pub partial_name: Option<String>,
}

/// A page of tasks, and how many there are of each state.
pub struct Tasks {
    /// The page.
    pub list: List<ServerTask>,
    /// State and number, on all pages.
    pub counts: BTreeMap<String, i64>,
}

/// Tasks, newest first.
///
/// # Errors
/// Without TaskView; [`Error::Invalid`] for an unknown state or kind.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    filter: &TaskFilter,
    slice: Slice,
) -> Result<Tasks> {
    actor.require(Permission::TaskView)?;
    let filter = stored_filter(space, filter)?;
    let take = i64::try_from(slice.take.min(10_000)).unwrap_or(10_000);
    let skip = i64::try_from(slice.skip).unwrap_or(i64::MAX);
    let mut session = context.database.read().await?;
    let page = server_task::page(&mut session, &filter, skip, take).await?;
    Ok(Tasks {
        list: List {
            items: page.tasks.into_iter().map(|stored| stored.task).collect(),
            total: usize::try_from(page.total).unwrap_or_default(),
        },
        counts: page
            .counts
            .into_iter()
            .map(|(state, count)| (state.to_string(), count))
            .collect(),
    })
}

fn stored_filter(space: &SpaceId, filter: &TaskFilter) -> Result<server_task::TaskFilter> {
    let invalid = |error: domain::shape::UnknownWord| Error::invalid(error.to_string());
    let mut states = Vec::new();
    for word in &filter.states {
        states.push(word.parse().map_err(invalid)?);
    }
    if filter.active && states.is_empty() {
        states = server_task::TaskFilter::active();
    }
    // Ids are compared as they are written; clients write them in any case.
    let ids = filter.ids.iter().map(|id| {
        id.parse::<ServerTaskId>()
            .map_or_else(|_| id.clone(), String::from)
    });
    Ok(server_task::TaskFilter {
        ids: ids.collect(),
        spaces: vec![space.to_string()],
        include_system: true,
        states,
        name: filter
            .name
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(invalid)?,
        project: filter.project.clone(),
        environment: filter.environment.clone(),
        node: filter.node.clone(),
        has_warnings_or_errors: filter.has_warnings_or_errors,
        has_pending_interruptions: filter.has_pending_interruptions,
        partial_name: filter.partial_name.clone(),
        running: filter.running.then_some(true),
        regarding: filter.regarding.clone(),
        ..server_task::TaskFilter::default()
    })
}

/// One task.
///
/// # Errors
/// [`Error::NotFound`], or without TaskView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<ServerTask> {
    actor.require(Permission::TaskView)?;
    let mut session = context.database.read().await?;
    let stored = server_task::find(&mut session, id).await?;
    let visible = stored.filter(|stored| stored.task.space_id.as_ref().is_none_or(|own| own == space));
    visible
        .map(|stored| stored.task)
        .ok_or_else(|| Error::not_found("task", id))
}

/// Asks a task to stop. Asking twice is harmless.
///
/// # Errors
/// [`Error::NotFound`], or without TaskCancel.
pub async fn cancel(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<ServerTask> {
    actor.require(Permission::TaskCancel)?;
    let task = get(context, actor, space, id).await?;
    let mut session = context.database.write().await?;
    server_task::cancel(&mut session, &task.id, context.clock.now()).await?;
    if !task.state.is_completed() && task.state != TaskState::Cancelling {
        let told = Message::new("Cancelling the task ")
            .name(&task.id, &task.description)
            .text(" was asked for.");
        record(
            context,
            actor,
            &mut session,
            Some(space),
            "TaskCanceled",
            told,
            &[],
        )
        .await?;
    }
    session.commit().await?;
    context.notifier.notify(QUEUE);
    get(context, actor, space, id).await
}

/// Enqueues a task, inside a transaction that is already there. The engine is told once it is committed.
pub(crate) async fn enqueue(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    space: &SpaceId,
    new: &NewTask,
) -> Result<()> {
    server_task::insert(session, new, context.clock.now()).await?;
    let related: Vec<&str> = match new.task.arguments.get("MachineIds") {
        Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let told = Message::new("The task ")
        .name(&new.task.id, &new.task.description)
        .text(" was queued.");
    record(context, actor, session, Some(space), "TaskQueued", told, &related).await
}

/// The id of a new task, and a day to start it in when nothing else is said (`deployments.md` 7.4).
///
/// # Errors
/// When the database fails.
pub async fn with_id(context: &Context, mut new: NewTask) -> Result<NewTask> {
    let number = storage::counter::next(&context.database, ServerTaskId::KIND).await?;
    new.task.id = ServerTaskId::numbered(number);
    let now = context.clock.now();
    let queue_time = new.task.queue_time.unwrap_or(Timestamp(now));
    new.task.queue_time = Some(queue_time);
    new.task
        .queue_time_expiry
        .get_or_insert(Timestamp(queue_time.milliseconds() + DAY));
    Ok(new)
}
