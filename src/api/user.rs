//! Users, sign-in and API keys (`rest-api.md` 1.5, 4.1, 5.20).

use application::user::{NewApiKey, StoredKey};
use application::{Actor, List, Secret, sign_in, user};
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, post};
use domain::permission::{Permission, Permissions};
use domain::time::Timestamp;
use domain::user::User;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::call::{Anonymous, Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/users", get(list))
        .route("/api/users/all", get(all))
        .route("/api/users/login", post(log_in))
        .route("/api/users/logout", post(log_out))
        .route("/api/users/{id}", get(one).put(update))
        .route("/api/users/{id}/spaces", get(spaces))
        .route("/api/users/{id}/teams", get(teams))
        .route("/api/users/{id}/permissions", get(permissions))
        .route("/api/users/{id}/apikeys", get(api_keys).post(create_api_key))
        .route(
            "/api/users/{id}/apikeys/{key}",
            get(api_key).delete(delete_api_key),
        )
        .route("/api/permissions/all", get(permission_descriptions))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct LogIn {
    username: String,
    password: String,
    remember_me: bool,
    state: LogInState,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct LogInState {
    using_secure_connection: bool,
}

async fn log_in(call: Anonymous, Body(body): Body<LogIn>) -> Answer {
    let password = Secret::from(body.password);
    let signed_in = sign_in::sign_in(
        &call.context,
        &body.username,
        password,
        body.remember_me,
        &call.origin,
    )
    .await?;
    let cookies = sign_in::cookies(&call.context, &signed_in, body.state.using_secure_connection);
    Ok(with_cookies(ok(render_for(&signed_in.user, true)), cookies))
}

async fn log_out(call: Anonymous) -> Answer {
    if let Some(actor) = call.actor().await? {
        sign_in::sign_out(&call.context, &actor).await?;
    }
    Ok(with_cookies(
        ok(json!({})),
        sign_in::expired_cookies(&call.context),
    ))
}

fn with_cookies(mut response: Response, cookies: Vec<String>) -> Response {
    for cookie in cookies {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let part = parameters.text("filter");
    let users = user::list(
        &call.context,
        &call.actor,
        &parameters.filter(),
        part.as_deref(),
        slice,
    )
    .await?;
    let list = List {
        items: users.items.iter().map(|user| render(user, &call.actor)).collect(),
        total: users.total,
    };
    Ok(ok(page("User", "/api/users", &parameters.others(), slice, &list)))
}

async fn all(call: Call, parameters: Parameters) -> Answer {
    let part = parameters.text("filter");
    let users = user::list(
        &call.context,
        &call.actor,
        &parameters.filter(),
        part.as_deref(),
        application::Slice::ALL,
    )
    .await?;
    Ok(ok(users
        .items
        .iter()
        .map(|user| render(user, &call.actor))
        .collect()))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let user = match id.as_str() {
        "me" => user::me(&call.context, &call.actor).await?,
        id => user::get(&call.context, &call.actor, id).await?,
    };
    Ok(ok(render(&user, &call.actor)))
}

/// A user as a client sends it; the password is written and never read.
#[derive(Deserialize)]
struct Changed {
    #[serde(rename = "Password", default)]
    password: Option<String>,
    #[serde(flatten)]
    user: User,
}

async fn update(call: Call, Path(id): Path<String>, Body(body): Body<Changed>) -> Answer {
    let password = body
        .password
        .filter(|password| !password.is_empty())
        .map(Secret::new);
    let user = user::update(&call.context, &call.actor, &id, &body.user, password).await?;
    Ok(ok(render(&user, &call.actor)))
}

async fn spaces(call: Call, Path(id): Path<String>) -> Answer {
    user::get(&call.context, &call.actor, &id).await?;
    let all = application::space::list(
        &call.context,
        &call.actor,
        &application::Filter::default(),
        application::Slice::ALL,
    )
    .await?;
    Ok(ok(all.items.iter().map(crate::space::render).collect()))
}

async fn teams(call: Call, Path(id): Path<String>) -> Answer {
    let permissions = user::permissions(&call.context, &call.actor, &id).await?;
    Ok(ok(crate::team::of(&permissions)
        .into_iter()
        .map(|team| json!({ "Id": team, "IsDirectlyAssigned": true }))
        .collect()))
}

async fn permissions(call: Call, Path(id): Path<String>) -> Answer {
    let permissions = user::permissions(&call.context, &call.actor, &id).await?;
    Ok(ok(render_permissions(&permissions, &call, &id)))
}

fn render_permissions(permissions: &Permissions, call: &Call, id: &str) -> Value {
    let unrestricted = json!([{
        "RestrictedToProjectIds": [],
        "RestrictedToEnvironmentIds": [],
        "RestrictedToTenantIds": [],
        "RestrictedToProjectGroupIds": [],
        "SpaceId": call.space,
    }]);
    let held = Permission::ALL
        .iter()
        .map(|(permission, _)| *permission)
        .filter(|one| permissions.has(*one));
    let of_space: Map<String, Value> = held
        .clone()
        .map(|permission| (permission.to_string(), unrestricted.clone()))
        .collect();
    let of_system: Vec<String> = held.map(|permission| permission.to_string()).collect();
    json!({
        "Id": id,
        "SpacePermissions": of_space,
        "SystemPermissions": of_system,
        "Teams": crate::team::of(permissions).into_iter().map(|team| json!({ "Id": team })).collect::<Vec<_>>(),
        "IsPermissionsComplete": true,
        "IsTeamsComplete": true,
        "Links": { "Self": format!("/api/users/{id}/permissions") },
    })
}

async fn permission_descriptions(_: Call) -> Answer {
    let all: Map<String, Value> = Permission::ALL
        .iter()
        .map(|(permission, meaning)| (permission.to_string(), Value::String((*meaning).to_string())))
        .collect();
    Ok(ok(Value::Object(all)))
}

async fn api_keys(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let keys = user::api_keys(&call.context, &call.actor, &id).await?;
    let list = List::cut(keys.iter().map(render_key).collect(), slice);
    Ok(ok(page(
        "ApiKey",
        &format!("/api/users/{id}/apikeys"),
        "",
        slice,
        &list,
    )))
}

async fn api_key(call: Call, Path((id, key)): Path<(String, String)>) -> Answer {
    let keys = user::api_keys(&call.context, &call.actor, &id).await?;
    let found = keys
        .iter()
        .find(|row| row.key.id.as_str().eq_ignore_ascii_case(&key));
    Ok(ok(render_key(found.ok_or_else(|| {
        application::Error::not_found("API key", &key)
    })?)))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CreateApiKey {
    purpose: String,
    expires: Option<Timestamp>,
}

async fn create_api_key(call: Call, Path(id): Path<String>, Body(body): Body<CreateApiKey>) -> Answer {
    let expires = body.expires.map(Timestamp::milliseconds);
    let NewApiKey { row, key } =
        user::create_api_key(&call.context, &call.actor, &id, &body.purpose, expires).await?;
    let mut value = render_key(&row);
    value["ApiKey"] = Value::String(key.expose().to_string());
    Ok(created(value))
}

async fn delete_api_key(call: Call, Path((id, key)): Path<(String, String)>) -> Answer {
    user::delete_api_key(&call.context, &call.actor, &id, &key).await?;
    Ok(deleted())
}

fn render(user: &User, asking: &Actor) -> Value {
    render_for(user, asking.user_id() == Some(user.id.as_str()))
}

fn render_for(user: &User, is_requestor: bool) -> Value {
    let at = format!("/api/users/{}", user.id);
    let links = vec![
        ("Self", at.clone()),
        ("Spaces", format!("{at}/spaces")),
        ("Teams", format!("{at}/teams{{?includeSystem}}")),
        ("Permissions", format!("{at}/permissions")),
        (
            "PermissionsConfiguration",
            format!("{at}/permissions/configuration"),
        ),
        ("ApiKeys", format!("{at}/apikeys{{/id}}{{?skip,take}}")),
        ("AccessToken", format!("{at}/accesstoken")),
        ("RevokeSessions", format!("{at}/revoke-sessions")),
        ("Avatar", format!("{at}/avatar")),
    ];
    let mut value = resource(user, links);
    value["IsRequestor"] = Value::Bool(is_requestor);
    value
}

/// After its creation a key is shown as an object, never as text.
fn render_key(stored: &StoredKey) -> Value {
    let key = &stored.key;
    let mut value = resource(
        key,
        vec![("Self", format!("/api/users/{}/apikeys/{}", key.user_id, key.id))],
    );
    value["ApiKey"] = json!({ "HasValue": true, "NewValue": null, "Hint": stored.hint });
    value
}
