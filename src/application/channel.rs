//! Channels of projects (`deployments.md` 5.1, 5.3).

use std::collections::BTreeSet;

use domain::event::Message;
use domain::permission::Permission;
use domain::project::Project;
use domain::{Channel, ChannelId, Lifecycle, LifecycleId, SpaceId};
use storage::{Session, named};

use crate::event::record;
use crate::named::{load, refuse};
use crate::{Actor, Context, Error, Filter, List, Result, Slice};

/// The channels of the space, or of one project, that pass the filter.
///
/// # Errors
/// Without ProcessView, or [`Error::NotFound`] for the project.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: Option<&str>,
    filter: &Filter,
    slice: Slice,
) -> Result<List<Channel>> {
    actor.require(Permission::ProcessView)?;
    let mut session = context.database.read().await?;
    let mut channels = match project {
        Some(id) => {
            let project: Project = load(&mut session, space, id).await?;
            storage::channel::of_project(&mut session, space, &project.id).await?
        }
        None => storage::channel::all(&mut session, space).await?,
    };
    channels.retain(|channel| filter.admits(channel.id.as_str(), &channel.name));
    Ok(List::cut(channels, slice))
}

/// One channel; with `project`, only one of that project.
///
/// # Errors
/// [`Error::NotFound`], or without ProcessView.
pub async fn get(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: Option<&str>,
    id: &str,
) -> Result<Channel> {
    actor.require(Permission::ProcessView)?;
    let mut session = context.database.read().await?;
    find(&mut session, space, project, id).await
}

/// Adds a channel to its project.
///
/// # Errors
/// [`Error::Invalid`] with every broken rule, or without ProcessEdit.
pub async fn create(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    mut channel: Channel,
) -> Result<Channel> {
    actor.require(Permission::ProcessEdit)?;
    channel.id = ChannelId::numbered(storage::counter::next(&context.database, ChannelId::KIND).await?);
    let mut session = context.database.write().await?;
    let project: Option<Project> = named::find(&mut session, space, channel.project_id.as_str()).await?;
    let project = project.ok_or_else(|| {
        Error::invalid(format!(
            "The channel '{}' names the project '{}', which does not exist in this space. Give the id of one in ProjectId.",
            channel.name, channel.project_id
        ))
    })?;
    channel.project_id = project.id.clone();
    let others = storage::channel::of_project(&mut session, space, &project.id).await?;
    check(&mut session, space, &mut channel, &others).await?;
    change_default(&mut session, &channel, &others).await?;
    storage::channel::insert(&mut session, &channel)
        .await
        .map_err(|error| taken(error, &channel, &project))?;
    tell(
        context,
        actor,
        &mut session,
        space,
        &channel,
        ("Created", "created"),
    )
    .await?;
    session.commit().await?;
    Ok(channel)
}

/// Replaces a channel.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] with every broken rule, or without ProcessEdit.
pub async fn update(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: Option<&str>,
    id: &str,
    mut channel: Channel,
) -> Result<Channel> {
    actor.require(Permission::ProcessEdit)?;
    let mut session = context.database.write().await?;
    let before = find(&mut session, space, project, id).await?;
    channel.id = before.id.clone();
    channel.project_id = before.project_id.clone();
    if channel.slug.is_empty() {
        channel.slug.clone_from(&before.slug);
    }
    if before.is_default && !channel.is_default {
        return Err(Error::invalid(format!(
            "The channel '{}' is the default one of its project. Make another channel the default instead.",
            before.name
        )));
    }
    let project: Project = load(&mut session, space, before.project_id.as_str()).await?;
    let mut others = storage::channel::of_project(&mut session, space, &before.project_id).await?;
    others.retain(|other| other.id != before.id);
    check(&mut session, space, &mut channel, &others).await?;
    change_default(&mut session, &channel, &others).await?;
    storage::channel::update(&mut session, &channel)
        .await
        .map_err(|error| taken(error, &channel, &project))?;
    tell(
        context,
        actor,
        &mut session,
        space,
        &channel,
        ("Modified", "changed"),
    )
    .await?;
    session.commit().await?;
    Ok(channel)
}

