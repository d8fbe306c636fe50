//! Environments (`rest-api.md` 4.2, 5.2).

use application::{List, Slice, environment, named};
use axum::Router;
use axum::routing::{get, put};
use domain::environment::Environment;
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::named::Rendered;
use crate::parameter::Parameters;
use crate::resource::{ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    crate::named::routes::<Environment>()
        .route("/api/environments/v2", get(list_v2))
        .route("/api/environments/sortorder", put(sort))
}

impl Rendered for Environment {
    const PATH: &'static str = "environments";
    const ITEM: &'static str = "Environment";

    fn render(&self, base: &str) -> Value {
        let at = format!("{base}/environments/{}", self.id);
        let machines = "{?skip,take,partialName,roles,isDisabled,healthStatuses,commStyles,tenantIds,tenantTags,shellNames}";
        let links = vec![
            ("Self", at.clone()),
            ("Machines", format!("{at}/machines{machines}")),
            (
                "SinglyScopedVariableDetails",
                format!("{at}/singlyScopedVariableDetails"),
            ),
            ("Metadata", format!("{at}/metadata")),
        ];
        resource(self, links)
    }
}

/// The newer form, which agents ask for first; every item says its type.
async fn list_v2(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let others = parameters.list("type");
    let wanted = others.is_empty() || others.iter().any(|kind| kind.eq_ignore_ascii_case("Static"));
    let all: List<Environment> = named::list(
        &call.context,
        &call.actor,
        &call.space,
        &parameters.filter(),
        Slice::ALL,
    )
    .await?;
    let items = all.items.into_iter().filter(|_| wanted).map(|environment| {
        let mut value = environment.render(&call.base());
        value["Type"] = json!("Static");
        value["ParentEnvironmentId"] = Value::Null;
        value
    });
    let path = format!("{}/environments/v2", call.base());
    Ok(ok(page(
        "Environment",
        &path,
        &parameters.others(),
        slice,
        &List::cut(items.collect(), slice),
    )))
}

async fn sort(call: Call, Body(ids): Body<Vec<String>>) -> Answer {
    environment::sort(&call.context, &call.actor, &call.space, &ids).await?;
    Ok(ok(json!({})))
}
