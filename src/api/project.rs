//! Projects and their settings (`rest-api.md` 4.3, 5.4).

use application::{List, Slice, named, project};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::{DeploymentSettingsId, Project};
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/projects", get(list).post(create))
        .route("/api/projects/all", get(all))
        .route("/api/projects/{id}", get(one).put(update).delete(remove))
        .route("/api/projects/{id}/summary", get(summary))
        .route(
            "/api/projects/{id}/deploymentsettings",
            get(settings).put(update_settings),
        )
        .route("/api/projectgroups/{id}/projects", get(of_group))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let list = named::list::<Project>(
        &call.context,
        &call.actor,
        &call.space,
        &parameters.filter(),
        slice,
    )
    .await?;
    let base = call.base();
    let rendered = List {
        items: list.items.iter().map(|project| render(project, &base)).collect(),
        total: list.total,
    };
    Ok(ok(page(
        "Project",
        &format!("{base}/projects"),
        &parameters.others(),
        slice,
        &rendered,
    )))
}

async fn all(call: Call, parameters: Parameters) -> Answer {
    let list = named::list::<Project>(
        &call.context,
        &call.actor,
        &call.space,
        &parameters.filter(),
        Slice::ALL,
    )
    .await?;
    let base = call.base();
    Ok(ok(list
        .items
        .iter()
        .map(|project| render(project, &base))
        .collect()))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let project: Project = named::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&project, &call.base())))
}

async fn create(call: Call, parameters: Parameters, Body(project): Body<Project>) -> Answer {
    let clone = parameters
        .text("clone")
        .or_else(|| parameters.text("clonedfromprojectid"));
    let project = project::create(&call.context, &call.actor, &call.space, project, clone.as_deref()).await?;
    Ok(created(render(&project, &call.base())))
}

async fn update(call: Call, Path(id): Path<String>, Body(project): Body<Project>) -> Answer {
    let project = project::update(&call.context, &call.actor, &call.space, &id, project).await?;
    Ok(ok(render(&project, &call.base())))
}

async fn remove(call: Call, Path(id): Path<String>) -> Answer {
    named::delete::<Project>(&call.context, &call.actor, &call.space, &id).await?;
    Ok(deleted())
}

async fn summary(call: Call, Path(id): Path<String>) -> Answer {
    let has_process = project::has_process(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(json!({
        "HasDeploymentProcess": has_process,
        "HasRunbooks": false,
        "Links": { "Self": format!("{}/projects/{id}/summary", call.base()) },
    })))
}

async fn settings(call: Call, Path(id): Path<String>) -> Answer {
    let project: Project = named::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render_settings(&project, &call.base())))
}

async fn update_settings(call: Call, Path(id): Path<String>, Body(settings): Body<Value>) -> Answer {
    let members = settings.as_object().cloned().unwrap_or_default();
    let project = project::update_settings(&call.context, &call.actor, &call.space, &id, &members).await?;
    Ok(ok(render_settings(&project, &call.base())))
}

async fn of_group(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let projects = project::of_group(&call.context, &call.actor, &call.space, &id).await?;
    answer_page(
        &call,
        &format!("projectgroups/{id}/projects"),
        &parameters,
        &projects,
    )
}

/// A page of projects that were found in another way than by the collection's own filters.
pub(crate) fn answer_page(call: &Call, path: &str, parameters: &Parameters, projects: &[Project]) -> Answer {
    let slice = parameters.slice()?;
    let base = call.base();
    let list = List::cut(
        projects.iter().map(|project| render(project, &base)).collect(),
        slice,
    );
    Ok(ok(page(
        "Project",
        &format!("{base}/{path}"),
        &parameters.others(),
        slice,
        &list,
    )))
}

pub(crate) fn render(project: &Project, base: &str) -> Value {
    let at = format!("{base}/projects/{}", project.id);
    let links = vec![
        ("Self", at.clone()),
        (
            "Channels",
            format!("{at}/channels{{/id}}{{?skip,take,partialName}}"),
        ),
        ("DeploymentProcess", format!("{at}/deploymentprocesses")),
        ("DeploymentSettings", format!("{at}/deploymentsettings")),
        (
            "Group",
            format!("{base}/projectgroups/{}", project.project_group_id),
        ),
        ("Lifecycle", format!("{base}/lifecycles/{}", project.lifecycle_id)),
        ("Logo", format!("{at}/logo")),
        ("Metadata", format!("{at}/metadata")),
        (
            "Progression",
            format!("{at}/progression{{?aggregate,releaseHistoryCount}}"),
        ),
        (
            "Releases",
            format!("{at}/releases{{/version}}{{?skip,take,searchByVersion}}"),
        ),
        (
            "RunbookSnapshots",
            format!("{at}/runbookSnapshots{{/name}}{{?skip,take,searchByName}}"),
        ),
        ("Runbooks", format!("{at}/runbooks{{?skip,take,partialName}}")),
        ("Summary", format!("{at}/summary")),
        ("Triggers", format!("{at}/triggers{{?skip,take,partialName}}")),
        (
            "Variables",
            format!("{base}/variables/{}", project.variable_set_id),
        ),
        (
            "Web",
            format!("/app#{}/projects/{}", base.trim_start_matches("/api"), project.id),
        ),
    ];
    resource(project, links)
}

fn render_settings(project: &Project, base: &str) -> Value {
    let at = format!("{base}/projects/{}", project.id);
    let id = DeploymentSettingsId::of(&project.id);
    let mut value = project.deployment_settings();
    value["Id"] = json!(id);
    resource(
        &value,
        vec![("Self", format!("{at}/deploymentsettings")), ("Project", at)],
    )
}
