//! Health checks are asked for by people, by each registration, and by time (`deployments.md` 12.1, 12.2).

use std::collections::BTreeMap;

use domain::machine::Machine;
use domain::machine_policy::MachinePolicy;
use domain::permission::Permission;
use domain::server_task::{ServerTask, TaskKind};
use domain::{EnvironmentId, SpaceId};
use serde_json::json;
use storage::server_task::NewTask;

use crate::machine::MachineFilter;
use crate::task::{QUEUE, enqueue, with_id};
use crate::{Actor, Context, Error, Result, Slice};

/// A health check that a person asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Of these machines; empty = of all, or of those of the environment.
    pub machine_ids: Vec<String>,
    /// Of the machines of this environment.
    pub environment_id: Option<String>,
    /// How long each machine has to answer; unset = what the engine allows.
    pub time_limit: Option<domain::TimeSpan>,
}

/// Starts a health check of the machines named, or of those of an environment, or of all.
///
/// # Errors
/// Without TaskCreate; [`Error::Invalid`] when there is no such machine, or no time to answer.
pub async fn start(context: &Context, actor: &Actor, space: &SpaceId, wanted: &Wanted) -> Result<ServerTask> {
    actor.require(Permission::TaskCreate)?;
    if wanted
        .time_limit
        .is_some_and(|limit| limit <= domain::TimeSpan::default())
    {
        return Err(Error::invalid(
            "The argument 'Timeout' must be longer than 00:00:00.",
        ));
    }
    let filter = MachineFilter {
        usual: crate::Filter {
            ids: wanted.machine_ids.clone(),
            ..crate::Filter::default()
        },
        environment_ids: wanted.environment_id.iter().cloned().collect(),
        is_disabled: Some(false),
        ..MachineFilter::default()
    };
    let machines = crate::machine::list(context, actor, space, &filter, Slice::ALL)
        .await?
        .items;
    let unknown: Vec<String> = wanted
        .machine_ids
        .iter()
        .filter(|id| {
            !machines
                .iter()
                .any(|machine| machine.id.as_str().eq_ignore_ascii_case(id))
        })
        .map(|id| format!("The machine '{id}' does not exist in this space, or it is disabled."))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::Invalid(unknown));
    }
    if machines.is_empty() {
        return Err(Error::invalid(
            "There is no enabled machine to check. Register one first.",
        ));
    }
    let machines: Vec<&Machine> = machines.iter().collect();
    let mut new = check_of(space, &machines);
    if let Some(limit) = wanted.time_limit {
        new.task.arguments.insert("Timeout".into(), json!(limit));
    }
    queue(context, actor, space, new).await
}

/// Enqueues a health check of machines that were just registered, or got a new runner.
///
/// # Errors
/// When the database fails.
pub async fn of_machines(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    machines: &[Machine],
) -> Result<ServerTask> {
    let machines: Vec<&Machine> = machines.iter().collect();
    queue(context, actor, space, check_of(space, &machines)).await
}

/// Enqueues the checks whose time has come: every interval of a machine policy one task, for those of its machines that
/// were not looked at for half of it. Of several nodes one enqueues it.
///
/// # Errors
/// When the database fails.
pub async fn queue_due(context: &Context) -> Result<()> {
    let mut session = context.database.read().await?;
    let spaces = storage::space::all(&mut session).await?;
    drop(session);
    for space in spaces {
        queue_due_in(context, &space.id).await?;
    }
    Ok(())
}

async fn queue_due_in(context: &Context, space: &SpaceId) -> Result<()> {
    let now = context.clock.now();
    let mut session = context.database.read().await?;
    let policies: Vec<MachinePolicy> = storage::named::all(&mut session, space).await?;
    let mut due = Vec::new();
    for policy in &policies {
        let interval = policy.machine_health_check_policy.health_check_interval;
        // Below a minute checks would overtake each other.
        let interval = interval.map(|span| span.0).filter(|span| *span > 0);
        let Some(interval) = interval.map(|span| span.max(60_000)) else {
            continue;
        };
        let (schedule, due_at) = (format!("health/{}", policy.id), now - now % interval);
        if storage::schedule::is_taken(&mut session, &schedule, due_at).await? {
            continue;
        }
        let machines = storage::machine::not_checked_since(&mut session, space, now - interval / 2).await?;
        let has_it = |machine: &&Machine| {
            let known = policies
                .iter()
                .any(|policy| policy.id == machine.machine_policy_id);
            !machine.is_disabled && (machine.machine_policy_id == policy.id || policy.is_default && !known)
        };
        let machines: Vec<&Machine> = machines.iter().filter(has_it).collect();
        if !machines.is_empty() {
            due.push((schedule, due_at, check_of(space, &machines)));
        }
    }
    drop(session);
    for (schedule, due_at, new) in due {
        let new = with_id(context, new).await?;
        let mut session = context.database.write().await?;
        if storage::schedule::take(&mut session, &schedule, due_at).await? {
            enqueue(context, &Actor::System, &mut session, space, &new).await?;
            session.commit().await?;
            context.notifier.notify(QUEUE);
        }
    }
    Ok(())
}

async fn queue(context: &Context, actor: &Actor, space: &SpaceId, new: NewTask) -> Result<ServerTask> {
    let new = with_id(context, new).await?;
    let mut session = context.database.write().await?;
    enqueue(context, actor, &mut session, space, &new).await?;
    session.commit().await?;
    context.notifier.notify(QUEUE);
    Ok(new.task)
}

fn check_of(space: &SpaceId, machines: &[&Machine]) -> NewTask {
    let description = match machines {
        [one] => format!("Check the health of {}", one.name),
        many => format!("Check the health of {} machines", many.len()),
    };
    let ids: Vec<&str> = machines.iter().map(|machine| machine.id.as_str()).collect();
    let environments: Vec<&EnvironmentId> = machines
        .iter()
        .flat_map(|machine| &machine.environment_ids)
        .collect();
    let environment_id = match environments.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => Some(first.to_string()),
        _ => None,
    };
    NewTask {
        task: ServerTask {
            space_id: Some(space.clone()),
            name: TaskKind::Health,
            description,
            arguments: BTreeMap::from([("MachineIds".to_string(), json!(ids))]),
            ..ServerTask::default()
        },
        environment_id,
        ..NewTask::default()
    }
}
