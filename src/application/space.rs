//! Spaces: who may enter which. This version has the default space only.

use domain::event::Message;
use domain::permission::Permission;
use domain::{
    BUILT_IN_FEED, Feed, FeedId, Lifecycle, LifecycleId, MachinePolicy, MachinePolicyId, ProjectGroup,
    ProjectGroupId, Space, SpaceId,
};
use storage::{counter, named};

use crate::event::record;
use crate::{Actor, Context, Error, Filter, List, Result, Slice};

/// The id of the space that a path without one means.
pub const DEFAULT: &str = "Spaces-1";

/// The space that a request is about: the one its path names, else the default one.
///
/// # Errors
/// [`Error::NotFound`] for a space that does not exist.
pub async fn enter(context: &Context, _actor: &Actor, named: Option<&str>) -> Result<SpaceId> {
    match named {
        None => Ok(SpaceId::from_text(DEFAULT)),
        Some(id) => {
            let mut session = context.database.read().await?;
            let spaces = storage::space::all(&mut session).await?;
            let space = spaces
                .into_iter()
                .find(|space| space.id.as_str().eq_ignore_ascii_case(id));
            space
                .map(|space| space.id)
                .ok_or_else(|| Error::not_found("space", id))
        }
    }
}

/// Makes the default space with what every space has from the start (`rest-api.md` 1.14). Nothing happens
/// when it is there already.
///
/// # Errors
/// When the database fails.
pub async fn create_default(context: &Context) -> Result<()> {
    let mut session = context.database.read().await?;
    if !storage::space::all(&mut session).await?.is_empty() {
        return Ok(());
    }
    drop(session);
    let id = SpaceId::numbered(counter::next(&context.database, SpaceId::KIND).await?);
    let lifecycle = Lifecycle {
        id: LifecycleId::numbered(counter::next(&context.database, LifecycleId::KIND).await?),
        space_id: id.clone(),
        name: "Default Lifecycle".into(),
        slug: "default-lifecycle".into(),
        description: "Each environment after the other, in their order.".into(),
        ..Lifecycle::default()
    };
    let group = ProjectGroup {
        id: ProjectGroupId::numbered(counter::next(&context.database, ProjectGroupId::KIND).await?),
        space_id: id.clone(),
        name: "Default Project Group".into(),
        slug: "default-project-group".into(),
        ..ProjectGroup::default()
    };
    let policy = MachinePolicy {
        id: MachinePolicyId::numbered(counter::next(&context.database, MachinePolicyId::KIND).await?),
        space_id: id.clone(),
        name: "Default Machine Policy".into(),
        slug: "default-machine-policy".into(),
        is_default: true,
        ..MachinePolicy::default()
    };
    let feed = Feed::built_in(FeedId::from_text(BUILT_IN_FEED), id.clone());
    let space = Space {
        id: id.clone(),
        name: "Default".into(),
        slug: "default".into(),
        is_default: true,
        space_managers_teams: vec![format!("teams-spacemanagers-{id}")],
        ..Space::default()
    };
    let mut session = context.database.write().await?;
    storage::space::insert(&mut session, &space).await?;
    named::insert(&mut session, &id, &lifecycle).await?;
    named::insert(&mut session, &id, &group).await?;
    named::insert(&mut session, &id, &policy).await?;
    named::insert(&mut session, &id, &feed).await?;
    let message = Message::new("The space ")
        .name(&space.id, &space.name)
        .text(" was created.");
    record(
        context,
        &Actor::System,
        &mut session,
        Some(&id),
        "Created",
        message,
        &[],
    )
    .await?;
    session.commit().await?;
    Ok(())
}

/// The spaces that pass the filter.
///
/// # Errors
/// Without SpaceView, or when the database fails.
pub async fn list(context: &Context, actor: &Actor, filter: &Filter, slice: Slice) -> Result<List<Space>> {
    actor.require(Permission::SpaceView)?;
    let mut session = context.database.read().await?;
    let mut spaces = storage::space::all(&mut session).await?;
    spaces.retain(|space| filter.admits(space.id.as_str(), &space.name));
    Ok(List::cut(spaces, slice))
}

/// One space by id or slug.
///
/// # Errors
/// [`Error::NotFound`], or without SpaceView.
pub async fn get(context: &Context, actor: &Actor, id: &str) -> Result<Space> {
    let spaces = list(context, actor, &Filter::default(), Slice::ALL).await?;
    let found = spaces
        .items
        .into_iter()
        .find(|space| space.id.as_str().eq_ignore_ascii_case(id) || space.slug.eq_ignore_ascii_case(id));
    found.ok_or_else(|| Error::not_found("space", id))
}
