//! The built-in teams (`security.md` 2.3). Editing teams and roles comes with permissions per environment.

use application::List;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::permission::{Permission, Permissions};
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::parameter::Parameters;
use crate::resource::{ok, page, resource};

const TEAMS: &[(&str, &str)] = &[
    ("teams-administrators", "Octopus Administrators"),
    ("teams-everyone", "Everyone"),
    ("teams-managers", "Octopus Managers"),
];

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/teams", get(list))
        .route("/api/teams/all", get(all))
        .route("/api/teams/{id}", get(one))
}

/// The teams of somebody with these permissions.
pub(crate) fn of(permissions: &Permissions) -> Vec<&'static str> {
    if permissions.has(Permission::AdministerSystem) {
        vec!["teams-administrators", "teams-everyone"]
    } else {
        vec!["teams-everyone"]
    }
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    call.actor.require(Permission::TeamView)?;
    let slice = parameters.slice()?;
    let filter = parameters.filter();
    let teams = TEAMS
        .iter()
        .filter(|(id, name)| filter.admits(id, name))
        .map(render)
        .collect();
    Ok(ok(page(
        "Team",
        "/api/teams",
        &parameters.others(),
        slice,
        &List::cut(teams, slice),
    )))
}

async fn all(call: Call, parameters: Parameters) -> Answer {
    call.actor.require(Permission::TeamView)?;
    let filter = parameters.filter();
    let teams = TEAMS.iter().filter(|(id, name)| filter.admits(id, name));
    Ok(ok(teams.map(render).collect()))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    call.actor.require(Permission::TeamView)?;
    let team = TEAMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&id));
    Ok(ok(render(
        team.ok_or_else(|| application::Error::not_found("team", &id))?,
    )))
}

fn render((id, name): &(&str, &str)) -> Value {
    let at = format!("/api/teams/{id}");
    let document = json!({
        "Id": id,
        "Name": name,
        "Slug": id,
        "Description": "",
        "MemberUserIds": [],
        "ExternalSecurityGroups": [],
        "SpaceId": null,
        "CanBeDeleted": false,
        "CanBeRenamed": false,
        "CanChangeRoles": false,
        "CanChangeMembers": false,
    });
    resource(
        &document,
        vec![
            ("Self", at.clone()),
            ("ScopedUserRoles", format!("{at}/scopeduserroles{{?skip,take}}")),
        ],
    )
}
