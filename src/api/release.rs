//! Releases (`rest-api.md` 4.6, 5.7).

use application::package_choice::Choices;
use application::release::{self, CreateRelease, ReleaseFilter, ReleaseProgression};
use application::{List, Slice};
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use domain::Release;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/releases", get(list).post(create))
        .route("/api/releases/{id}", get(one).put(update).delete(remove))
        .route("/api/releases/{id}/progression", get(progression))
        .route("/api/releases/{id}/snapshot-variables", post(snapshot_variables))
        .route("/api/releases/{id}/missingpackages", get(missing_packages))
        .route("/api/releases/{id}/defects", get(defects))
        .route("/api/projects/{project}/releases", get(of_project))
        .route("/api/projects/{project}/releases/{version}", get(version))
        .route("/api/channels/{channel}/releases", get(of_channel))
        .route(
            "/api/projects/{project}/channels/{channel}/releases",
            get(of_project_channel),
        )
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let filter = ReleaseFilter {
        ids: parameters.list("ids"),
        ..ReleaseFilter::default()
    };
    let list = release::list(&call.context, &call.actor, &call.space, &filter, slice).await?;
    Ok(answer_page(&call, "releases", &parameters, slice, &list))
}

async fn of_project(call: Call, Path(project): Path<String>, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let part = parameters.text("searchbyversion");
    let list = release::of_project(&call.context, &call.actor, &call.space, &project, part, slice).await?;
    Ok(answer_page(
        &call,
        &format!("projects/{project}/releases"),
        &parameters,
        slice,
        &list,
    ))
}

async fn of_channel(call: Call, Path(channel): Path<String>, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let part = parameters.text("searchbyversion");
    let list = release::of_channel(
        &call.context,
        &call.actor,
        &call.space,
        None,
        &channel,
        part,
        slice,
    )
    .await?;
    Ok(answer_page(
        &call,
        &format!("channels/{channel}/releases"),
        &parameters,
        slice,
        &list,
    ))
}

async fn of_project_channel(
    call: Call,
    Path((project, channel)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let slice = parameters.slice()?;
    let part = parameters.text("searchbyversion");
    let list = release::of_channel(
        &call.context,
        &call.actor,
        &call.space,
        Some(&project),
        &channel,
        part,
        slice,
    )
    .await?;
    let path = format!("projects/{project}/channels/{channel}/releases");
    Ok(answer_page(&call, &path, &parameters, slice, &list))
}

fn answer_page(
    call: &Call,
    path: &str,
    parameters: &Parameters,
    slice: Slice,
    list: &List<Release>,
) -> axum::response::Response {
    let base = call.base();
    let rendered = List {
        items: list.items.iter().map(|release| render(release, &base)).collect(),
        total: list.total,
    };
    ok(page(
        "Release",
        &format!("{base}/{path}"),
        &parameters.others(),
        slice,
        &rendered,
    ))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let release = release::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&release, &call.base())))
}

async fn version(call: Call, Path((project, version)): Path<(String, String)>) -> Answer {
    let release = release::get_version(&call.context, &call.actor, &call.space, &project, &version).await?;
    Ok(ok(render(&release, &call.base())))
}

async fn create(call: Call, parameters: Parameters, Body(body): Body<Release>) -> Answer {
    let ignored = parameters.boolean("ignorechannelrules")?.unwrap_or(false);
    let wanted = CreateRelease {
        project: body.project_id.to_string(),
        version: Some(body.version).filter(|version| !version.trim().is_empty()),
        channel: Some(body.channel_id.to_string()),
        release_notes: body.release_notes,
        packages: Choices {
            selected: body.selected_packages,
            ..Choices::default()
        },
        ignore_channel_rules: body.ignore_channel_rules || ignored,
        ignore_if_already_exists: false,
        custom_fields: body.custom_fields,
    };
    let release = release::create(&call.context, &call.actor, &call.space, &wanted).await?;
    Ok(created(render(&release, &call.base())))
}

async fn update(call: Call, Path(id): Path<String>, Body(body): Body<Release>) -> Answer {
    let release = release::update(&call.context, &call.actor, &call.space, &id, body).await?;
    Ok(ok(render(&release, &call.base())))
}

