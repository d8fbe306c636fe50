//! Projects, with what comes with each: a channel, a process and variables (`deployments.md` 1).

use domain::event::Message;
use domain::permission::Permission;
use domain::project::{Project, ProjectReferences};
use domain::{
    Channel, ChannelId, DeploymentProcess, Lifecycle, Problems, ProjectGroup, ProjectId, SpaceId, VariableSet,
};
use serde_json::{Map, Value};
use storage::{Session, named};

use crate::event::record;
use crate::named::{Guards, Resource, free_slug, load, refuse};
use crate::sealing::{self, Place};
use crate::{Actor, Context, Error, Result};

impl Resource for Project {
    const WORD: &'static str = "project";
    const GUARDS: Guards = Guards {
        view: Permission::ProjectView,
        create: Permission::ProjectCreate,
        edit: Permission::ProjectEdit,
        delete: Permission::ProjectDelete,
    };

    fn set_id(&mut self, id: String) {
        self.adopt_id(ProjectId::from_text(id));
    }

    async fn check(
        &mut self,
        session: &mut Session,
        space: &SpaceId,
        before: Option<&Self>,
    ) -> Result<Problems> {
        self.space_id = space.clone();
        self.slug = free_slug(session, space, &self.name, &self.slug, before).await?;
        self.is_version_controlled = false;
        for template in &mut self.templates {
            if template.id.trim().is_empty() {
                template.id = crate::new_guid();
            }
        }
        let groups: Vec<ProjectGroup> = named::all(session, space).await?;
        let lifecycles: Vec<Lifecycle> = named::all(session, space).await?;
        // A group or lifecycle may be named by its slug or in another letter case; ids are what is kept.
        if let Some(group) =
            named::find::<ProjectGroup>(session, space, self.project_group_id.as_str()).await?
        {
            self.project_group_id = group.id;
        }
        if let Some(lifecycle) = named::find::<Lifecycle>(session, space, self.lifecycle_id.as_str()).await? {
            self.lifecycle_id = lifecycle.id;
        }
        let known = ProjectReferences {
            project_groups: groups.into_iter().map(|group| group.id).collect(),
            lifecycles: lifecycles.into_iter().map(|lifecycle| lifecycle.id).collect(),
            ..ProjectReferences::default()
        };
        Ok(self.problems(&known))
    }

    async fn deleting(&self, session: &mut Session, space: &SpaceId) -> Result<Problems> {
        let mut problems = Problems::default();
        if storage::deployment::unfinished(session, space, self.id.as_str(), "", "").await? > 0 {
            problems.add(format!(
                "A deployment of the project '{}' waits or runs. Cancel it, or wait for its end, and delete then.",
                self.name
            ));
        } else {
            storage::release::delete_of_project(session, space, &self.id).await?;
            storage::variable_set::delete_of_owner(session, space, self.id.as_str()).await?;
        }
        Ok(problems)
    }
}

/// Adds a project with its Default channel, an empty process and an empty variable set; with `clone`, process,
/// variables, channels and settings are copies of that project's.
///
/// # Errors
/// [`Error::Invalid`] with every broken rule, or without ProjectCreate.
pub async fn create(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: Project,
    clone: Option<&str>,
) -> Result<Project> {
    actor.require(Permission::ProjectCreate)?;
    let id = ProjectId::numbered(storage::counter::next(&context.database, ProjectId::KIND).await?);
    let mut parts = match clone {
        Some(original) => copied(context, actor, space, project, original, &id).await?,
        None => Parts {
            process: DeploymentProcess::empty(id.clone(), space.clone()),
            variables: VariableSet::empty(&id, space.clone()),
            channels: vec![Channel::default_of(id.clone(), space.clone())],
            project,
        },
    };
    for channel in &mut parts.channels {
        channel.id = ChannelId::numbered(storage::counter::next(&context.database, ChannelId::KIND).await?);
    }
    let Parts {
        mut project,
        process,
        variables,
        channels,
    } = parts;
    project.adopt_id(id);
    let mut session = context.database.write().await?;
    refuse(project.check(&mut session, space, None).await?)?;
    let id = project.id.to_string();
    sealing::seal(&context.keys, Place::project(space, &id), &mut project, None)?;
    named::insert(&mut session, space, &project)
        .await
        .map_err(|error| taken(error, &project))?;
    storage::deployment_process::insert(&mut session, &process, false).await?;
    storage::variable_set::insert(&mut session, &variables, false).await?;
    for channel in &channels {
        storage::channel::insert(&mut session, channel).await?;
    }
    let message = Message::new("The project ")
        .name(&project.id, &project.name)
        .text(" was created.");
    record(context, actor, &mut session, Some(space), "Created", message, &[]).await?;
    session.commit().await?;
    Ok(project)
}

