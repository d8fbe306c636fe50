//! Feeds and what is in them (`rest-api.md` 4.9, 5.18, 5.19).

use application::package::{self, PackageFilter, VersionFilter};
use application::{List, Slice, named};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use domain::{Feed, Package};
use serde_json::{Value, json};

use crate::Shared;
use crate::call::{Answer, Call};
use crate::error::Failure;
use crate::json::Body;
use crate::parameter::Parameters;
use crate::resource::{created, deleted, ok, page, resource};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/feeds", get(list).post(create))
        .route("/api/feeds/all", get(all))
        .route("/api/feeds/stats", get(stats))
        .route("/api/feeds/{id}", get(one).put(update).delete(remove))
        .route("/api/feeds/{id}/packages", get(search_template))
        .route("/api/feeds/{id}/packages/versions", get(versions))
        .route("/api/feeds/{id}/packages/search", get(search))
}

/// `feedType` may stand several times.
async fn found(call: &Call, parameters: &Parameters, slice: Slice) -> Result<List<Feed>, Failure> {
    let types = parameters.list("feedtype");
    let mut list = named::list::<Feed>(
        &call.context,
        &call.actor,
        &call.space,
        &parameters.filter(),
        Slice::ALL,
    )
    .await?;
    list.items.retain(|feed| {
        types.is_empty()
            || types
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(feed.feed_type.name()))
    });
    Ok(List::cut(list.items, slice))
}

async fn list(call: Call, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let list = found(&call, &parameters, slice).await?;
    let base = call.base();
    let rendered = List {
        items: list.items.iter().map(|feed| render(feed, &base)).collect(),
        total: list.total,
    };
    Ok(ok(page(
        "Feed",
        &format!("{base}/feeds"),
        &parameters.others(),
        slice,
        &rendered,
    )))
}

async fn all(call: Call, parameters: Parameters) -> Answer {
    let list = found(&call, &parameters, Slice::ALL).await?;
    let base = call.base();
    Ok(ok(list.items.iter().map(|feed| render(feed, &base)).collect()))
}

async fn stats(call: Call) -> Answer {
    let filter = PackageFilter::default();
    let packages = package::list(&call.context, &call.actor, &call.space, &filter, Slice::ALL).await?;
    Ok(ok(json!({
        "TotalPackages": packages.total,
        "TotalBytes": packages.items.iter().map(|package| package.package_size_bytes).sum::<i64>(),
    })))
}

async fn one(call: Call, Path(id): Path<String>) -> Answer {
    let feed: Feed = named::get(&call.context, &call.actor, &call.space, &id).await?;
    Ok(ok(render(&feed, &call.base())))
}

async fn create(call: Call, Body(feed): Body<Feed>) -> Answer {
    let feed = named::create(&call.context, &call.actor, &call.space, feed).await?;
    Ok(created(render(&feed, &call.base())))
}

async fn update(call: Call, Path(id): Path<String>, Body(feed): Body<Feed>) -> Answer {
    let feed = named::update(&call.context, &call.actor, &call.space, &id, feed).await?;
    Ok(ok(render(&feed, &call.base())))
}

async fn remove(call: Call, Path(id): Path<String>) -> Answer {
    named::delete::<Feed>(&call.context, &call.actor, &call.space, &id).await?;
    Ok(deleted())
}

fn version_filter(parameters: &Parameters) -> Result<VersionFilter, Failure> {
    Ok(VersionFilter {
        package_id: parameters.text("packageid").unwrap_or_default(),
        include_pre_release: parameters.boolean("includeprerelease")?.unwrap_or(true),
        version_range: parameters.text("versionrange").unwrap_or_default(),
        part: parameters.text("filter").unwrap_or_default(),
        pre_release: String::new(),
    })
}

async fn versions(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let filter = version_filter(&parameters)?;
    let list = package::versions(&call.context, &call.actor, &call.space, &id, &filter, slice).await?;
    let rendered = List {
        items: list.items.iter().map(render_version).collect(),
        total: list.total,
    };
    let path = format!("{}/feeds/{id}/packages/versions", call.base());
    Ok(ok(page(
        "PackageVersion",
        &path,
        &parameters.others(),
        slice,
        &rendered,
    )))
}

