//! Lifecycles (`rest-api.md` 4.3, 5.3).

use application::lifecycle;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::Lifecycle;
use serde_json::Value;

use crate::Shared;
use crate::call::{Answer, Call};
use crate::named::{self, Rendered};
use crate::parameter::Parameters;
use crate::resource::{ok, resource};

pub(crate) fn routes() -> Router<Shared> {
    named::routes::<Lifecycle>()
        .route("/api/lifecycles/{id}/preview", get(preview))
        .route("/api/lifecycles/{id}/projects", get(projects))
}

impl Rendered for Lifecycle {
    const PATH: &'static str = "lifecycles";
    const ITEM: &'static str = "Lifecycle";

    fn render(&self, base: &str) -> Value {
        let at = format!("{base}/lifecycles/{}", self.id);
        resource(
            self,
            vec![
                ("Self", at.clone()),
                ("Preview", format!("{at}/preview")),
                ("Projects", format!("{at}/projects")),
            ],
        )
    }
}

async fn preview(call: Call, Path(id): Path<String>) -> Answer {
    let lifecycle = lifecycle::preview(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(lifecycle.render(&call.base())))
}

async fn projects(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let projects = lifecycle::projects(&call.context, &call.actor, &call.space, &id).await?;
    crate::project::answer_page(
        &call,
        &format!("lifecycles/{id}/projects"),
        &parameters,
        &projects,
    )
}
