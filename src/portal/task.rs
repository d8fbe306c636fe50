//! Recent tasks, and one task with its log.

use application::artifact::{self, ArtifactFilter};
use application::task::{self, TaskFilter};
use application::task_log::{self, Kind, Status};
use application::{Context, Slice};
use askama::Template;
use axum::Router;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use domain::permission::Permission;
use domain::{ServerTask, SpaceId, TaskState, Timestamp};
use serde::Deserialize;

use crate::Shared;
use crate::error::{Failure, page};
use crate::visitor::{Shell, Visitor};

/// How many tasks and log lines a page shows; the live log brings the rest.
const RECENT: usize = 50;
const LINES: usize = 500;
/// How many artifacts a task's page lists, the last collected first.
const ARTIFACTS: usize = 200;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(recent))
        .route("/app", get(|| async { Redirect::to("/") }))
        .route("/tasks/{id}", get(one))
        .route("/tasks/{id}/cancel", post(cancel))
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct TasksPage {
    shell: Shell,
    tasks: Vec<TaskRow>,
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    shell: Shell,
    task: TaskRow,
    may_cancel: bool,
    lines: Vec<LogLine>,
    artifacts: Vec<ArtifactRow>,
}

/// A task as people read it.
struct TaskRow {
    id: String,
    description: String,
    /// The word of the icon and of `data-state`.
    state: &'static str,
    word: &'static str,
    queued: String,
    duration: String,
    error: Option<String>,
}

/// A file that the task left behind.
struct ArtifactRow {
    name: String,
    content: String,
    source: Option<String>,
    collected: String,
}

struct LogLine {
    number: usize,
    level: String,
    time: String,
    text: String,
}

async fn recent(visitor: Visitor) -> Result<Response, Failure> {
    let slice = Slice {
        skip: 0,
        take: RECENT,
    };
    let space = space();
    let tasks = task::list(
        &visitor.context,
        &visitor.actor,
        &space,
        &TaskFilter::default(),
        slice,
    )
    .await?;
    let tasks = tasks
        .list
        .items
        .iter()
        .map(|task| row(task, &visitor.context))
        .collect();
    Ok(page(
        StatusCode::OK,
        &TasksPage {
            shell: visitor.shell(),
            tasks,
        },
    ))
}

async fn one(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    let space = space();
    let task = task::get(&visitor.context, &visitor.actor, &space, &id).await?;
    let lines = first_lines(&visitor, &space, &id).await?;
    let artifacts = artifacts(&visitor, &space, &task).await?;
    let may_cancel = !task.state.is_completed() && visitor.actor.require(Permission::TaskCancel).is_ok();
    let task = row(&task, &visitor.context);
    Ok(page(
        StatusCode::OK,
        &TaskPage {
            shell: visitor.shell(),
            task,
            may_cancel,
            lines,
            artifacts,
        },
    ))
}

/// The files of a task, for whoever may see them.
async fn artifacts(
    visitor: &Visitor,
    space: &SpaceId,
    task: &ServerTask,
) -> Result<Vec<ArtifactRow>, Failure> {
    if visitor.actor.require(Permission::ArtifactView).is_err() {
        return Ok(Vec::new());
    }
    let filter = ArtifactFilter {
        regarding: task.id.to_string(),
        ..ArtifactFilter::default()
    };
    let slice = Slice {
        skip: 0,
        take: ARTIFACTS,
    };
    let list = artifact::list(&visitor.context, &visitor.actor, space, &filter, slice).await?;
    let rows = list.items.into_iter().map(|artifact| ArtifactRow {
        content: format!("/api/{space}/artifacts/{}/content", artifact.id),
        name: artifact.filename,
        source: artifact.source,
        collected: people_time(artifact.created),
    });
    Ok(rows.collect())
}

/// What the log holds now, for readers without scripts.
async fn first_lines(visitor: &Visitor, space: &SpaceId, id: &str) -> Result<Vec<LogLine>, Failure> {
    let mut reader = task_log::tail(&visitor.context, &visitor.actor, space, id, 0).await?;
    let mut lines = Vec::new();
    while lines.len() < LINES {
        let events = reader
            .next(&visitor.context, &visitor.actor, std::time::Duration::ZERO)
            .await?;
        let Some(events) = events.filter(|events| !events.is_empty()) else {
            break;
        };
        for event in events {
            let (level, text) = match event.kind {
                Kind::Open {
                    status: Status::Pending,
                    ..
                } => continue,
                Kind::Open { name, .. } => ("step".to_string(), name),
                Kind::Line { category, text, .. } => (category.name().to_lowercase(), text),
                Kind::Progress { .. } | Kind::Close { .. } => continue,
            };
            let time = Timestamp(event.time).to_string();
            let time = time.get(11..23).unwrap_or_default().to_string();
            lines.push(LogLine {
                number: lines.len() + 1,
                level,
                time,
                text,
            });
        }
    }
    Ok(lines)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cancelling {
    anti_forgery: String,
}

async fn cancel(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(form): Form<Cancelling>,
) -> Result<Response, Failure> {
    visitor.check_form(&form.anti_forgery)?;
    task::cancel(&visitor.context, &visitor.actor, &space(), &id).await?;
    Ok(Redirect::to(&format!("/tasks/{id}")).into_response())
}

/// The pages show the default space; the switch between spaces comes with spaces.
fn space() -> SpaceId {
    SpaceId::from_text(application::space::DEFAULT)
}

fn row(task: &ServerTask, context: &Context) -> TaskRow {
    let (state, word) = match (task.state, task.has_warnings_or_errors) {
        (TaskState::Queued, _) => ("queued", "Queued"),
        (TaskState::Executing, _) => ("executing", "Executing"),
        (TaskState::Cancelling, _) => ("executing", "Canceling"),
        (TaskState::Success, true) => ("success-with-warnings", "Success with warnings"),
        (TaskState::Success, false) => ("success", "Success"),
        (TaskState::Failed, _) => ("failed", "Failed"),
        (TaskState::Canceled, _) => ("canceled", "Canceled"),
        (TaskState::TimedOut, _) => ("timed-out", "Timed out"),
    };
    TaskRow {
        id: task.id.to_string(),
        description: if task.description.is_empty() {
            task.id.to_string()
        } else {
            task.description.clone()
        },
        state,
        word,
        queued: task.queue_time.map(people_time).unwrap_or_default(),
        duration: match task.start_time {
            Some(_) => task.duration(context.clock.now()),
            None => String::new(),
        },
        error: task.error_message.clone(),
    }
}

/// Date and time of day in UTC, to the second.
fn people_time(time: Timestamp) -> String {
    time.to_string().get(..19).unwrap_or_default().replace('T', " ")
}
