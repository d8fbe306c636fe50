//! Releases: chosen, numbered and frozen in one transaction (`deployments.md` 5).

use std::collections::BTreeMap;

use domain::event::Message;
use domain::lifecycle::progression::{History, Progression};
use domain::permission::Permission;
use domain::project::Project;
use domain::release::Wanted;
use domain::release::version_template::Numbers;
use domain::{
    Channel, ChannelId, DeploymentProcess, Environment, EnvironmentId, Lifecycle, Release, ReleaseId,
    SpaceId, TaskState, Timestamp, VariableSet,
};
use storage::deployment::StoredDeployment;
pub use storage::release::ReleaseFilter;
use storage::{Session, named};

use crate::event::record;
use crate::named::load;
use crate::package_choice::{self, Choices};
use crate::snapshot::{freeze_process, freeze_variables, frozen_process};
use crate::{Actor, Context, Error, List, Result, Slice};

/// How often a number is made again when somebody else took it in the meantime.
const ATTEMPTS: usize = 5;

/// What is asked of a new release.
#[derive(Debug, Clone, Default)]
pub struct CreateRelease {
    /// Id, slug or name of the project.
    pub project: String,
    /// The number or a mask; none: as the project's versioning says.
    pub version: Option<String>,
    /// Id, slug or name of the channel; none: the default one.
    pub channel: Option<String>,
    /// What is new in it.
    pub release_notes: Option<String>,
    /// How packages are chosen.
    pub packages: Choices,
    /// Whether it may break the rules of its channel.
    pub ignore_channel_rules: bool,
    /// Whether a release of this number that is there already is the answer.
    pub ignore_if_already_exists: bool,
    /// Fields that the channel asks for.
    pub custom_fields: BTreeMap<String, String>,
}

/// A release as the dashboards of one release show it.
pub struct ReleaseProgression {
    /// The release.
    pub release: Release,
    /// Where it stands in its lifecycle.
    pub progression: Progression,
    /// Its deployments, the last made first.
    pub deployments: Vec<StoredDeployment>,
}

/// Makes a release: chooses package versions and a number, and freezes process and variables.
///
/// # Errors
/// [`Error::Invalid`] with every broken rule, or without ReleaseCreate. Then nothing is made.
pub async fn create(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    wanted: &CreateRelease,
) -> Result<Release> {
    actor.require(Permission::ReleaseCreate)?;
    let id = ReleaseId::numbered(storage::counter::next(&context.database, ReleaseId::KIND).await?);
    for attempt in 1.. {
        let mut session = context.database.write().await?;
        let material = Material::load(&mut session, space, wanted).await?;
        let release = match material.release(context, &mut session, &id, wanted).await? {
            Found::Existing(release) => return Ok(release),
            Found::New(release) => release,
            Found::Overtaken(_) if attempt < ATTEMPTS => continue,
            Found::Overtaken(version) => return Err(taken(&material.project, &version)),
        };
        match storage::release::insert(&mut session, &release).await {
            Err(storage::Error::Duplicate { .. }) if attempt < ATTEMPTS => continue,
            Err(storage::Error::Duplicate { .. }) => return Err(taken(&material.project, &release.version)),
            other => other?,
        }
        let project = &material.project;
        let message = Message::new("The release ")
            .name(&release.id, &release.version)
            .text(" of ")
            .name(&project.id, &project.name)
            .text(" was created.");
        record(
            context,
            actor,
            &mut session,
            Some(space),
            "Created",
            message,
            &[release.channel_id.as_str()],
        )
        .await?;
        session.commit().await?;
        return Ok(release);
    }
    Err(Error::Unavailable(
        "Too many releases are being made at this moment. Try again.".into(),
    ))
}

/// Releases, the last made first.
///
/// # Errors
/// Without ReleaseView, or when the database fails.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    filter: &ReleaseFilter,
    slice: Slice,
) -> Result<List<Release>> {
    actor.require(Permission::ReleaseView)?;
    let mut session = context.database.read().await?;
    let (skip, take) = slice.limits();
    let (items, total) = storage::release::page(&mut session, space, filter, skip, take).await?;
    Ok(List {
        items,
        total: usize::try_from(total).unwrap_or_default(),
    })
}

/// The releases of a project, which is named by id or slug, the last made first.
///
/// # Errors
/// [`Error::NotFound`], or without ReleaseView.
pub async fn of_project(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: &str,
    version_part: Option<String>,
    slice: Slice,
) -> Result<List<Release>> {
    actor.require(Permission::ReleaseView)?;
    let project: Project = crate::named::get(context, actor, space, project).await?;
    let filter = ReleaseFilter {
        project_id: project.id.to_string(),
        version_part: version_part.unwrap_or_default(),
        ..ReleaseFilter::default()
    };
    list(context, actor, space, &filter, slice).await
}