/// Replaces the settings of a project.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] with every broken rule, or without ProjectEdit.
pub async fn update(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    project: Project,
) -> Result<Project> {
    actor.require(Permission::ProjectEdit)?;
    let mut session = context.database.write().await?;
    let before: Project = load(&mut session, space, id).await?;
    let project = store(context, actor, &mut session, space, &before, project).await?;
    session.commit().await?;
    Ok(project)
}

/// Replaces the deployment settings of a project: those members of it that their document has.
///
/// # Errors
/// As [`update`].
pub async fn update_settings(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    settings: &Map<String, Value>,
) -> Result<Project> {
    actor.require(Permission::ProjectEdit)?;
    let mut session = context.database.write().await?;
    let before: Project = load(&mut session, space, id).await?;
    let project = with_settings(&before, settings)?;
    let project = store(context, actor, &mut session, space, &before, project).await?;
    session.commit().await?;
    Ok(project)
}

/// The projects of a group.
///
/// # Errors
/// [`Error::NotFound`], or without ProjectGroupView and ProjectView.
pub async fn of_group(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Vec<Project>> {
    let group: ProjectGroup = crate::named::get(context, actor, space, id).await?;
    actor.require(Permission::ProjectView)?;
    let mut session = context.database.read().await?;
    let mut projects: Vec<Project> = named::all(&mut session, space).await?;
    projects.retain(|project| project.project_group_id == group.id);
    Ok(projects)
}

/// Whether a project has a process with steps, for its summary.
///
/// # Errors
/// [`Error::NotFound`], or without ProjectView.
pub async fn has_process(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<bool> {
    let project: Project = crate::named::get(context, actor, space, id).await?;
    let mut session = context.database.read().await?;
    let process =
        storage::deployment_process::find(&mut session, space, project.deployment_process_id.as_str())
            .await?;
    Ok(process.is_some_and(|process| !process.steps.is_empty()))
}

/// The project that a caller names by name, slug or id.
///
/// # Errors
/// [`Error::Invalid`] that names the unknown one.
pub async fn resolve(session: &mut Session, space: &SpaceId, wanted: &str) -> Result<Project> {
    if wanted.trim().is_empty() {
        return Err(Error::invalid(
            "The request names no project. Give its name, slug or id in ProjectName.",
        ));
    }
    if let Some(project) = named::find(session, space, wanted.trim()).await? {
        return Ok(project);
    }
    let all: Vec<Project> = named::all(session, space).await?;
    all.into_iter().find(|project| domain::same_name(&project.name, wanted)).ok_or_else(|| {
        Error::invalid(format!(
            "The project '{wanted}' does not exist in this space. Give the name, slug or id of one that does."
        ))
    })
}

struct Parts {
    project: Project,
    process: DeploymentProcess,
    variables: VariableSet,
    channels: Vec<Channel>,
}

/// What a clone begins with. Name, description, group and lifecycle are those of the request, everything else is
/// the original's.
async fn copied(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    wanted: Project,
    original: &str,
    id: &ProjectId,
) -> Result<Parts> {
    actor.require(Permission::ProjectView)?;
    let mut session = context.database.read().await?;
    let original: Project = load(&mut session, space, original).await?;
    let mut process = living_process(&mut session, space, &original).await?;
    let mut variables = living_variables(&mut session, space, &original).await?;
    let mut channels = storage::channel::of_project(&mut session, space, &original.id).await?;
    let mut project = original.clone();
    let keys = &context.keys;
    sealing::reseal(
        keys,
        Place::project(space, original.id.as_str()),
        Place::project(space, id.as_str()),
        &mut project,
    )?;
    project.name = wanted.name;
    project.slug = wanted.slug;
    project.description = wanted.description;
    if !wanted.project_group_id.is_empty() {
        project.project_group_id = wanted.project_group_id;
    }
    if !wanted.lifecycle_id.is_empty() {
        project.lifecycle_id = wanted.lifecycle_id;
    }
    project.cloned_from_project_id = Some(original.id.clone());
    let empty_process = DeploymentProcess::empty(id.clone(), space.clone());
    let (from, to) = (process.id.to_string(), empty_process.id.to_string());
    sealing::reseal(
        keys,
        Place::process(space, &from),
        Place::process(space, &to),
        &mut process,
    )?;
    let process = DeploymentProcess {
        steps: process.steps,
        ..empty_process
    };
    let empty_variables = VariableSet::empty(id, space.clone());
    let (from, to) = (variables.id.to_string(), empty_variables.id.to_string());
    sealing::reseal(
        keys,
        Place::variables(space, &from),
        Place::variables(space, &to),
        &mut variables,
    )?;
    let variables = VariableSet {
        variables: variables.variables,
        ..empty_variables
    };
    for channel in &mut channels {
        channel.project_id = id.clone();
    }
    Ok(Parts {
        project,
        process,
        variables,
        channels,
    })
}

/// The living process of a project.
///
/// # Errors
/// When the database fails, or the process is missing, which is a fault.
pub async fn living_process(
    session: &mut Session,
    space: &SpaceId,
    project: &Project,
) -> Result<DeploymentProcess> {
    let id = project.deployment_process_id.as_str();
    storage::deployment_process::find(session, space, id)
        .await?
        .ok_or_else(|| Error::not_found("deployment process", id))
}

/// The living variables of a project.
///
/// # Errors
/// When the database fails, or the set is missing, which is a fault.
pub async fn living_variables(
    session: &mut Session,
    space: &SpaceId,
    project: &Project,
) -> Result<VariableSet> {
    let id = project.variable_set_id.as_str();
    storage::variable_set::find(session, space, id)
        .await?
        .ok_or_else(|| Error::not_found("variable set", id))
}

async fn store(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    space: &SpaceId,
    before: &Project,
    mut project: Project,
) -> Result<Project> {
    project.adopt_id(before.id.clone());
    project
        .cloned_from_project_id
        .clone_from(&before.cloned_from_project_id);
    refuse(project.check(session, space, Some(before)).await?)?;
    sealing::seal(
        &context.keys,
        Place::project(space, before.id.as_str()),
        &mut project,
        Some(before),
    )?;
    named::update(session, space, &project)
        .await
        .map_err(|error| taken(error, &project))?;
    let message = Message::new("The project ")
        .name(&project.id, &project.name)
        .text(" was changed.");
    record(context, actor, session, Some(space), "Modified", message, &[]).await?;
    Ok(project)
}

/// The members of a settings document that stand on the project, by their name in the document and there.
const SETTINGS: &[(&str, &str)] = &[
    ("ConnectivityPolicy", "ProjectConnectivityPolicy"),
    ("DefaultGuidedFailureMode", "DefaultGuidedFailureMode"),
    (
        "DefaultToSkipIfAlreadyInstalled",
        "DefaultToSkipIfAlreadyInstalled",
    ),
    ("VersioningStrategy", "VersioningStrategy"),
    ("ReleaseNotesTemplate", "ReleaseNotesTemplate"),
    ("DeploymentChangesTemplate", "DeploymentChangesTemplate"),
    ("ForcePackageDownload", "ForcePackageDownload"),
];

fn with_settings(project: &Project, settings: &Map<String, Value>) -> Result<Project> {
    let failed = |error: serde_json::Error| {
        Error::invalid(format!(
            "The deployment settings of the project '{}' have the wrong shape: {error}.",
            project.name
        ))
    };
    let mut document = serde_json::to_value(project).map_err(failed)?;
    for (there, here) in SETTINGS {
        if let Some(value) = settings.get(*there) {
            document[*here] = value.clone();
        }
    }
    serde_json::from_value(document).map_err(failed)
}

fn taken(error: storage::Error, project: &Project) -> Error {
    match error {
        storage::Error::Duplicate { .. } => Error::invalid(format!(
            "The project name '{}' is already in use in this space, or its slug '{}' is. Please enter another name.",
            project.name, project.slug
        )),
        other => other.into(),
    }
}
