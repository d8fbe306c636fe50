//! The releases of a project and where they have gone, newest first (`rest-api.md` 5.8).

use std::collections::BTreeMap;

use domain::lifecycle::progression::{History, Progression};
use domain::permission::Permission;
use domain::project::Project;
use domain::{
    Channel, ChannelId, Deployment, Environment, EnvironmentId, Lifecycle, Release, ServerTask, SpaceId,
    TaskState,
};
use storage::deployment::DeploymentFilter;
use storage::named;
use storage::server_task::TaskFilter;

use crate::named::load;
use crate::{Actor, Context, Result, prompt, release::ReleaseFilter};

/// The most releases that are shown.
const MOST: usize = 100;

/// A project's releases and where they have gone.
pub struct ProjectProgression {
    /// The project.
    pub project: Project,
    /// The environments of the space in their order.
    pub environments: Vec<Environment>,
    /// The environments that releases of each channel go to.
    pub channel_environments: BTreeMap<ChannelId, Vec<EnvironmentId>>,
    /// The releases, the last made first.
    pub releases: Vec<ProgressedRelease>,
}

/// One release and where it has gone.
pub struct ProgressedRelease {
    /// The release.
    pub release: Release,
    /// Its channel.
    pub channel: Channel,
    /// The lifecycle it follows.
    pub lifecycle: Lifecycle,
    /// Its deployments with their tasks, the last made first.
    pub deployments: Vec<(Deployment, ServerTask)>,
    /// Where it should go next.
    pub next: Vec<EnvironmentId>,
}

/// The last releases of a project, named by id or slug.
///
/// # Errors
/// [`crate::Error::NotFound`], or without ReleaseView and DeploymentView.
pub async fn get(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    project: &str,
    take: usize,
) -> Result<ProjectProgression> {
    actor.require(Permission::ReleaseView)?;
    actor.require(Permission::DeploymentView)?;
    let mut session = context.database.read().await?;
    let session = &mut session;
    let project: Project = load(session, space, project).await?;
    let environments: Vec<Environment> = named::all(session, space).await?;
    let ids: Vec<EnvironmentId> = environments
        .iter()
        .map(|environment| environment.id.clone())
        .collect();
    let channels = storage::channel::of_project(session, space, &project.id).await?;
    let mut lifecycles: BTreeMap<ChannelId, Lifecycle> = BTreeMap::new();
    for channel in &channels {
        lifecycles.insert(
            channel.id.clone(),
            load(session, space, channel.lifecycle(&project).as_str()).await?,
        );
    }
    let filter = ReleaseFilter {
        project_id: project.id.to_string(),
        ..ReleaseFilter::default()
    };
    let take = i64::try_from(take.min(MOST)).unwrap_or_default();
    let (releases, _) = storage::release::page(session, space, &filter, 0, take).await?;
    let mut progressed = Vec::new();
    for release in releases {
        let Some(channel) = channels.iter().find(|channel| channel.id == release.channel_id) else {
            continue;
        };
        let Some(lifecycle) = lifecycles.get(&channel.id) else {
            continue;
        };
        let filter = DeploymentFilter {
            release_id: release.id.to_string(),
            ..DeploymentFilter::default()
        };
        let (stored, _) = storage::deployment::page(session, space, &filter, 0, 1000).await?;
        let successes = stored
            .iter()
            .filter(|one| one.state == Some(TaskState::Success))
            .map(|one| one.deployment.environment_id.clone())
            .collect();
        let history = History {
            environments: &ids,
            successes: &successes,
            connected: None,
            defect: false,
        };
        let next = Progression::of(lifecycle, history).next_deployments();
        let tasks = TaskFilter {
            ids: stored
                .iter()
                .map(|one| one.deployment.task_id.to_string())
                .collect(),
            spaces: vec![space.to_string()],
            ..TaskFilter::default()
        };
        // Without any id the filter would let all tasks pass.
        let tasks = match stored.is_empty() {
            true => Vec::new(),
            false => storage::server_task::page(session, &tasks, 0, 1000).await?.tasks,
        };
        let with_task = |deployment: Deployment| {
            let task = tasks
                .iter()
                .find(|stored| stored.task.id == deployment.task_id)?
                .task
                .clone();
            Some((prompt::shown(deployment), task))
        };
        let deployments = stored
            .into_iter()
            .filter_map(|one| with_task(one.deployment))
            .collect();
        progressed.push(ProgressedRelease {
            release,
            channel: channel.clone(),
            lifecycle: lifecycle.clone(),
            deployments,
            next,
        });
    }
    let nothing = std::collections::BTreeSet::new();
    let history = History {
        environments: &ids,
        successes: &nothing,
        connected: None,
        defect: false,
    };
    let of_channel = |lifecycle: &Lifecycle| {
        let phases = Progression::of(lifecycle, history).phases;
        let mut found: Vec<EnvironmentId> = Vec::new();
        for id in phases.into_iter().flat_map(|phase| phase.environments) {
            if !found.contains(&id) {
                found.push(id);
            }
        }
        found
    };
    let channel_environments = lifecycles
        .iter()
        .map(|(id, lifecycle)| (id.clone(), of_channel(lifecycle)))
        .collect();
    Ok(ProjectProgression {
        project,
        environments,
        channel_environments,
        releases: progressed,
    })
}
