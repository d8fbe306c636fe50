//! Deployments, and what one would do (`rest-api.md` 4.6, 5.8, 5.9).

use application::deployment::{self, CreateDeployments, DeploymentFilter, WantedRelease};
use application::deployment_preview::{self, Preview, PreviewedAction};
use application::{List, release};
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use domain::variable_set::{Variable, VariableValue};
use domain::{Deployment, TaskState};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/deployments", get(list).post(create))
        .route("/api/deployments/{id}", get(one).delete(remove))
        .route("/api/releases/{id}/deployments", get(of_release))
        .route("/api/releases/{id}/deployments/template", get(template))
        .route(
            "/api/releases/{id}/deployments/preview/{environment}",
            get(preview),
        )
        .route("/api/releases/{id}/deployments/previews", post(previews))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let mut states: Vec<TaskState> = Vec::new();
    for state in parameters.list("taskstate") {
        let state = state.parse().map_err(|error: domain::shape::UnknownWord| {
            application::Error::invalid(format!("The parameter 'taskState' is wrong: {error}"))
        })?;
        states.push(state);
    }
    let filter = DeploymentFilter {
        ids: parameters.list("ids"),
        projects: parameters.list("projects"),
        environments: parameters.list("environments"),
        channels: parameters.list("channels"),
        release_id: String::new(),
        states,
    };
    answer_page(&call, "deployments", &parameters, &filter).await
}

async fn of_release(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let release = release::get(&call.context, &call.actor, &call.space, &id).await?;
    let filter = DeploymentFilter {
        release_id: release.id.to_string(),
        ..DeploymentFilter::default()
    };
    answer_page(
        &call,
        &format!("releases/{}/deployments", release.id),
        &parameters,
        &filter,
    )
    .await
}

async fn answer_page(call: &Call, path: &str, parameters: &Parameters, filter: &DeploymentFilter) -> Answer {
    let slice = parameters.slice()?;
    let list = deployment::list(&call.context, &call.actor, &call.space, filter, slice).await?;
    let base = call.base();
    let items = list
        .items
        .iter()
        .map(|deployment| render(deployment, &base))
        .collect();
    let list = List {
        items,
        total: list.total,
    };
    Ok(ok(page(
        "Deployment",
        &format!("{base}/{path}"),
        &parameters.others(),
        slice,
        &list,
    )))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let deployment = deployment::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&deployment, &call.base())))
}

async fn create(call: Call, Body(body): Body<Deployment>) -> Answer {
    let ids = |ids: Vec<domain::MachineId>| ids.into_iter().map(String::from).collect();
    let wanted = CreateDeployments {
        release: WantedRelease::Id(body.release_id.to_string()),
        environments: vec![body.environment_id.to_string()],
        tenant: body.tenant_id.map(String::from),
        comments: body.comments,
        skip_actions: body.skip_actions,
        specific_machines: ids(body.specific_machine_ids),
        excluded_machines: ids(body.excluded_machine_ids),
        force_package_download: Some(true).filter(|_| body.force_package_download),
        force_package_redeployment: body.force_package_redeployment,
        use_guided_failure: body.use_guided_failure,
        form_values: body.form_values,
        queue_time: body.queue_time,
        queue_time_expiry: body.queue_time_expiry,
        ..CreateDeployments::default()
    };
    let made = deployment::create(&call.context, &call.actor, &call.space, &wanted).await?;
    let base = call.base();
    Ok(created(
        made.first()
            .map_or(Value::Null, |deployment| render(deployment, &base)),
    ))
}

async fn remove(call: Call, Path(id): Path<String>) -> Answer {
    deployment::delete(&call.context, &call.actor, &call.space, &id).await?;
    Ok(deleted())
}

async fn template(call: Call, Path(id): Path<String>) -> Answer {
    let template = deployment_preview::template(&call.context, &call.actor, &call.space, &id).await?;
    let base = call.base();
    let at = format!("{base}/releases/{}/deployments", template.release.id);
    let promote_to: Vec<Value> = template
        .promote_to
        .iter()
        .map(|environment| {
            json!({
                "Id": environment.id,
                "Name": environment.name,
                "Links": { "Preview": format!("{at}/preview/{}{{?includeDisabledSteps}}", environment.id) },
            })
        })
        .collect();
    let document = json!({
        "PromoteTo": promote_to,
        "TenantPromotions": [],
        "IsDeploymentProcessModified": template.is_process_modified,
        "IsVariableSetModified": template.are_variables_modified,
        "IsLibraryVariableSetModified": false,
        "DeploymentNotes": template.release.release_notes,
    });
    let links = vec![
        ("Self", format!("{at}/template")),
        ("Release", format!("{base}/releases/{}", template.release.id)),
    ];
    Ok(ok(resource(&document, links)))
}

