//! `GET /api` and `GET /api/{space}`: the link maps that clients start from (`rest-api.md` 1.9).

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::call::{Anonymous, Answer};
use crate::resource::ok;

/// The level of the original's API that we answer for: one constant, not our own version.
const API_LEVEL: &str = "2025.4.1";

/// Name and template of every link. `@` is the space's path, `~` is `/api`.
const LINKS: &[(&str, &str)] = include!("links.in");

/// Links of the space document that are given in their space's form, though the root's span all spaces.
const MIXED: &[&str] = &[
    "Tasks",
    "Events",
    "Teams",
    "ScopedUserRoles",
    "Interruptions",
    "Subscriptions",
    "Feeds",
    "Invitations",
];

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/api", get(document))
}

async fn document(call: Anonymous) -> Answer {
    match &call.named_space {
        None => Ok(root(&call)),
        Some(_) => {
            let call = call.signed_in().await?;
            Ok(ok(
                json!({ "Id": call.space.to_string(), "Links": links(call.space.as_str(), true) }),
            ))
        }
    }
}

fn root(call: &Anonymous) -> Response {
    let context = &call.context;
    ok(json!({
        "Application": "Octopus Deploy",
        "Version": API_LEVEL,
        "ProductVersion": context.product_version,
        "ApiVersion": "3.0.0",
        "InstallationId": context.installation_id,
        "IsEarlyAccessProgram": false,
        "HasLongTermSupport": false,
        "Links": links("Spaces-1", false),
    }))
}

fn links(space: &str, of_space: bool) -> Value {
    let at = format!("/api/{space}");
    let map: Map<String, Value> = LINKS
        .iter()
        .filter(|(name, template)| {
            !of_space || template.starts_with('@') || MIXED.contains(name) || *name == "Web"
        })
        .map(|(name, template)| {
            let link = match template.strip_prefix('@') {
                Some(rest) => format!("{at}{rest}"),
                None => match template.strip_prefix('~') {
                    Some(rest) if of_space && MIXED.contains(name) => format!("{at}{rest}"),
                    Some(rest) => format!("/api{rest}"),
                    None => (*template).to_string(),
                },
            };
            ((*name).to_string(), Value::String(link))
        })
        .collect();
    let mut map = map;
    if of_space {
        map.insert("Self".into(), Value::String(at));
    }
    Value::Object(map)
}
