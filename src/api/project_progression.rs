//! The releases of a project and where they have gone (`rest-api.md` 5.8, 5.24).

use application::project_progression::{self, ProgressedRelease, ProjectProgression};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::{Deployment, EnvironmentId, ServerTask};
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::parameter::Parameters;
use crate::resource::ok;

/// How many releases are shown when nothing is said.
const USUAL: usize = 30;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/projects/{id}/progression", get(one))
        .route("/api/progression/{id}", get(one))
}

async fn one(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let take = parameters.number("releasehistorycount")?.unwrap_or(USUAL);
    let found = project_progression::get(&call.context, &call.actor, &call.space, &id, take).await?;
    Ok(ok(render(&found, &call.base(), call.context.clock.now())))
}

fn render(found: &ProjectProgression, base: &str, now: i64) -> Value {
    let reference = |id: &EnvironmentId| {
        let environment = found
            .environments
            .iter()
            .find(|environment| &environment.id == id);
        json!({ "Id": id, "Name": environment.map_or_else(String::new, |environment| environment.name.clone()) })
    };
    let of_channels: Map<String, Value> = found
        .channel_environments
        .iter()
        .map(|(channel, ids)| (channel.to_string(), ids.iter().map(reference).collect()))
        .collect();
    let releases: Vec<Value> = found
        .releases
        .iter()
        .map(|release| render_release(release, base, now))
        .collect();
    json!({
        "Environments": found.environments.iter().map(|one| reference(&one.id)).collect::<Vec<_>>(),
        "ChannelEnvironments": of_channels,
        "LifecycleEnvironments": {},
        "Releases": releases,
        "Links": { "Self": format!("{base}/projects/{}/progression", found.project.id) },
    })
}

fn render_release(progressed: &ProgressedRelease, base: &str, now: i64) -> Value {
    let mut deployments: Map<String, Value> = Map::new();
    for (deployment, task) in &progressed.deployments {
        let items = deployments
            .entry(deployment.environment_id.to_string())
            .or_insert_with(|| json!([]));
        if let Value::Array(items) = items {
            let item = render_item(progressed, deployment, task, items.is_empty(), now, base);
            items.push(item);
        }
    }
    json!({
        "Release": crate::release::render(&progressed.release, base),
        "Channel": crate::channel::render(&progressed.channel, base),
        "Deployments": deployments,
        "NextDeployments": progressed.next,
        "HasUnresolvedDefect": false,
        "ReleaseRetentionPeriod": progressed.lifecycle.release_retention_policy,
        "TentacleRetentionPeriod": progressed.lifecycle.tentacle_retention_policy,
    })
}

/// A dashboard item has exactly these members (trap 13).
fn render_item(
    progressed: &ProgressedRelease,
    deployment: &Deployment,
    task: &ServerTask,
    is_current: bool,
    now: i64,
    base: &str,
) -> Value {
    json!({
        "Id": deployment.id,
        "ProjectId": deployment.project_id,
        "EnvironmentId": deployment.environment_id,
        "ReleaseId": deployment.release_id,
        "DeploymentId": deployment.id,
        "TaskId": deployment.task_id,
        "TenantId": null,
        "ChannelId": deployment.channel_id,
        "ReleaseVersion": progressed.release.version,
        "Created": deployment.created,
        "QueueTime": task.queue_time,
        "StartTime": task.start_time,
        "CompletedTime": task.completed_time,
        "State": task.state,
        "HasPendingInterruptions": task.has_pending_interruptions,
        "PendingInterruptionTypes": [],
        "HasPendingPreconditions": false,
        "PendingPreconditionTypes": [],
        "HasWarningsOrErrors": task.has_warnings_or_errors,
        "ErrorMessage": task.error_message,
        "Duration": task.duration(now),
        "IsCurrent": is_current,
        "IsPrevious": false,
        "IsCompleted": task.state.is_completed(),
        "Links": {
            "Self": format!("{base}/deployments/{}", deployment.id),
            "Release": format!("{base}/releases/{}", deployment.release_id),
            "Task": format!("/api/tasks/{}", deployment.task_id),
        },
    })
}
