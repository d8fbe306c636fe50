//! Tasks and their logs (`rest-api.md` 3.2, 3.3, 4.8, 5.10).

use std::convert::Infallible;
use std::time::Duration;

use application::health_check::{self, Wanted};
use application::task::{self, TaskFilter};
use application::task_log::{self, Event, Kind, Node, Status, View};
use application::{Error, List};
use axum::Router;
use axum::body::Body as Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::response::sse::{self, Sse};
use axum::routing::{get, post};
use domain::Timestamp;
use domain::server_task::{ServerTask, TaskKind};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Anonymous, Answer, Call};
use crate::error::Failure;
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, ok, page, resource};

/// How long a reader of the live log waits before its credential is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(4);

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/tasks", get(list).post(create))
        .route("/api/tasks/tasktypes", get(task_types))
        .route("/api/tasks/{id}", get(one))
        .route("/api/tasks/{id}/details", get(details))
        .route("/api/tasks/{id}/raw", get(raw))
        .route("/api/tasks/{id}/cancel", post(cancel))
        .route("/api/tasks/{id}/log/stream", get(log_stream))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let mut slice = parameters.slice()?;
    let filter = TaskFilter {
        ids: parameters.list("ids"),
        name: parameters.text("name"),
        project: parameters.text("project"),
        environment: parameters.text("environment"),
        states: parameters.list("states"),
        active: parameters.boolean("active")?.unwrap_or(false),
        running: parameters.boolean("running")?.unwrap_or(false),
        regarding: parameters.text("regarding"),
        node: parameters.text("node"),
        has_warnings_or_errors: parameters.boolean("haswarningsorerrors")?,
        has_pending_interruptions: parameters.boolean("haspendinginterruptions")?,
        partial_name: parameters.text("partialname"),
    };
    if !filter.ids.is_empty() {
        // The TypeScript client asks for chunks of ids and skips at the same time (trap 15).
        slice.skip = 0;
    }
    let tasks = task::list(&call.context, &call.actor, &call.space, &filter, slice).await?;
    let now = call.context.clock.now();
    let list = List {
        items: tasks
            .list
            .items
            .iter()
            .map(|task| render(task, &call.base(), now))
            .collect(),
        total: tasks.list.total,
    };
    let mut value = page(
        "Task",
        &format!("{}/tasks", call.base()),
        &parameters.others(),
        slice,
        &list,
    );
    value["TotalCounts"] = json!(tasks.counts);
    value["TotalCountsInOtherSpaces"] = json!({});
    Ok(ok(value))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let task = task::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&task, &call.base(), call.context.clock.now())))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct NewTask {
    name: String,
    arguments: serde_json::Map<String, Value>,
}

/// A person can start a health check; deployments are started by creating one.
async fn create(call: Call, Body(body): Body<NewTask>) -> Answer {
    if !body.name.eq_ignore_ascii_case(TaskKind::Health.name()) {
        return Err(Error::invalid(format!(
            "A task of the kind '{}' cannot be started here. Send Name 'Health', or create a deployment.",
            body.name
        ))
        .into());
    }
    let wanted = |name: &str| -> Vec<String> {
        match body
            .arguments
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
        {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).map(str::to_string).collect(),
            Some(Value::String(id)) => vec![id.clone()],
            _ => Vec::new(),
        }
    };
    let time_limit = match wanted("MachineTimeout").first().or(wanted("Timeout").first()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|error: domain::time::NotATime| {
            Failure(Error::invalid(format!("The argument 'Timeout': {error}")))
        })?),
    };
    let wanted = Wanted {
        machine_ids: wanted("MachineIds"),
        environment_id: wanted("EnvironmentId").first().cloned(),
        time_limit,
    };
    let task = health_check::start(&call.context, &call.actor, &call.space, &wanted).await?;
    Ok(created(render(&task, &call.base(), call.context.clock.now())))
}

async fn task_types(_: Call) -> Answer {
    let types: Vec<Value> = TaskKind::ALL
        .iter()
        .map(|kind| json!({ "Id": kind.name(), "Name": kind.description() }))
        .collect();
    Ok(ok(Value::Array(types)))
}

