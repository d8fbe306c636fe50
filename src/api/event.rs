//! The audit (`rest-api.md` 4.8, 5.22).

use application::{List, event};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::event::Event;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::parameter::Parameters;
use crate::resource::{ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/events", get(list))
        .route("/api/events/{id}", get(one))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let mut regarding = parameters.list("regarding");
    regarding.extend(parameters.list("regardingany"));
    let events = event::list(&call.context, &call.actor, Some(&call.space), &regarding, slice).await?;
    let list = List {
        items: events.items.iter().map(render).collect(),
        total: events.total,
    };
    Ok(ok(page(
        "Event",
        "/api/events",
        &parameters.others(),
        slice,
        &list,
    )))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    Ok(ok(render(&event::get(&call.context, &call.actor, &id).await?)))
}

fn render(event: &Event) -> Value {
    let mut value = resource(event, vec![("Self", format!("/api/events/{}", event.id))]);
    value["MessageHtml"] = Value::String(escape(&event.message));
    value["Comments"] = Value::Null;
    value["ChangeDetails"] = json!({ "DocumentContext": null, "Differences": [] });
    value
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
