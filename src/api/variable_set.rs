//! Variable sets (`rest-api.md` 4.10, 5.12). A sensitive value is written and never read.

use application::variable_set::{self, VariablesInScope};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::VariableSet;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{ok, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/variables", get(list))
        .route("/api/variables/all", get(list))
        .route("/api/variables/{id}", get(one).put(update))
        .route(
            "/api/projects/{project}/variables",
            get(of_project).put(update_of_project),
        )
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let ids = parameters.list("ids");
    let sets = variable_set::list(&call.context, &call.actor, &call.space, &ids).await?;
    let base = call.base();
    Ok(ok(sets.iter().map(|set| render(set, &base)).collect()))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let set = variable_set::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&set, &call.base())))
}

async fn update(call: Call, Path(id): Path<String>, Body(set): Body<VariableSet>) -> Answer {
    let set = variable_set::update(&call.context, &call.actor, &call.space, &id, set).await?;
    Ok(ok(render(&set, &call.base())))
}

async fn of_project(call: Call, Path(project): Path<String>) -> Answer {
    let set = variable_set::of_project(&call.context, &call.actor, &call.space, &project).await?;
    Ok(ok(render(&set, &call.base())))
}

async fn update_of_project(call: Call, Path(project): Path<String>, Body(set): Body<VariableSet>) -> Answer {
    let current = variable_set::of_project(&call.context, &call.actor, &call.space, &project).await?;
    let id = current.set.id.to_string();
    let set = variable_set::update(&call.context, &call.actor, &call.space, &id, set).await?;
    Ok(ok(render(&set, &call.base())))
}

fn render(scope: &VariablesInScope, base: &str) -> Value {
    let set = &scope.set;
    let links = vec![
        ("Self", format!("{base}/variables/{}", set.id)),
        ("Project", format!("{base}/projects/{}", scope.project.id)),
    ];
    let mut value = resource(set, links);
    value["ScopeValues"] = scope_values(scope);
    value
}

fn scope_values(scope: &VariablesInScope) -> Value {
    let reference = |id: &str, name: &str| json!({ "Id": id, "Name": name });
    let actions: Vec<Value> = scope
        .process
        .actions()
        .map(|(_, action)| reference(&action.id, &action.name))
        .collect();
    let project = &scope.project;
    json!({
        "Environments": scope.environments.iter().map(|one| reference(one.id.as_str(), &one.name)).collect::<Vec<_>>(),
        "Machines": scope.machines.iter().map(|one| reference(one.id.as_str(), &one.name)).collect::<Vec<_>>(),
        "Actions": actions,
        "Roles": scope.roles.iter().map(|role| reference(role, role)).collect::<Vec<_>>(),
        "Channels": scope.channels.iter().map(|one| reference(one.id.as_str(), &one.name)).collect::<Vec<_>>(),
        "TenantTags": [],
        "Processes": [{ "Id": project.id, "Name": project.name, "ProcessType": "Deployment" }],
    })
}