async fn cancel(call: Call, Path(id): Path<String>) -> Answer {
    let task = task::cancel(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&task, &call.base(), call.context.clock.now())))
}

async fn details(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let task = task::get(&call.context, &call.actor, &call.space, &id).await?;
    let view = View {
        verbose: parameters.boolean("verbose")?.unwrap_or(true),
        tail: parameters.number("tail")?.unwrap_or(usize::MAX),
    };
    let nodes = task_log::tree(&call.context, &call.actor, &call.space, &id, view).await?;
    let size = task_log::size(&call.context, &call.actor, &call.space, &id).await?;
    let percentage = if task.state.is_completed() {
        100
    } else {
        progress(&nodes)
    };
    let at = format!("{}/tasks/{}", call.base(), task.id);
    Ok(ok(json!({
        "Id": task.id,
        "Task": render(&task, &call.base(), call.context.clock.now()),
        "ActivityLogs": nodes.iter().map(|node| render_node(node, task.id.as_str())).collect::<Vec<_>>(),
        "Progress": { "ProgressPercentage": percentage, "EstimatedTimeRemaining": "" },
        "PhysicalLogSize": size,
        "Links": { "Self": format!("{at}/details"), "Task": at },
    })))
}

/// The share of steps that have ended.
fn progress(nodes: &[Node]) -> u64 {
    let steps: Vec<&Node> = nodes.iter().flat_map(|root| &root.children).collect();
    let ended = steps.iter().filter(|step| step.status.is_final()).count();
    if steps.is_empty() {
        0
    } else {
        (ended * 100 / steps.len()) as u64
    }
}

fn render_node(node: &Node, task: &str) -> Value {
    json!({
        "Id": if node.id.starts_with(task) { node.id.clone() } else { format!("{task}/{}", node.id) },
        "Name": node.name,
        "Started": node.started.map(Timestamp),
        "Ended": node.ended.map(Timestamp),
        "Status": node.status,
        "ShowAtSummaryLevel": true,
        "ProgressPercentage": node.progress_percentage,
        "ProgressMessage": node.progress_message,
        "Children": node.children.iter().map(|child| render_node(child, task)).collect::<Vec<_>>(),
        "LogElements": node.elements.iter().map(|element| json!({
            "Category": element.category,
            "OccurredAt": Timestamp(element.time),
            "MessageText": element.text,
            "Detail": element.detail,
            "Number": u64::from(element.position),
        })).collect::<Vec<_>>(),
    })
}

/// The log as plain text, in the order in which it was written.
async fn raw(call: Call, Path(id): Path<String>) -> Answer {
    let reader = task_log::tail(&call.context, &call.actor, &call.space, &id, 0).await?;
    let chunks = stream::unfold((reader, call), |(mut reader, call)| async move {
        match reader.next(&call.context, &call.actor, Duration::ZERO).await {
            Ok(Some(events)) if events.is_empty() => None,
            Ok(Some(events)) => {
                let text: String = events.iter().filter_map(raw_line).collect();
                Some((Ok::<_, Infallible>(text), (reader, call)))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::error!(%error, "A raw log could not be read to its end.");
                None
            }
        }
    });
    Ok((
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        Bytes::from_stream(chunks),
    )
        .into_response())
}

fn raw_line(event: &Event) -> Option<String> {
    let time = Timestamp(event.time).to_string();
    let time = time.get(11..23).unwrap_or_default();
    match &event.kind {
        // A block that only waits is no news yet.
        Kind::Open {
            status: Status::Pending,
            ..
        } => None,
        Kind::Open { name, .. } => Some(format!("{time}   {:<9}|== {name} ==\n", "")),
        Kind::Line { category, text, .. } => Some(format!("{time}   {:<9}|   {text}\n", category.name())),
        Kind::Progress { percentage, text } => {
            Some(format!("{time}   {:<9}|   {percentage} % {text}\n", "Progress"))
        }
        Kind::Close { .. } => None,
    }
}

