//! Packages of the built-in feed (`rest-api.md` 3.4, 4.9, 5.19). Files go through in pieces, in both directions.

use application::package::{self, OverwriteMode, PackageFilter, Pushed};
use application::{Error, List};
use axum::Router;
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, Multipart, Path};
use axum::routing::{delete, get, post, put};
use domain::Package;
use serde_json::Value;

use crate::Shared;
use crate::call::{Answer, Call};
use crate::error::Failure;
use crate::parameter::Parameters;
use crate::resource::{attachment, created, deleted, ok, page, resource};

/// The length of an upload is bounded by the volume of packages, not here.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/packages", get(list).post(push))
        .route("/api/packages/raw", post(push))
        .route("/nuget/packages", put(push_nuget))
        .layer(DefaultBodyLimit::disable())
        .route("/api/packages/bulk", delete(remove_bulk))
        .route("/api/packages/{id}", get(one).delete(remove))
        .route("/api/packages/{id}/raw", get(download))
}

async fn push(call: Call, parameters: Parameters, multipart: Multipart) -> Answer {
    let pushed = receive(&call, overwrite_mode(&parameters)?, multipart).await?;
    let base = call.base();
    Ok(match pushed {
        Pushed::Stored(package) => created(render(&package, &base, false)),
        Pushed::Kept(package) => ok(render(&package, &base, false)),
    })
}

/// What a NuGet client does: PUT, with a part whose file name says nothing.
async fn push_nuget(call: Call, parameters: Parameters, multipart: Multipart) -> Answer {
    let pushed = receive(&call, overwrite_mode(&parameters)?, multipart).await?;
    let (Pushed::Stored(package) | Pushed::Kept(package)) = pushed;
    Ok(created(render(&package, &call.base(), false)))
}

fn overwrite_mode(parameters: &Parameters) -> Result<OverwriteMode, Failure> {
    match parameters
        .text("overwritemode")
        .map(|mode| mode.to_lowercase())
        .as_deref()
    {
        Some("failifexists") => Ok(OverwriteMode::FailIfExists),
        Some("overwriteexisting") => Ok(OverwriteMode::OverwriteExisting),
        Some("ignoreifexists") => Ok(OverwriteMode::IgnoreIfExists),
        Some(other) => Err(Failure(Error::invalid(format!(
            "The parameter 'overwriteMode' must be FailIfExists, OverwriteExisting or IgnoreIfExists, not '{other}'."
        )))),
        None if parameters.boolean("replace")? == Some(true) => Ok(OverwriteMode::OverwriteExisting),
        None => Ok(OverwriteMode::FailIfExists),
    }
}

/// Takes the first part that has a file name, whatever the part is called.
async fn receive(call: &Call, mode: OverwriteMode, mut multipart: Multipart) -> Result<Pushed, Failure> {
    while let Some(mut part) = multipart.next_field().await.map_err(broken)? {
        let Some(file_name) = part.file_name().map(str::to_string) else {
            continue;
        };
        let file_name = if file_name.contains('.') {
            file_name
        } else {
            format!("{file_name}.nupkg")
        };
        let mut upload = package::begin(&call.context, &call.actor, &file_name, mode).await?;
        while let Some(piece) = part.chunk().await.map_err(broken)? {
            upload.write(&piece).await?;
        }
        return Ok(package::push(&call.context, &call.actor, &call.space, upload).await?);
    }
    Err(Failure(Error::invalid(
        "The request has no file in it. Send the package as one part of a multipart/form-data body, with its file name.",
    )))
}

fn broken(error: MultipartError) -> Failure {
    Failure(Error::invalid(format!(
        "The upload broke off or is not a multipart/form-data body; nothing was stored: {}. Send it again.",
        error.body_text()
    )))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let filter = PackageFilter {
        package_id: parameters
            .text("nugetpackageid")
            .or_else(|| parameters.text("packageid")),
        part: parameters.text("filter"),
        latest: parameters.boolean("latest")?.unwrap_or(false),
    };
    let notes = parameters.boolean("includenotes")?.unwrap_or(false);
    let list = package::list(&call.context, &call.actor, &call.space, &filter, slice).await?;
    let base = call.base();
    let items = list
        .items
        .iter()
        .map(|package| render(package, &base, notes))
        .collect();
    let rendered = List {
        items,
        total: list.total,
    };
    Ok(ok(page(
        "Package",
        &format!("{base}/packages"),
        &parameters.others(),
        slice,
        &rendered,
    )))
}

async fn one(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let notes = parameters.boolean("includenotes")?.unwrap_or(false);
    let package = package::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&package, &call.base(), notes)))
}

async fn download(call: Call, Path(id): Path<String>) -> Answer {
    let download = package::download(&call.context, &call.actor, &call.space, &id).await?;
    let length = u64::try_from(download.package.package_size_bytes).unwrap_or_default();
    Ok(attachment(download.file, length, &download.file_name))
}

async fn remove(call: Call, Path(id): Path<String>) -> Answer {
    package::delete(&call.context, &call.actor, &call.space, &id).await?;
    Ok(deleted())
}

async fn remove_bulk(call: Call, parameters: Parameters) -> Answer {
    package::delete_all(&call.context, &call.actor, &call.space, &parameters.list("ids")).await?;
    Ok(deleted())
}

/// Notes are sent only when asked for: one client reads them as a time (trap 12).
pub(crate) fn render(package: &Package, base: &str, with_notes: bool) -> Value {
    let at = format!("{base}/packages/{}", package.id);
    let mut value = resource(package, vec![("Self", at.clone()), ("Raw", format!("{at}/raw"))]);
    if !with_notes && let Some(members) = value.as_object_mut() {
        members.remove("ReleaseNotes");
    }
    value
}
