//! Deployment processes (`rest-api.md` 4.5, 5.6) and the template of a release (5.8).

use application::deployment_preview::{self, ReleaseTemplate, TemplatePackage};
use application::{List, deployment_process};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::DeploymentProcess;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/deploymentprocesses", get(list))
        .route("/api/deploymentprocesses/{id}", get(one).put(update))
        .route("/api/deploymentprocesses/{id}/template", get(template))
        .route(
            "/api/projects/{project}/deploymentprocesses",
            get(of_project).put(update_of_project),
        )
        .route(
            "/api/projects/{project}/deploymentprocesses/template",
            get(template_of_project),
        )
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let ids = parameters.list("ids");
    let all = deployment_process::list(&call.context, &call.actor, &call.space, &ids).await?;
    let base = call.base();
    let list = List::cut(all.iter().map(|process| render(process, &base)).collect(), slice);
    let path = format!("{base}/deploymentprocesses");
    Ok(ok(page(
        "DeploymentProcess",
        &path,
        &parameters.others(),
        slice,
        &list,
    )))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let process = deployment_process::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&process, &call.base())))
}

async fn update(call: Call, Path(id): Path<String>, Body(process): Body<DeploymentProcess>) -> Answer {
    let process = deployment_process::update(&call.context, &call.actor, &call.space, &id, process).await?;
    Ok(ok(render(&process, &call.base())))
}

async fn of_project(call: Call, Path(project): Path<String>) -> Answer {
    let process = deployment_process::of_project(&call.context, &call.actor, &call.space, &project).await?;
    Ok(ok(render(&process, &call.base())))
}

async fn update_of_project(
    call: Call,
    Path(project): Path<String>,
    Body(process): Body<DeploymentProcess>,
) -> Answer {
    let current = deployment_process::of_project(&call.context, &call.actor, &call.space, &project).await?;
    let id = current.id.to_string();
    let process = deployment_process::update(&call.context, &call.actor, &call.space, &id, process).await?;
    Ok(ok(render(&process, &call.base())))
}

async fn template(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let process = deployment_process::get(&call.context, &call.actor, &call.space, &id).await?;
    answer_template(&call, &process, &parameters).await
}

async fn template_of_project(call: Call, Path(project): Path<String>, parameters: Parameters) -> Answer {
    let process = deployment_process::of_project(&call.context, &call.actor, &call.space, &project).await?;
    answer_template(&call, &process, &parameters).await
}

async fn answer_template(call: &Call, process: &DeploymentProcess, parameters: &Parameters) -> Answer {
    let channel = parameters.text("channel");
    let template = deployment_preview::release_template(
        &call.context,
        &call.actor,
        &call.space,
        process,
        channel.as_deref(),
    )
    .await?;
    Ok(ok(render_template(&template, &call.base())))
}

fn render(process: &DeploymentProcess, base: &str) -> Value {
    let at = format!("{base}/deploymentprocesses/{}", process.id);
    let links = vec![
        ("Self", at.clone()),
        ("Template", format!("{at}/template{{?channel,releaseId}}")),
        ("Project", format!("{base}/projects/{}", process.project_id)),
    ];
    resource(process, links)
}

fn render_template(template: &ReleaseTemplate, base: &str) -> Value {
    let (step, reference) = template.versioning_package.clone().unzip();
    let document = json!({
        "Id": template.process_id,
        "DeploymentProcessId": template.process_id,
        "LastReleaseVersion": template.last_version,
        "NextVersionIncrement": template.next_version,
        "VersioningPackageStepName": step,
        "VersioningPackageReferenceName": reference,
        "Packages": template.packages.iter().map(render_package).collect::<Vec<_>>(),
        "GitResources": [],
    });
    let at = format!("{base}/deploymentprocesses/{}/template", template.process_id);
    resource(&document, vec![("Self", at)])
}

/// The twins with `NuGet` in their name are still read by the .NET client.
fn render_package(package: &TemplatePackage) -> Value {
    json!({
        "StepName": package.step_name,
        "ActionName": package.action_name,
        "PackageReferenceName": package.reference_name,
        "PackageId": package.package_id,
        "NuGetPackageId": package.package_id,
        "FeedId": package.feed_id,
        "FeedName": package.feed_name,
        "NuGetFeedId": package.feed_id,
        "NuGetFeedName": package.feed_name,
        "VersionSelectedLastRelease": package.last_version,
        "FixedVersion": package.fixed_version,
        "ProjectName": null,
        "IsResolvable": package.is_resolvable,
    })
}