/// The live log: Server-Sent Events, the id is the position, `Last-Event-ID` continues after it.
async fn log_stream(caller: Anonymous, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let after = headers
        .get("Last-Event-ID")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let call = caller.clone().signed_in().await?;
    let reader = task_log::tail(&call.context, &call.actor, &call.space, &id, after).await?;
    Ok(Sse::new(events(caller, call, reader))
        .keep_alive(sse::KeepAlive::default())
        .into_response())
}

fn events(
    caller: Anonymous,
    call: Call,
    reader: task_log::Reader,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    stream::unfold(Some((caller, call, reader)), |state| async move {
        let (caller, call, mut reader) = state?;
        match reader.next(&call.context, &call.actor, LOOK_AGAIN).await {
            Ok(Some(events)) => {
                // A credential that was revoked ends the stream, too.
                let call = caller.clone().signed_in().await.ok()?;
                let rendered: Vec<_> = events.iter().map(render_event).collect();
                Some((rendered, Some((caller, call, reader))))
            }
            Ok(None) => Some((vec![sse::Event::default().event("end").data("{}")], None)),
            Err(error) => {
                tracing::error!(%error, "A live log broke off.");
                None
            }
        }
    })
    .flat_map(stream::iter)
    .map(Ok)
}

fn render_event(event: &Event) -> sse::Event {
    let position = u64::from(event.position);
    let mut value = json!({
        "Position": position,
        "OccurredAt": Timestamp(event.time),
        "Block": event.block,
    });
    match &event.kind {
        Kind::Open { name, parent, status } => {
            value["Kind"] = json!("Open");
            value["Text"] = json!(name);
            value["Parent"] = json!(parent);
            value["Status"] = json!(status);
        }
        Kind::Line {
            category,
            text,
            detail,
            ..
        } => {
            value["Kind"] = json!("Line");
            value["Category"] = json!(category);
            value["Text"] = json!(text);
            value["Detail"] = json!(detail);
        }
        Kind::Progress { percentage, text } => {
            value["Kind"] = json!("Progress");
            value["Percentage"] = json!(percentage);
            value["Text"] = json!(text);
        }
        Kind::Close { status } => {
            value["Kind"] = json!("Close");
            value["Status"] = json!(status);
        }
    }
    sse::Event::default()
        .id(position.to_string())
        .data(value.to_string())
}

pub(crate) fn render(task: &ServerTask, base: &str, now: i64) -> Value {
    let at = format!("{base}/tasks/{}", task.id);
    let mut value = resource(
        task,
        vec![
            ("Self", at.clone()),
            ("Details", format!("{at}/details{{?verbose,tail}}")),
            ("Raw", format!("{at}/raw")),
            ("Cancel", format!("{at}/cancel")),
            ("Rerun", format!("{base}/tasks/rerun/{}", task.id)),
            ("State", format!("{at}/state")),
            ("Prioritize", format!("{at}/prioritize")),
            ("QueuedBehind", format!("{at}/queued-behind{{?skip,take}}")),
            ("Artifacts", format!("{base}/artifacts?regarding={}", task.id)),
            (
                "Interruptions",
                format!("{base}/interruptions?regarding={}", task.id),
            ),
            ("LogStream", format!("{at}/log/stream")),
            ("Web", format!("/tasks/{}", task.id)),
        ],
    );
    value["IsCompleted"] = json!(task.state.is_completed());
    value["FinishedSuccessfully"] = json!(task.state == domain::TaskState::Success);
    value["Duration"] = json!(task.duration(now));
    value["Completed"] = json!(task.completed(now));
    value["CanRerun"] = json!(false);
    value
}

#[cfg(test)]
mod tests {
    use application::task_log::Category;

    use super::*;

    #[test]
    fn a_raw_line_says_when_and_how_loud() {
        let event = Event {
            position: 1.into(),
            time: 1_714_557_600_123,
            block: "b".into(),
            kind: Kind::Line {
                category: Category::Warning,
                text: "low disk".into(),
                detail: None,
                source: None,
            },
        };
        assert_eq!(
            raw_line(&event).as_deref(),
            Some("10:00:00.123   Warning  |   low disk\n")
        );
    }
}
