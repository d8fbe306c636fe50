//! Style sheet, icons and the one script.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Shared;

const ASSETS: &[(&str, &str, &str)] = &[
    ("icons.svg", "image/svg+xml", include_str!("assets/icons.svg")),
    (
        "live_log.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/live_log.js"),
    ),
    (
        "mantle.css",
        "text/css; charset=utf-8",
        include_str!("assets/mantle.css"),
    ),
];

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, content)) => (
            [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "max-age=300"),
            ],
            *content,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
