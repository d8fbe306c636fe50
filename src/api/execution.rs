//! The executions API: releases and deployments by the names of things (`rest-api.md` 3.1).

use std::collections::BTreeMap;

use application::Error;
use application::deployment::{self, CreateDeployments, WantedRelease};
use application::package_choice::Choices;
use application::release::{self, CreateRelease};
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use domain::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/releases/create/v1", post(create_release))
        .route("/api/deployments/create/untenanted/v1", post(deploy))
        .route("/api/deployments/create/tenanted/v1", post(deploy_tenanted))
}

/// The space of the body is that of the path; what it says of the space does not count.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CreateReleaseBody {
    project_name: Option<String>,
    package_version: Option<String>,
    git_commit: Option<String>,
    git_ref: Option<String>,
    release_version: Option<String>,
    channel_name: Option<String>,
    packages: Option<Vec<String>>,
    release_notes: Option<String>,
    ignore_if_already_exists: Option<bool>,
    ignore_channel_rules: Option<bool>,
    package_prerelease: Option<String>,
    custom_fields: Option<BTreeMap<String, String>>,
}

async fn create_release(call: Call, Body(body): Body<CreateReleaseBody>) -> Answer {
    let git = body
        .git_ref
        .or(body.git_commit)
        .filter(|reference| !reference.trim().is_empty());
    if let Some(reference) = git {
        return Err(Error::invalid(format!(
            "The request names the Git reference '{reference}', but this Server keeps projects in its database only. Leave \
             GitRef and GitCommit out."
        ))
        .into());
    }
    let wanted = CreateRelease {
        project: body.project_name.unwrap_or_default(),
        version: body.release_version.filter(|version| !version.trim().is_empty()),
        channel: body.channel_name,
        release_notes: body.release_notes,
        packages: Choices {
            selected: Vec::new(),
            texts: body.packages.unwrap_or_default(),
            version: body.package_version,
            pre_release: body.package_prerelease,
        },
        ignore_channel_rules: body.ignore_channel_rules.unwrap_or(false),
        ignore_if_already_exists: body.ignore_if_already_exists.unwrap_or(false),
        custom_fields: body.custom_fields.unwrap_or_default(),
    };
    let release = release::create(&call.context, &call.actor, &call.space, &wanted).await?;
    Ok(answer(
        json!({ "ReleaseId": release.id, "ReleaseVersion": release.version }),
    ))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct DeployBody {
    project_name: Option<String>,
    release_version: Option<String>,
    environment_names: Option<Vec<String>>,
    environment_name: Option<String>,
    tenants: Option<Vec<String>>,
    tenant_tags: Option<Vec<String>>,
    force_package_download: Option<bool>,
    force_package_redeployment: Option<bool>,
    update_variable_snapshot: Option<bool>,
    specific_machine_names: Option<Vec<String>>,
    excluded_machine_names: Option<Vec<String>>,
    skip_step_names: Option<Vec<String>>,
    use_guided_failure: Option<bool>,
    run_at: Option<Timestamp>,
    no_run_after: Option<Timestamp>,
    variables: Option<BTreeMap<String, Value>>,
    comments: Option<String>,
}

async fn deploy(call: Call, Body(body): Body<DeployBody>) -> Answer {
    let tenant = body.tenants.unwrap_or_default().into_iter().next();
    let variables = body
        .variables
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Null => None,
            other => Some((name, other.to_string())),
        });
    let mut environments = body.environment_names.unwrap_or_default();
    environments.extend(body.environment_name);
    let wanted = CreateDeployments {
        release: WantedRelease::InProject {
            project: body.project_name.unwrap_or_default(),
            version: body.release_version.unwrap_or_default(),
        },
        environments,
        tenant: tenant.or_else(|| body.tenant_tags.unwrap_or_default().into_iter().next()),
        comments: body.comments,
        skip_step_names: body.skip_step_names.unwrap_or_default(),
        specific_machines: body.specific_machine_names.unwrap_or_default(),
        excluded_machines: body.excluded_machine_names.unwrap_or_default(),
        force_package_download: body.force_package_download,
        force_package_redeployment: body.force_package_redeployment,
        use_guided_failure: body.use_guided_failure,
        variables: variables.collect(),
        queue_time: body.run_at,
        queue_time_expiry: body.no_run_after,
        update_variables: body.update_variable_snapshot.unwrap_or(false),
        ..CreateDeployments::default()
    };
    let made = deployment::create(&call.context, &call.actor, &call.space, &wanted).await?;
    let tasks: Vec<Value> = made
        .iter()
        .map(|deployment| json!({ "DeploymentId": deployment.id, "ServerTaskId": deployment.task_id }))
        .collect();
    Ok(answer(json!({ "DeploymentServerTasks": tasks })))
}

async fn deploy_tenanted(call: Call) -> Answer {
    call.actor
        .require(domain::permission::Permission::DeploymentCreate)?;
    Err(Error::invalid(
        "This Server has no tenants yet, so nothing can be deployed for one. Use deployments/create/untenanted/v1.",
    )
    .into())
}

fn answer(value: Value) -> axum::response::Response {
    (StatusCode::CREATED, axum::Json(value)).into_response()
}