/// Removes a channel that is not the default one and has no releases.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`], or without ProcessEdit.
pub async fn delete(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: Option<&str>,
    id: &str,
) -> Result<()> {
    actor.require(Permission::ProcessEdit)?;
    let mut session = context.database.write().await?;
    let channel = find(&mut session, space, project, id).await?;
    if channel.is_default {
        return Err(Error::invalid(format!(
            "The channel '{}' is the default one of its project and cannot be deleted. Make another channel the \
             default first.",
            channel.name
        )));
    }
    let filter = storage::release::ReleaseFilter {
        channel_id: channel.id.to_string(),
        ..storage::release::ReleaseFilter::default()
    };
    let (_, releases) = storage::release::page(&mut session, space, &filter, 0, 1).await?;
    if releases > 0 {
        return Err(Error::invalid(format!(
            "The channel '{}' has {releases} release(s) and cannot be deleted. Delete them first.",
            channel.name
        )));
    }
    storage::channel::delete(&mut session, space, channel.id.as_str()).await?;
    tell(
        context,
        actor,
        &mut session,
        space,
        &channel,
        ("Deleted", "deleted"),
    )
    .await?;
    session.commit().await?;
    Ok(())
}

async fn find(session: &mut Session, space: &SpaceId, project: Option<&str>, id: &str) -> Result<Channel> {
    let found = match project {
        Some(project) => {
            let project: Project = load(session, space, project).await?;
            let mut channels = storage::channel::of_project(session, space, &project.id)
                .await?
                .into_iter();
            channels.find(|channel| {
                channel.id.as_str().eq_ignore_ascii_case(id) || channel.slug.eq_ignore_ascii_case(id)
            })
        }
        None => storage::channel::find(session, space, id).await?,
    };
    found.ok_or_else(|| Error::not_found("channel", id))
}

async fn check(
    session: &mut Session,
    space: &SpaceId,
    channel: &mut Channel,
    others: &[Channel],
) -> Result<()> {
    channel.space_id = space.clone();
    channel.slug = if channel.slug.trim().is_empty() {
        domain::free_slug(&channel.name, |slug| {
            others.iter().any(|other| other.slug == slug)
        })
    } else {
        domain::slug(&channel.slug)
    };
    for rule in &mut channel.rules {
        if rule.id.trim().is_empty() {
            rule.id = crate::new_guid();
        }
    }
    let lifecycles: Vec<Lifecycle> = named::all(session, space).await?;
    let known: BTreeSet<LifecycleId> = lifecycles.into_iter().map(|lifecycle| lifecycle.id).collect();
    refuse(channel.problems(&known))
}

/// A channel that becomes the default takes that place from the former one.
async fn change_default(session: &mut Session, channel: &Channel, others: &[Channel]) -> Result<()> {
    if channel.is_default {
        for former in others.iter().filter(|other| other.is_default) {
            storage::channel::update(
                session,
                &Channel {
                    is_default: false,
                    ..former.clone()
                },
            )
            .await?;
        }
    }
    Ok(())
}

async fn tell(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    space: &SpaceId,
    channel: &Channel,
    (category, what): (&str, &str),
) -> Result<()> {
    let message = Message::new("The channel ")
        .name(&channel.id, &channel.name)
        .text(&format!(" was {what}."));
    record(
        context,
        actor,
        session,
        Some(space),
        category,
        message,
        &[channel.project_id.as_str()],
    )
    .await
}

fn taken(error: storage::Error, channel: &Channel, project: &Project) -> Error {
    match error {
        storage::Error::Duplicate { .. } => Error::invalid(format!(
            "The project '{}' already has a channel named '{}'. Please enter another name.",
            project.name, channel.name
        )),
        other => other.into(),
    }
}