/// The releases in a channel, the last made first.
///
/// # Errors
/// [`Error::NotFound`], or without ReleaseView.
pub async fn of_channel(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: Option<&str>,
    channel: &str,
    version_part: Option<String>,
    slice: Slice,
) -> Result<List<Release>> {
    let channel = crate::channel::get(context, actor, space, project, channel).await?;
    let filter = ReleaseFilter {
        channel_id: channel.id.to_string(),
        version_part: version_part.unwrap_or_default(),
        ..ReleaseFilter::default()
    };
    list(context, actor, space, &filter, slice).await
}

/// One release by its id.
///
/// # Errors
/// [`Error::NotFound`], or without ReleaseView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Release> {
    actor.require(Permission::ReleaseView)?;
    let mut session = context.database.read().await?;
    find(&mut session, space, id).await
}

/// The release of a project with this version, or with this id.
///
/// # Errors
/// [`Error::NotFound`], or without ReleaseView.
pub async fn get_version(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: &str,
    version: &str,
) -> Result<Release> {
    actor.require(Permission::ReleaseView)?;
    let mut session = context.database.read().await?;
    let project: Project = load(&mut session, space, project).await?;
    find_of_project(&mut session, space, &project, version)
        .await?
        .ok_or_else(|| Error::not_found("release", version))
}

/// Changes number, notes, packages and custom fields of a release; what is frozen stays.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] with every broken rule, or without ReleaseEdit.
pub async fn update(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    wanted: Release,
) -> Result<Release> {
    actor.require(Permission::ReleaseEdit)?;
    let mut session = context.database.write().await?;
    let before = find(&mut session, space, id).await?;
    let project: Project = load(&mut session, space, before.project_id.as_str()).await?;
    let process = frozen_process(&mut session, space, &before).await?;
    let channels = storage::channel::of_project(&mut session, space, &project.id).await?;
    let channel = Channel::choose(&channels, Some(&before.channel_id), &project.name)?;
    let available = package_choice::available(&mut session, space, &process, channel).await?;
    let ignore_channel_rules = before.ignore_channel_rules || wanted.ignore_channel_rules;
    let rules = Wanted {
        version: None,
        packages: &wanted.selected_packages,
        ignore_channel_rules,
    };
    let packages = domain::release::package_choice::choose(&process, channel, rules, &available)?;
    let version = wanted.version.trim().to_string();
    domain::release::check_version(&version)?;
    let release = Release {
        version,
        release_notes: wanted.release_notes,
        selected_packages: packages,
        custom_fields: wanted.custom_fields,
        ..before
    };
    storage::release::update(&mut session, &release)
        .await
        .map_err(|error| match error {
            storage::Error::Duplicate { .. } => taken(&project, &release.version),
            other => other.into(),
        })?;
    tell(
        context,
        actor,
        &mut session,
        &release,
        &project,
        ("Modified", "changed"),
    )
    .await?;
    session.commit().await?;
    Ok(release)
}

