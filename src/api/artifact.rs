//! Artifacts (`rest-api.md` 3.4, 4.8, 5.22): metadata as JSON, content as a raw stream in both directions.

use application::artifact::{self, ArtifactFilter};
use application::{Error, List};
use axum::Router;
use axum::body::Body as Stream;
use axum::extract::{DefaultBodyLimit, Path};
use axum::routing::get;
use domain::artifact::Artifact;
use futures::StreamExt as _;
use serde_json::Value;

use crate::Shared;
use crate::call::{Answer, Call};
use crate::error::Failure;
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{attachment, created, deleted, ok, page, resource};

/// The length of an upload is bounded by the volume of artifacts, not here.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route(
            "/api/artifacts/{id}/content",
            get(download).put(upload).post(upload),
        )
        .layer(DefaultBodyLimit::disable())
        .route("/api/artifacts", get(list).post(create))
        .route("/api/artifacts/{id}", get(one).put(rename).delete(remove))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let filter = ArtifactFilter {
        regarding: parameters.text("regarding").unwrap_or_default(),
        name_part: parameters.text("partialname").unwrap_or_default(),
        ids: parameters.list("ids"),
    };
    let found = artifact::list(&call.context, &call.actor, &call.space, &filter, slice).await?;
    let base = call.base();
    let list = List {
        items: found
            .items
            .iter()
            .map(|artifact| render(artifact, &base))
            .collect(),
        total: found.total,
    };
    let path = format!("{base}/artifacts");
    Ok(ok(page("Artifact", &path, &parameters.others(), slice, &list)))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let artifact = artifact::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&artifact, &call.base())))
}

async fn create(call: Call, Body(wanted): Body<Artifact>) -> Answer {
    let artifact = artifact::create(&call.context, &call.actor, &call.space, wanted).await?;
    Ok(created(render(&artifact, &call.base())))
}

async fn rename(call: Call, Path(id): Path<String>, Body(wanted): Body<Artifact>) -> Answer {
    let artifact = artifact::rename(&call.context, &call.actor, &call.space, &id, &wanted.filename).await?;
    Ok(ok(render(&artifact, &call.base())))
}

async fn remove(call: Call, Path(id): Path<String>) -> Answer {
    artifact::delete(&call.context, &call.actor, &call.space, &id).await?;
    Ok(deleted())
}

async fn download(call: Call, Path(id): Path<String>) -> Answer {
    let download = artifact::download(&call.context, &call.actor, &call.space, &id).await?;
    Ok(attachment(
        download.file,
        download.length,
        &download.artifact.filename,
    ))
}

async fn upload(call: Call, Path(id): Path<String>, body: Stream) -> Answer {
    let mut upload = artifact::begin(&call.context, &call.actor, &call.space, &id).await?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            Failure(Error::invalid(format!(
                "The upload broke off; the artifact is as it was: {error}. Send it again."
            )))
        })?;
        upload.write(&piece).await?;
    }
    let artifact = artifact::replace(&call.context, &call.actor, upload).await?;
    Ok(ok(render(&artifact, &call.base())))
}

fn render(artifact: &Artifact, base: &str) -> Value {
    let at = format!("{base}/artifacts/{}", artifact.id);
    resource(
        artifact,
        vec![("Self", at.clone()), ("Content", format!("{at}/content"))],
    )
}