async fn remove(call: Call, Path(id): Path<String>) -> Answer {
    release::delete(&call.context, &call.actor, &call.space, &id).await?;
    Ok(deleted())
}

async fn snapshot_variables(call: Call, Path(id): Path<String>) -> Answer {
    let release = release::update_variables(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&release, &call.base())))
}

async fn missing_packages(call: Call, Path(id): Path<String>) -> Answer {
    let missing = release::missing_packages(&call.context, &call.actor, &call.space, &id).await?;
    let packages: Vec<Value> = missing
        .into_iter()
        .map(|(id, version)| json!({ "Id": id, "Version": version }))
        .collect();
    Ok(ok(json!({ "Packages": packages })))
}

/// Reporting a defect comes later; until then no release has one.
async fn defects(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let release = release::get(&call.context, &call.actor, &call.space, &id).await?;
    let path = format!("{}/releases/{}/defects", call.base(), release.id);
    Ok(ok(page(
        "Defect",
        &path,
        &parameters.others(),
        slice,
        &List {
            items: vec![],
            total: 0,
        },
    )))
}

async fn progression(call: Call, Path(id): Path<String>) -> Answer {
    let found = release::progression(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render_progression(&found, &call.base())))
}

fn render_progression(found: &ReleaseProgression, base: &str) -> Value {
    let progression = &found.progression;
    let phases: Vec<Value> = progression
        .phases
        .iter()
        .map(|phase| {
            let deployments: Vec<Value> = found
                .deployments
                .iter()
                .filter(|stored| phase.environments.contains(&stored.deployment.environment_id))
                .map(|stored| {
                    let deployment = application::prompt::shown(stored.deployment.clone());
                    let state = stored.state.unwrap_or_default();
                    json!({
                        "Task": {
                            "Id": deployment.task_id,
                            "State": state,
                            "IsCompleted": state.is_completed(),
                            "FinishedSuccessfully": state == domain::TaskState::Success,
                            "Links": { "Self": format!("/api/tasks/{}", deployment.task_id) },
                        },
                        "Deployment": crate::deployment::render(&deployment, base),
                    })
                })
                .collect();
            let optional: Vec<_> = phase
                .environments
                .iter()
                .filter(|id| !phase.automatic.contains(id))
                .collect();
            json!({
                "Id": phase.id,
                "Name": phase.name,
                "Progress": phase.state,
                "Blocked": phase.blocked,
                "Deployments": deployments,
                "AutomaticDeploymentTargets": phase.automatic,
                "OptionalDeploymentTargets": optional,
                "MinimumEnvironmentsBeforePromotion": phase.minimum,
                "IsOptionalPhase": phase.is_optional,
            })
        })
        .collect();
    json!({
        "Phases": phases,
        "NextDeployments": progression.next_deployments(),
        "NextDeploymentsMinimumRequired": progression.next_minimum(),
        "HasUnresolvedDefect": false,
        "Links": { "Self": format!("{base}/releases/{}/progression", found.release.id) },
    })
}

pub(crate) fn render(release: &Release, base: &str) -> Value {
    let at = format!("{base}/releases/{}", release.id);
    let project = format!("{base}/projects/{}", release.project_id);
    let links = vec![
        ("Self", at.clone()),
        ("Artifacts", format!("{base}/artifacts?regarding={}", release.id)),
        ("Channel", format!("{base}/channels/{}", release.channel_id)),
        ("Defects", format!("{at}/defects")),
        ("DeploymentTemplate", format!("{at}/deployments/template")),
        ("Deployments", format!("{at}/deployments{{?skip,take}}")),
        ("Progression", format!("{at}/progression")),
        ("Project", project),
        (
            "ProjectDeploymentProcessSnapshot",
            format!(
                "{base}/deploymentprocesses/{}",
                release.project_deployment_process_snapshot_id
            ),
        ),
        (
            "ProjectVariableSnapshot",
            format!("{base}/variables/{}", release.project_variable_set_snapshot_id),
        ),
        ("ReportDefect", format!("{at}/defects")),
        ("ResolveDefect", format!("{at}/defects/resolve")),
        ("SnapshotVariables", format!("{at}/snapshot-variables")),
        (
            "Web",
            format!("/app#{}/releases/{}", base.trim_start_matches("/api"), release.id),
        ),
    ];
    resource(release, links)
}
