//! The routes that every named resource has: list, all, get, create, update, delete.

use application::named::{self, Resource};
use application::{List, Slice};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page};

/// How one kind of resource stands in the API.
pub(crate) trait Rendered: Resource + DeserializeOwned {
    /// The collection's word in paths: `environments`.
    const PATH: &'static str;
    /// The name of one item in envelopes: `Environment`.
    const ITEM: &'static str;

    /// The document with its links. `base` is `/api/Spaces-1`.
    fn render(&self, base: &str) -> Value;
}

/// The six routes of a resource.
pub(crate) fn routes<T: Rendered>() -> Router<Shared> {
    let at = format!("/api/{}", T::PATH);
    Router::new()
        .route(&at, get(list::<T>).post(create::<T>))
        .route(&format!("{at}/all"), get(all::<T>))
        .route(
            &format!("{at}/{{id}}"),
            get(one::<T>).put(update::<T>).delete(remove::<T>),
        )
}

async fn list<T: Rendered>(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let list = named::list::<T>(
        &call.context,
        &call.actor,
        &call.space,
        &parameters.filter(),
        slice,
    )
    .await?;
    let path = format!("{}/{}", call.base(), T::PATH);
    let rendered = List {
        items: render_all(&list.items, &call),
        total: list.total,
    };
    Ok(ok(page(T::ITEM, &path, &parameters.others(), slice, &rendered)))
}

async fn all<T: Rendered>(call: Call, parameters: Parameters) -> Answer {
    let list = named::list::<T>(
        &call.context,
        &call.actor,
        &call.space,
        &parameters.filter(),
        Slice::ALL,
    )
    .await?;
    Ok(ok(Value::Array(render_all(&list.items, &call))))
}

async fn one<T: Rendered>(call: Call, Path(id): Path<String>) -> Answer {
    Ok(ok(named::get::<T>(&call.context, &call.actor, &call.space, &id)
        .await?
        .render(&call.base())))
}

async fn create<T: Rendered>(call: Call, Body(document): Body<T>) -> Answer {
    let document = named::create(&call.context, &call.actor, &call.space, document).await?;
    Ok(created(document.render(&call.base())))
}

async fn update<T: Rendered>(call: Call, Path(id): Path<String>, Body(document): Body<T>) -> Answer {
    let document = named::update(&call.context, &call.actor, &call.space, &id, document).await?;
    Ok(ok(document.render(&call.base())))
}

async fn remove<T: Rendered>(call: Call, Path(id): Path<String>) -> Answer {
    named::delete::<T>(&call.context, &call.actor, &call.space, &id).await?;
    Ok(deleted())
}

fn render_all<T: Rendered>(documents: &[T], call: &Call) -> Vec<Value> {
    let base = call.base();
    documents.iter().map(|document| document.render(&base)).collect()
}
