//! Variable sets of projects. Sensitive values go in and never come out.

use domain::event::Message;
use domain::permission::Permission;
use domain::project::Project;
use domain::variable_set::ScopeReferences;
use domain::{Channel, DeploymentProcess, Environment, Machine, SpaceId, VariableSet};
use storage::{Session, named};

use crate::event::record;
use crate::named::{load, refuse};
use crate::sealing::{self, Place};
use crate::{Actor, Context, Error, Result, new_guid};

/// A set, with what its scopes can name.
pub struct VariablesInScope {
    /// The set, or a snapshot of one.
    pub set: VariableSet,
    /// Environments of the space.
    pub environments: Vec<Environment>,
    /// Machines of the space.
    pub machines: Vec<Machine>,
    /// Roles that machines hold.
    pub roles: Vec<String>,
    /// Channels of the project.
    pub channels: Vec<Channel>,
    /// The process of the project.
    pub process: DeploymentProcess,
    /// The project.
    pub project: Project,
}

/// The living sets of the space; with ids, only those.
///
/// # Errors
/// Without VariableView, or when the database fails.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    ids: &[String],
) -> Result<Vec<VariablesInScope>> {
    actor.require(Permission::VariableView)?;
    let mut session = context.database.read().await?;
    let mut sets = Vec::new();
    if ids.is_empty() {
        sets = storage::variable_set::all(&mut session, space).await?;
    } else {
        for id in ids {
            sets.extend(storage::variable_set::find(&mut session, space, id).await?);
        }
    }
    let mut all = Vec::new();
    for set in sets {
        all.push(in_scope(&mut session, space, set).await?);
    }
    Ok(all)
}

/// A set or a snapshot of one, by its id.
///
/// # Errors
/// [`Error::NotFound`], or without VariableView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<VariablesInScope> {
    actor.require(Permission::VariableView)?;
    let mut session = context.database.read().await?;
    let set = find(&mut session, space, id).await?;
    in_scope(&mut session, space, set).await
}

/// The variables of a project, which is named by id or slug.
///
/// # Errors
/// [`Error::NotFound`], or without VariableView.
pub async fn of_project(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: &str,
) -> Result<VariablesInScope> {
    actor.require(Permission::VariableView)?;
    let mut session = context.database.read().await?;
    let project: Project = load(&mut session, space, project).await?;
    let set = crate::project::living_variables(&mut session, space, &project).await?;
    in_scope(&mut session, space, set).await
}

/// Replaces a living set as a whole. Its version must be the current one.
///
/// # Errors
/// [`Error::Conflict`] for an old version, [`Error::Invalid`] with every broken rule, [`Error::NotFound`], or
/// without VariableEdit.
pub async fn update(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    mut set: VariableSet,
) -> Result<VariablesInScope> {
    actor.require(Permission::VariableEdit)?;
    let mut session = context.database.write().await?;
    let before = find(&mut session, space, id).await?;
    if before.id.owner().is_none() {
        return Err(Error::invalid(format!(
            "'{}' is the copy that a release took, and never changes. Edit the variables of the project, and update the \
             variables of the release.",
            before.id
        )));
    }
    let mut scope = in_scope(&mut session, space, before.clone()).await?;
    if set.version != before.version {
        return Err(outdated(&scope.project, set.version, before.version));
    }
    set.id = before.id.clone();
    set.space_id = space.clone();
    set.owner_id.clone_from(&before.owner_id);
    set.complete(new_guid);
    refuse(set.problems(&scope.references(), Some(&before)))?;
    sealing::seal(
        &context.keys,
        Place::variables(space, before.id.as_str()),
        &mut set,
        Some(&before),
    )?;
    set.version = before.version + 1;
    if !storage::variable_set::update(&mut session, &set, before.version).await? {
        return Err(outdated(&scope.project, before.version, before.version + 1));
    }
    let message = Message::new("The variables of ")
        .name(&scope.project.id, &scope.project.name)
        .text(" were changed.");
    record(
        context,
        actor,
        &mut session,
        Some(space),
        "Modified",
        message,
        &[set.id.as_str()],
    )
    .await?;
    session.commit().await?;
    scope.set = set;
    Ok(scope)
}

impl VariablesInScope {
    fn references(&self) -> ScopeReferences {
        let mut actions = std::collections::BTreeSet::new();
        for step in &self.process.steps {
            actions.insert(step.id.clone());
            actions.extend(step.actions.iter().map(|action| action.id.clone()));
        }
        ScopeReferences {
            environments: self
                .environments
                .iter()
                .map(|environment| environment.id.to_string())
                .collect(),
            machines: self
                .machines
                .iter()
                .map(|machine| machine.id.to_string())
                .collect(),
            actions,
            channels: self
                .channels
                .iter()
                .map(|channel| channel.id.to_string())
                .collect(),
        }
    }
}

async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<VariableSet> {
    let found = storage::variable_set::find(session, space, id).await?;
    found.ok_or_else(|| Error::not_found("variable set", id))
}

async fn in_scope(session: &mut Session, space: &SpaceId, set: VariableSet) -> Result<VariablesInScope> {
    let project: Project = load(session, space, &set.owner_id).await?;
    let machines = storage::machine::all(session, space).await?;
    Ok(VariablesInScope {
        environments: named::all(session, space).await?,
        machines,
        roles: storage::machine::roles(session, space).await?,
        channels: storage::channel::of_project(session, space, &project.id).await?,
        process: crate::project::living_process(session, space, &project).await?,
        project,
        set,
    })
}

fn outdated(project: &Project, given: i32, current: i32) -> Error {
    Error::Conflict(format!(
        "The variables of the project '{}' were changed by somebody else: the request is based on version {given}, the \
         current one is {current}. Load them again and repeat the change.",
        project.name
    ))
}
