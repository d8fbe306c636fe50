//! Deployment processes: one for each project, and the copies that releases took.

use std::collections::BTreeSet;

use domain::deployment_process::ProcessReferences;
use domain::event::Message;
use domain::permission::Permission;
use domain::project::Project;
use domain::{DeploymentProcess, Environment, Feed, FeedId, SpaceId};
use storage::{Session, named};

use crate::event::record;
use crate::named::{load, refuse};
use crate::sealing::{self, Place};
use crate::{Actor, Context, Error, Result, new_guid};

/// The living processes of the space; with ids, only those.
///
/// # Errors
/// Without ProcessView, or when the database fails.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    ids: &[String],
) -> Result<Vec<DeploymentProcess>> {
    actor.require(Permission::ProcessView)?;
    let mut session = context.database.read().await?;
    let mut all = storage::deployment_process::all(&mut session, space).await?;
    all.retain(|process| ids.is_empty() || ids.iter().any(|id| id.eq_ignore_ascii_case(process.id.as_str())));
    Ok(all)
}

/// A process or a snapshot of one, by its id.
///
/// # Errors
/// [`Error::NotFound`], or without ProcessView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<DeploymentProcess> {
    actor.require(Permission::ProcessView)?;
    let mut session = context.database.read().await?;
    find(&mut session, space, id).await
}

/// The living process of a project, which is named by id or slug.
///
/// # Errors
/// [`Error::NotFound`], or without ProcessView.
pub async fn of_project(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: &str,
) -> Result<DeploymentProcess> {
    actor.require(Permission::ProcessView)?;
    let mut session = context.database.read().await?;
    let project: Project = load(&mut session, space, project).await?;
    crate::project::living_process(&mut session, space, &project).await
}

/// Replaces a living process. Its version must be the current one.
///
/// # Errors
/// [`Error::Conflict`] for an old version, [`Error::Invalid`] with every broken rule, [`Error::NotFound`], or
/// without ProcessEdit.
pub async fn update(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    mut process: DeploymentProcess,
) -> Result<DeploymentProcess> {
    actor.require(Permission::ProcessEdit)?;
    let mut session = context.database.write().await?;
    let before = find(&mut session, space, id).await?;
    if before.id.owner().is_none() {
        return Err(Error::invalid(format!(
            "'{}' is the copy that a release took, and never changes. Edit the process of the project instead.",
            before.id
        )));
    }
    let project: Project = load(&mut session, space, before.project_id.as_str()).await?;
    if process.version != before.version {
        return Err(outdated(&project, process.version, before.version));
    }
    process.id = before.id.clone();
    process.space_id = space.clone();
    process.project_id = project.id.clone();
    process.last_snapshot_id.clone_from(&before.last_snapshot_id);
    process.complete(new_guid);
    let known = references(&mut session, space, &project).await?;
    canonical_feeds(&mut process, &known.feeds);
    refuse(process.problems(&known))?;
    sealing::seal(
        &context.keys,
        Place::process(space, before.id.as_str()),
        &mut process,
        Some(&before),
    )?;
    process.version = before.version + 1;
    if !storage::deployment_process::update(&mut session, &process, before.version).await? {
        return Err(outdated(&project, before.version, before.version + 1));
    }
    let message = Message::new("The deployment process of ")
        .name(&project.id, &project.name)
        .text(" was changed.");
    record(
        context,
        actor,
        &mut session,
        Some(space),
        "Modified",
        message,
        &[process.id.as_str()],
    )
    .await?;
    session.commit().await?;
    Ok(process)
}

async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<DeploymentProcess> {
    let found = storage::deployment_process::find(session, space, id).await?;
    found.ok_or_else(|| Error::not_found("deployment process", id))
}

async fn references(session: &mut Session, space: &SpaceId, project: &Project) -> Result<ProcessReferences> {
    let environments: Vec<Environment> = named::all(session, space).await?;
    let channels = storage::channel::of_project(session, space, &project.id).await?;
    let feeds: Vec<Feed> = named::all(session, space).await?;
    Ok(ProcessReferences {
        environments: environments
            .into_iter()
            .map(|environment| environment.id)
            .collect(),
        channels: channels.into_iter().map(|channel| channel.id).collect(),
        feeds: feeds.into_iter().map(|feed| feed.id).collect(),
    })
}

/// A package reference without a feed is of the built-in one; `feeds-builtin` is understood in every space.
fn canonical_feeds(process: &mut DeploymentProcess, known: &BTreeSet<FeedId>) {
    let packages = process
        .steps
        .iter_mut()
        .flat_map(|step| &mut step.actions)
        .flat_map(|action| &mut action.packages);
    for package in packages {
        if package.feed_id.is_empty() {
            package.feed_id = FeedId::from_text(domain::BUILT_IN_FEED);
        }
        let spelled = known
            .iter()
            .find(|id| id.as_str().eq_ignore_ascii_case(package.feed_id.as_str()));
        if let Some(id) = spelled {
            package.feed_id = id.clone();
        }
    }
}

fn outdated(project: &Project, given: i32, current: i32) -> Error {
    Error::Conflict(format!(
        "The deployment process of the project '{}' was changed by somebody else: the request is based on version {given}, \
         the current one is {current}. Load it again and repeat the change.",
        project.name
    ))
}