/// Removes a release with its deployments and what was frozen for it.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] while a deployment of it waits or runs, or without ReleaseDelete.
pub async fn delete(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<()> {
    actor.require(Permission::ReleaseDelete)?;
    let mut session = context.database.write().await?;
    let release = find(&mut session, space, id).await?;
    let project: Project = load(&mut session, space, release.project_id.as_str()).await?;
    if storage::deployment::unfinished(&mut session, space, "", release.id.as_str(), "").await? > 0 {
        return Err(Error::invalid(format!(
            "A deployment of the release {} waits or runs. Cancel it, or wait for its end, and delete then.",
            release.version
        )));
    }
    storage::release::delete(&mut session, space, release.id.as_str()).await?;
    let frozen = release.project_deployment_process_snapshot_id.as_str();
    storage::deployment_process::delete_snapshot(&mut session, space, frozen).await?;
    let frozen = release.project_variable_set_snapshot_id.as_str();
    storage::variable_set::delete_snapshot(&mut session, space, frozen).await?;
    tell(
        context,
        actor,
        &mut session,
        &release,
        &project,
        ("Deleted", "deleted"),
    )
    .await?;
    session.commit().await?;
    Ok(())
}

/// Freezes the variables of the project for a release again, as they are now.
///
/// # Errors
/// [`Error::NotFound`], or without ReleaseEdit.
pub async fn update_variables(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
) -> Result<Release> {
    actor.require(Permission::ReleaseEdit)?;
    let mut session = context.database.write().await?;
    let release = freeze_variables_again(context, actor, &mut session, space, id).await?;
    session.commit().await?;
    Ok(release)
}

/// [`update_variables`] inside a transaction that is already there.
pub(crate) async fn freeze_variables_again(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    space: &SpaceId,
    id: &str,
) -> Result<Release> {
    let mut release = find(session, space, id).await?;
    let project: Project = load(session, space, release.project_id.as_str()).await?;
    let variables = crate::project::living_variables(session, space, &project).await?;
    let former = std::mem::take(&mut release.project_variable_set_snapshot_id);
    release.project_variable_set_snapshot_id = freeze_variables(context, session, space, variables).await?;
    storage::release::update(session, &release).await?;
    // A deployment that runs may still read the former copy.
    if storage::deployment::unfinished(session, space, "", release.id.as_str(), "").await? == 0 {
        storage::variable_set::delete_snapshot(session, space, former.as_str()).await?;
    }
    tell(
        context,
        actor,
        session,
        &release,
        &project,
        ("Modified", "given the present variables"),
    )
    .await?;
    Ok(release)
}

/// The chosen packages, id and version, that the built-in feed no longer has.
///
/// # Errors
/// [`Error::NotFound`], or without ReleaseView.
pub async fn missing_packages(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
) -> Result<Vec<(String, String)>> {
    actor.require(Permission::ReleaseView)?;
    let mut session = context.database.read().await?;
    let release = find(&mut session, space, id).await?;
    let process = frozen_process(&mut session, space, &release).await?;
    let mut missing = Vec::new();
    for (step, action) in process.actions() {
        for package in &action.packages {
            let Some(version) = release.package_version(&step.name, &action.name, &package.name) else {
                continue;
            };
            let id = &package.package_id;
            if crate::package::find_version(&mut session, space, id, version)
                .await?
                .is_none()
            {
                missing.push((id.clone(), version.to_string()));
            }
        }
    }
    Ok(missing)
}

/// How far a release is in its lifecycle.
///
/// # Errors
/// [`Error::NotFound`], or without ReleaseView.
pub async fn progression(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
) -> Result<ReleaseProgression> {
    actor.require(Permission::ReleaseView)?;
    let mut session = context.database.read().await?;
    let release = find(&mut session, space, id).await?;
    let progression = progression_of(&mut session, space, &release).await?;
    let deployments = storage::deployment::of_release(&mut session, space, &release.id).await?;
    Ok(ReleaseProgression {
        release,
        progression,
        deployments,
    })
}

/// Where a release may go, inside a transaction that is already there.
///
/// # Errors
/// When the database fails.
pub(crate) async fn progression_of(
    session: &mut Session,
    space: &SpaceId,
    release: &Release,
) -> Result<Progression> {
    let project: Project = load(session, space, release.project_id.as_str()).await?;
    let channels = storage::channel::of_project(session, space, &project.id).await?;
    let channel = Channel::choose(&channels, Some(&release.channel_id), &project.name)?;
    let mut lifecycle: Lifecycle = load(session, space, channel.lifecycle(&project).as_str()).await?;
    let environments: Vec<Environment> = named::all(session, space).await?;
    crate::lifecycle::give_phases(&mut lifecycle, &environments);
    let environments: Vec<EnvironmentId> = environments
        .into_iter()
        .map(|environment| environment.id)
        .collect();
    let deployments = storage::deployment::of_release(session, space, &release.id).await?;
    let successes = deployments
        .into_iter()
        .filter(|stored| stored.state == Some(TaskState::Success))
        .map(|stored| stored.deployment.environment_id)
        .collect();
    let history = History {
        environments: &environments,
        successes: &successes,
        connected: None,
        defect: false,
    };
    Ok(Progression::of(&lifecycle, history))
}

/// A release inside a transaction that is already there.
///
/// # Errors
/// [`Error::NotFound`].
pub(crate) async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Release> {
    storage::release::find(session, space, id)
        .await?
        .ok_or_else(|| Error::not_found("release", id))
}

/// A release of a project by version or id.
pub(crate) async fn find_of_project(
    session: &mut Session,
    space: &SpaceId,
    project: &Project,
    version: &str,
) -> Result<Option<Release>> {
    if let Some(release) = storage::release::find_version(session, space, &project.id, version).await? {
        return Ok(Some(release));
    }
    let by_id = storage::release::find(session, space, version).await?;
    Ok(by_id.filter(|release| release.project_id == project.id))
}

/// What a release is made from, read in one transaction.
struct Material<'a> {
    space: &'a SpaceId,
    project: Project,
    process: DeploymentProcess,
    variables: VariableSet,
    channels: Vec<Channel>,
}

