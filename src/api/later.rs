//! Collections whose things cannot be made yet: they are there and they are empty, because agents and SDKs
//! ask for them on the way to what they want (`observed.md` 10.7). Making one is refused by 405.

use application::{Error, List};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::permission::Permission;
use serde_json::json;

use crate::Shared;
use crate::call::{Answer, Call};
use crate::parameter::Parameters;
use crate::resource::{ok, page};

/// Path, item type, and who may look.
const EMPTY: &[(&str, &str, Permission)] = &[
    ("proxies", "Proxy", Permission::ProxyView),
    ("tagsets", "TagSet", Permission::TenantView),
    ("tenants", "Tenant", Permission::TenantView),
    ("workerpools", "WorkerPool", Permission::WorkerView),
    ("workers", "Worker", Permission::WorkerView),
];

pub(crate) fn routes() -> Router<Shared> {
    EMPTY
        .iter()
        .fold(Router::new(), |router, &(path, item, permission)| {
            let at = format!("/api/{path}");
            router
                .route(
                    &at,
                    get(move |call: Call, parameters: Parameters| {
                        list(call, parameters, path, item, permission)
                    }),
                )
                .route(&format!("{at}/all"), get(move |call: Call| all(call, permission)))
                .route(
                    &format!("{at}/{{id}}"),
                    get(move |call: Call, id: Path<String>| one(call, id, item, permission)),
                )
        })
}

async fn list(
    call: Call,
    parameters: Parameters,
    path: &'static str,
    item: &'static str,
    permission: Permission,
) -> Answer {
    call.actor.require(permission)?;
    let slice = parameters.slice()?;
    let path = format!("{}/{path}", call.base());
    Ok(ok(page(
        item,
        &path,
        &parameters.others(),
        slice,
        &List {
            items: vec![],
            total: 0,
        },
    )))
}

async fn all(call: Call, permission: Permission) -> Answer {
    call.actor.require(permission)?;
    Ok(ok(json!([])))
}

async fn one(call: Call, Path(id): Path<String>, item: &'static str, permission: Permission) -> Answer {
    call.actor.require(permission)?;
    Err(Error::not_found(&item.to_lowercase(), &id).into())
}
