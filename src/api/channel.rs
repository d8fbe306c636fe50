//! Channels, by themselves and below their project (`rest-api.md` 4.3, 5.5).

use application::{List, Slice, channel};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::{Channel, ProjectId};
use serde_json::Value;

use crate::Shared;
use crate::call::{Answer, Call};
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/channels", get(list).post(create))
        .route("/api/channels/all", get(all))
        .route("/api/channels/{id}", get(one).put(update).delete(remove))
        .route(
            "/api/projects/{project}/channels",
            get(list_of_project).post(create_in_project),
        )
        .route(
            "/api/projects/{project}/channels/{id}",
            get(one_of_project)
                .put(update_of_project)
                .delete(remove_of_project),
        )
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    answer_list(&call, None, &parameters).await
}

async fn list_of_project(call: Call, Path(project): Path<String>, parameters: Parameters) -> Answer {
    answer_list(&call, Some(&project), &parameters).await
}

async fn answer_list(call: &Call, project: Option<&str>, parameters: &Parameters) -> Answer {
    let slice = parameters.slice()?;
    let list = channel::list(
        &call.context,
        &call.actor,
        &call.space,
        project,
        &parameters.filter(),
        slice,
    )
    .await?;
    let base = call.base();
    let rendered = List {
        items: list.items.iter().map(|channel| render(channel, &base)).collect(),
        total: list.total,
    };
    let path = match project {
        Some(project) => format!("{base}/projects/{project}/channels"),
        None => format!("{base}/channels"),
    };
    Ok(ok(page("Channel", &path, &parameters.others(), slice, &rendered)))
}

async fn all(call: Call, parameters: Parameters) -> Answer {
    let list = channel::list(
        &call.context,
        &call.actor,
        &call.space,
        None,
        &parameters.filter(),
        Slice::ALL,
    )
    .await?;
    let base = call.base();
    Ok(ok(list
        .items
        .iter()
        .map(|channel| render(channel, &base))
        .collect()))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let channel = channel::get(&call.context, &call.actor, &call.space, None, &id).await?;
    Ok(ok(render(&channel, &call.base())))
}

async fn one_of_project(call: Call, Path((project, id)): Path<(String, String)>) -> Answer {
    let channel = channel::get(&call.context, &call.actor, &call.space, Some(&project), &id).await?;
    Ok(ok(render(&channel, &call.base())))
}

async fn create(call: Call, Body(channel): Body<Channel>) -> Answer {
    let channel = channel::create(&call.context, &call.actor, &call.space, channel).await?;
    Ok(created(render(&channel, &call.base())))
}

async fn create_in_project(
    call: Call,
    Path(project): Path<String>,
    Body(mut channel): Body<Channel>,
) -> Answer {
    channel.project_id = ProjectId::from_text(project);
    let channel = channel::create(&call.context, &call.actor, &call.space, channel).await?;
    Ok(created(render(&channel, &call.base())))
}

async fn update(call: Call, Path(id): Path<String>, Body(channel): Body<Channel>) -> Answer {
    let channel = channel::update(&call.context, &call.actor, &call.space, None, &id, channel).await?;
    Ok(ok(render(&channel, &call.base())))
}

async fn update_of_project(
    call: Call,
    Path((project, id)): Path<(String, String)>,
    Body(channel): Body<Channel>,
) -> Answer {
    let channel = channel::update(
        &call.context,
        &call.actor,
        &call.space,
        Some(&project),
        &id,
        channel,
    )
    .await?;
    Ok(ok(render(&channel, &call.base())))
}

async fn remove(call: Call, Path(id): Path<String>) -> Answer {
    channel::delete(&call.context, &call.actor, &call.space, None, &id).await?;
    Ok(deleted())
}

async fn remove_of_project(call: Call, Path((project, id)): Path<(String, String)>) -> Answer {
    channel::delete(&call.context, &call.actor, &call.space, Some(&project), &id).await?;
    Ok(deleted())
}

pub(crate) fn render(channel: &Channel, base: &str) -> Value {
    let at = format!("{base}/channels/{}", channel.id);
    let links = vec![
        ("Self", at.clone()),
        ("Releases", format!("{at}/releases{{?skip,take,searchByVersion}}")),
        ("Project", format!("{base}/projects/{}", channel.project_id)),
    ];
    resource(channel, links)
}