async fn search(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let slice = parameters.slice()?;
    let feed: Feed = named::get(&call.context, &call.actor, &call.space, &id).await?;
    let filter = PackageFilter {
        part: parameters.text("term"),
        latest: true,
        ..PackageFilter::default()
    };
    let list = package::list(&call.context, &call.actor, &call.space, &filter, slice).await?;
    let at = format!("{}/feeds/{}/packages", call.base(), feed.id);
    let describe = |package: &Package| {
        json!({
            "Id": package.package_id,
            "Name": package.package_id,
            "Description": package.description,
            "LatestVersion": package.version,
            "Links": { "SearchPackageVersionsTemplate": versions_template(&at, &package.package_id) },
        })
    };
    let rendered = List {
        items: list.items.iter().map(describe).collect(),
        total: list.total,
    };
    Ok(ok(page(
        "PackageDescription",
        &format!("{at}/search"),
        &parameters.others(),
        slice,
        &rendered,
    )))
}

/// A bare list of packages, each once unless several versions are asked for.
async fn search_template(call: Call, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let feed: Feed = named::get(&call.context, &call.actor, &call.space, &id).await?;
    let partial = parameters.boolean("partialmatch")?.unwrap_or(false);
    let several = parameters.boolean("includemultipleversions")?.unwrap_or(false);
    let wanted = parameters.text("packageid");
    let slice = Slice {
        take: parameters.number("take")?.unwrap_or(usize::MAX),
        ..parameters.slice()?
    };
    let packages = match wanted {
        Some(package_id) if !partial => {
            let filter = VersionFilter {
                package_id,
                ..version_filter(&parameters)?
            };
            package::versions(&call.context, &call.actor, &call.space, &id, &filter, Slice::ALL)
                .await?
                .items
        }
        part => {
            let filter = PackageFilter {
                part,
                latest: !several,
                ..PackageFilter::default()
            };
            package::list(&call.context, &call.actor, &call.space, &filter, Slice::ALL)
                .await?
                .items
        }
    };
    let mut packages = packages;
    if !several {
        packages.dedup_by(|later, kept| later.package_id.eq_ignore_ascii_case(&kept.package_id));
    }
    let base = call.base();
    let notes = parameters.boolean("includenotes")?.unwrap_or(false);
    let rendered: Vec<Value> = packages
        .iter()
        .map(|package| crate::package::render(package, &base, notes))
        .collect();
    let rendered = List::cut(rendered, slice).items;
    drop(feed);
    Ok(ok(Value::Array(rendered)))
}

fn render_version(package: &Package) -> Value {
    json!({
        "Id": package.id,
        "PackageId": package.package_id,
        "Version": package.version,
        "FeedId": package.feed_id,
        "Title": package.title,
        "Published": package.published,
        "SizeBytes": package.package_size_bytes,
        "Links": {},
    })
}

fn versions_template(at: &str, package_id: &str) -> String {
    format!(
        "{at}/versions?packageId={package_id}{{&take,skip,includePreRelease,versionRange,preReleaseTag,filter,includeReleaseNotes}}"
    )
}

fn render(feed: &Feed, base: &str) -> Value {
    let at = format!("{base}/feeds/{}", feed.id);
    let links = vec![
        ("Self", at.clone()),
        (
            "SearchTemplate",
            format!(
                "{at}/packages{{?packageId,partialMatch,includeMultipleVersions,includeNotes,includePreRelease,\
                 versionRange,preReleaseTag,take}}"
            ),
        ),
        (
            "SearchPackagesTemplate",
            format!("{at}/packages/search{{?term,skip,take}}"),
        ),
        (
            "SearchPackageVersionsTemplate",
            format!(
                "{at}/packages/versions{{?packageId,take,skip,includePreRelease,versionRange,preReleaseTag,filter,\
                 includeReleaseNotes}}"
            ),
        ),
        (
            "VersionsTemplate",
            format!("{at}/packages/{{packageId}}/versions{{?skip,take}}"),
        ),
        (
            "NotesTemplate",
            format!("{at}/packages/notes{{?packageId,version}}"),
        ),
    ];
    let mut value = resource(feed, links);
    if feed.feed_type == domain::feed::FeedType::BuiltIn {
        value["IsBuiltInRepoSyncEnabled"] = json!(false);
        value["DeleteUnreleasedPackagesAfterDays"] = Value::Null;
        value["DownloadAttempts"] = json!(5);
        value["DownloadRetryBackoffSeconds"] = json!(10);
    }
    value
}