enum Found {
    Existing(Release),
    New(Release),
    /// The version that came out was made by somebody else between two statements.
    Overtaken(String),
}

impl<'a> Material<'a> {
    async fn load(session: &mut Session, space: &'a SpaceId, wanted: &CreateRelease) -> Result<Self> {
        let project = crate::project::resolve(session, space, &wanted.project).await?;
        Ok(Self {
            space,
            process: crate::project::living_process(session, space, &project).await?,
            variables: crate::project::living_variables(session, space, &project).await?,
            channels: storage::channel::of_project(session, space, &project.id).await?,
            project,
        })
    }

    /// The channel that is named by id, slug or name, else the default one.
    fn channel(&self, wanted: Option<&str>) -> Result<&Channel> {
        let named = wanted
            .map(str::trim)
            .filter(|wanted| !wanted.is_empty())
            .map(|wanted| {
                let same = |channel: &&Channel| {
                    channel.id.as_str().eq_ignore_ascii_case(wanted)
                        || domain::same_name(&channel.name, wanted)
                        || channel.slug.eq_ignore_ascii_case(wanted)
                };
                let found = self.channels.iter().find(same);
                found.map_or_else(|| ChannelId::from_text(wanted), |channel| channel.id.clone())
            });
        Ok(Channel::choose(
            &self.channels,
            named.as_ref(),
            &self.project.name,
        )?)
    }

    async fn release(
        &self,
        context: &Context,
        session: &mut Session,
        id: &ReleaseId,
        wanted: &CreateRelease,
    ) -> Result<Found> {
        let channel = self.channel(wanted.channel.as_deref())?;
        let available = package_choice::available(session, self.space, &self.process, channel).await?;
        let packages =
            package_choice::selected(session, self.space, &self.process, channel, &wanted.packages).await?;
        let releases: Vec<(String, ChannelId)> =
            storage::release::versions(session, self.space, &self.project.id)
                .await?
                .into_iter()
                .map(|(version, channel)| (version, ChannelId::from_text(channel)))
                .collect();
        let now = Timestamp(context.clock.now());
        let numbers = Numbers {
            releases: &releases,
            channels: &self.channels,
            channel,
            variables: &self.variables,
            now,
        };
        if wanted.ignore_if_already_exists
            && let Some(version) = wanted.version.as_deref()
            && let Some(release) =
                storage::release::find_version(session, self.space, &self.project.id, version).await?
        {
            return Ok(Found::Existing(release));
        }
        let rules = Wanted {
            version: wanted.version.as_deref(),
            packages: &packages,
            ignore_channel_rules: wanted.ignore_channel_rules,
        };
        let chosen =
            domain::release::choose(&self.project, &self.process, channel, rules, &available, &numbers)?;
        let same =
            storage::release::find_version(session, self.space, &self.project.id, &chosen.version).await?;
        match same {
            Some(release) if wanted.ignore_if_already_exists => return Ok(Found::Existing(release)),
            Some(_) if wanted.version.as_deref() != Some(chosen.version.as_str()) => {
                return Ok(Found::Overtaken(chosen.version));
            }
            Some(_) => return Err(taken(&self.project, &chosen.version)),
            None => {}
        }
        Ok(Found::New(Release {
            id: id.clone(),
            space_id: self.space.clone(),
            project_id: self.project.id.clone(),
            version: chosen.version,
            channel_id: channel.id.clone(),
            release_notes: wanted.release_notes.clone(),
            assembled: now,
            ignore_channel_rules: wanted.ignore_channel_rules,
            selected_packages: chosen.packages,
            project_deployment_process_snapshot_id: freeze_process(
                context,
                session,
                self.space,
                self.process.clone(),
            )
            .await?,
            project_variable_set_snapshot_id: freeze_variables(
                context,
                session,
                self.space,
                self.variables.clone(),
            )
            .await?,
            custom_fields: wanted.custom_fields.clone(),
            ..Release::default()
        }))
    }
}

fn taken(project: &Project, version: &str) -> Error {
    Error::invalid(format!(
        "The project '{}' already has a release {version}. Please choose another version.",
        project.name
    ))
}

async fn tell(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    release: &Release,
    project: &Project,
    (category, what): (&str, &str),
) -> Result<()> {
    let message = Message::new("The release ")
        .name(&release.id, &release.version)
        .text(" of ")
        .name(&project.id, &project.name)
        .text(&format!(" was {what}."));
    record(
        context,
        actor,
        session,
        Some(&release.space_id),
        category,
        message,
        &[],
    )
    .await
}