async fn preview(
    call: Call,
    Path((id, environment)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let with_disabled = parameters.boolean("includedisabledsteps")?.unwrap_or(false);
    Ok(ok(previewed(&call, &id, &environment, with_disabled).await?))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Previews {
    deployment_previews: Vec<PreviewWanted>,
    include_disabled_steps: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct PreviewWanted {
    environment_id: Option<String>,
}

async fn previews(
    call: Call,
    Path(id): Path<String>,
    parameters: Parameters,
    Body(body): Body<Previews>,
) -> Answer {
    let asked = parameters
        .boolean("includedisabledsteps")?
        .or(body.include_disabled_steps);
    let mut all = Vec::new();
    for wanted in &body.deployment_previews {
        let environment = wanted.environment_id.as_deref().unwrap_or_default();
        all.push(previewed(&call, &id, environment, asked.unwrap_or(false)).await?);
    }
    Ok(ok(Value::Array(all)))
}

async fn previewed(
    call: &Call,
    release: &str,
    environment: &str,
    with_disabled: bool,
) -> Result<Value, crate::Failure> {
    let preview = deployment_preview::preview(
        &call.context,
        &call.actor,
        &call.space,
        release,
        environment,
        with_disabled,
    )
    .await?;
    Ok(render_preview(&preview, &call.base()))
}

fn render_preview(preview: &Preview, base: &str) -> Value {
    let at = format!(
        "{base}/releases/{}/deployments/preview/{}",
        preview.release.id, preview.environment.id
    );
    let document = json!({
        "Id": preview.environment.id,
        "StepsToExecute": preview.actions.iter().map(render_action).collect::<Vec<_>>(),
        "Form": render_form(&preview.prompts),
        "UseGuidedFailureModeByDefault": preview.guided_failure,
        "ReleaseNotes": [{ "Version": preview.release.version, "ReleaseNotes": preview.release.release_notes }],
        "Changes": [],
    });
    resource(
        &document,
        vec![
            ("Self", at),
            ("Release", format!("{base}/releases/{}", preview.release.id)),
        ],
    )
}

fn render_action(previewed: &PreviewedAction) -> Value {
    let action = &previewed.action;
    let machines: Vec<Value> = previewed
        .machines
        .iter()
        .map(|machine| {
            json!({
                "Id": machine.id,
                "Name": machine.name,
                "Health": machine.health_status,
                "HealthStatus": machine.health_status,
            })
        })
        .collect();
    json!({
        "ActionId": action.id,
        "ActionName": action.name,
        "ActionNumber": previewed.number,
        "Roles": previewed.roles,
        "MachineNames": previewed.machines.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>(),
        "Machines": machines,
        "CanBeSkipped": !action.is_required,
        "IsDisabled": action.is_disabled,
        "HasNoApplicableMachines": previewed.has_no_machines,
        "UnavailableMachines": [],
        "ExcludedMachines": [],
    })
}

/// The prompted variables as a form. The value of a secret is never shown.
fn render_form(prompts: &[Variable]) -> Value {
    let mut values = Map::new();
    let mut elements = Vec::new();
    for variable in prompts {
        let value = match &variable.value {
            VariableValue::Plain(text) => json!(text.clone().unwrap_or_default()),
            VariableValue::Sensitive(_) => Value::Null,
        };
        values.insert(variable.id.clone(), value);
        let prompt = variable.prompt.clone().unwrap_or_default();
        elements.push(json!({
            "Name": variable.id,
            "Control": {
                "Type": "VariableValue",
                "Name": variable.name,
                "Label": prompt.label,
                "Description": prompt.description,
                "Required": prompt.required,
                "DisplaySettings": prompt.display_settings,
            },
            "IsValueRequired": prompt.required,
        }));
    }
    json!({ "Values": values, "Elements": elements })
}

pub(crate) fn render(deployment: &Deployment, base: &str) -> Value {
    let at = format!("{base}/deployments/{}", deployment.id);
    let links = vec![
        ("Self", at.clone()),
        (
            "Artifacts",
            format!("{base}/artifacts?regarding={}", deployment.id),
        ),
        (
            "Environment",
            format!("{base}/environments/{}", deployment.environment_id),
        ),
        (
            "Interruptions",
            format!("{base}/interruptions?regarding={}", deployment.id),
        ),
        ("Project", format!("{base}/projects/{}", deployment.project_id)),
        ("Release", format!("{base}/releases/{}", deployment.release_id)),
        ("Task", format!("/api/tasks/{}", deployment.task_id)),
        (
            "Web",
            format!(
                "/app#{}/deployments/{}",
                base.trim_start_matches("/api"),
                deployment.id
            ),
        ),
    ];
    let mut value = resource(deployment, links);
    // Clients read these two as booleans.
    for member in ["UseGuidedFailure", "ForcePackageRedeployment"] {
        if value[member].is_null() {
            value[member] = json!(false);
        }
    }
    value
}
