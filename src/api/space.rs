//! Spaces (`rest-api.md` 5.1). This version has the default one.

use application::{List, Slice, space};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::space::Space;
use serde_json::Value;

use crate::Shared;
use crate::call::{Answer, Call};
use crate::parameter::Parameters;
use crate::resource::{ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/spaces", get(list))
        .route("/api/spaces/all", get(all))
        .route("/api/spaces/{id}", get(one))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let spaces = space::list(&call.context, &call.actor, &parameters.filter(), slice).await?;
    let list = List {
        items: spaces.items.iter().map(render).collect(),
        total: spaces.total,
    };
    Ok(ok(page(
        "Space",
        "/api/spaces",
        &parameters.others(),
        slice,
        &list,
    )))
}

async fn all(call: Call, parameters: Parameters) -> Answer {
    let spaces = space::list(&call.context, &call.actor, &parameters.filter(), Slice::ALL).await?;
    Ok(ok(spaces.items.iter().map(render).collect()))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    Ok(ok(render(&space::get(&call.context, &call.actor, &id).await?)))
}

pub(crate) fn render(space: &Space) -> Value {
    let at = format!("/api/spaces/{}", space.id);
    let links = vec![
        ("Self", at.clone()),
        ("SpaceHome", format!("/api/{}", space.id)),
        ("Logo", format!("{at}/logo")),
        ("Search", format!("{at}/search{{?keyword}}")),
        ("Web", format!("/app#/{}", space.id)),
    ];
    resource(space, links)
}
