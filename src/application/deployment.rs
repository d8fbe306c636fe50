//! Deployments: all checks first, then the deployment, its task and its event in one transaction
//! (`deployments.md` 7).

use std::collections::BTreeMap;

use domain::deployment::Deployment;
use domain::deployment::creation::{self, Known};
use domain::event::Message;
use domain::permission::Permission;
use domain::project::Project;
use domain::{
    Channel, DeploymentId, DeploymentProcess, Environment, Machine, MachineId, Problems, Release, ServerTask,
    ServerTaskId, SpaceId, TaskKind, TenantId, Timestamp, UserId, VariableSet, package_version, same_name,
};
use serde_json::{Value, json};
use storage::Session;
pub use storage::deployment::DeploymentFilter;
use storage::deployment::StoredDeployment;
use storage::server_task::NewTask;

use crate::event::record;
use crate::named::load;
use crate::{Actor, Context, Error, List, Result, Slice, environment, prompt, release, snapshot};

/// How a caller names a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedRelease {
    /// By its id.
    Id(String),
    /// By its version, or its id, in a project.
    InProject {
        /// Id, slug or name of the project.
        project: String,
        /// The version.
        version: String,
    },
}

impl Default for WantedRelease {
    fn default() -> Self {
        Self::Id(String::new())
    }
}

/// What is asked of new deployments: one for each environment, all or none.
#[derive(Debug, Clone, Default)]
pub struct CreateDeployments {
    /// What is deployed.
    pub release: WantedRelease,
    /// Ids, slugs or names of environments.
    pub environments: Vec<String>,
    /// Tenants; there are none yet.
    pub tenant: Option<String>,
    /// Why.
    pub comments: Option<String>,
    /// Ids of steps or actions that are left out; unknown ones do not count.
    pub skip_actions: Vec<String>,
    /// Names of steps or actions that are left out; unknown ones are wrong.
    pub skip_step_names: Vec<String>,
    /// Only these machines, by id or name; empty: all.
    pub specific_machines: Vec<String>,
    /// Not these machines, by id or name.
    pub excluded_machines: Vec<String>,
    /// Whether package caches are ignored; none: as the project says.
    pub force_package_download: Option<bool>,
    /// Whether packages are installed again; none: as the project says.
    pub force_package_redeployment: Option<bool>,
    /// Whether a failure asks a person; none: as project and environment say.
    pub use_guided_failure: Option<bool>,
    /// Answers to prompted variables by the id of their element.
    pub form_values: BTreeMap<String, Value>,
    /// Answers to prompted variables by name.
    pub variables: BTreeMap<String, String>,
    /// Not before.
    pub queue_time: Option<Timestamp>,
    /// Not after.
    pub queue_time_expiry: Option<Timestamp>,
    /// Whether the release gets the present variables first.
    pub update_variables: bool,
}

/// Makes one deployment and one task for each environment.
///
/// # Errors
/// [`Error::Invalid`] with every broken rule of the whole request, or without DeploymentCreate. Then nothing is queued.
pub async fn create(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    wanted: &CreateDeployments,
) -> Result<Vec<Deployment>> {
    actor.require(Permission::DeploymentCreate)?;
    let mut ids = Vec::new();
    for _ in &wanted.environments {
        let deployment = storage::counter::next(&context.database, DeploymentId::KIND).await?;
        let task = storage::counter::next(&context.database, ServerTaskId::KIND).await?;
        ids.push((DeploymentId::numbered(deployment), ServerTaskId::numbered(task)));
    }
    let mut session = context.database.write().await?;
    let mut release = find_release(&mut session, space, wanted).await?;
    if wanted.update_variables {
        release =
            release::freeze_variables_again(context, actor, &mut session, space, release.id.as_str()).await?;
    }
    let environments = environment::resolve(&mut session, space, &wanted.environments).await?;
    let ground = Ground::load(&mut session, space, release).await?;
    let mut problems = Problems::default();
    ground.unknown_steps(wanted, &mut problems);
    let mut made = Vec::new();
    for (environment, (id, task_id)) in environments.iter().zip(ids) {
        let deployment = ground
            .deployment(context, actor, &mut session, environment, wanted, &mut problems)
            .await?;
        let mut deployment = Deployment {
            id,
            task_id,
            ..deployment
        };
        let asked = prompt::asked(&ground.variables, &ground.release, environment);
        prompt::seal(&context.keys, space, &asked, &mut deployment);
        made.push((deployment, environment));
    }
    if environments.is_empty() {
        problems
            .add("The request names no environment. Give at least one in EnvironmentNames or EnvironmentId.");
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let mut deployments = Vec::new();
    for (deployment, environment) in made {
        ground
            .store(context, actor, &mut session, &deployment, environment)
            .await?;
        deployments.push(deployment);
    }
    session.commit().await?;
    context.notifier.notify(crate::task::QUEUE);
    Ok(deployments.into_iter().map(prompt::shown).collect())
}

/// Deployments, the last made first.
///
/// # Errors
/// Without DeploymentView, or when the database fails.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    filter: &DeploymentFilter,
    slice: Slice,
) -> Result<List<Deployment>> {
    actor.require(Permission::DeploymentView)?;
    let mut session = context.database.read().await?;
    let (skip, take) = slice.limits();
    let (items, total) = storage::deployment::page(&mut session, space, filter, skip, take).await?;
    let items = items
        .into_iter()
        .map(|stored| prompt::shown(stored.deployment))
        .collect();
    Ok(List {
        items,
        total: usize::try_from(total).unwrap_or_default(),
    })
}

/// One deployment.
///
/// # Errors
/// [`Error::NotFound`], or without DeploymentView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Deployment> {
    actor.require(Permission::DeploymentView)?;
    let mut session = context.database.read().await?;
    Ok(prompt::shown(find(&mut session, space, id).await?.deployment))
}

/// Removes a deployment that has ended; its task stays.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] while it waits or runs, or without DeploymentDelete.
pub async fn delete(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<()> {
    actor.require(Permission::DeploymentDelete)?;
    let mut session = context.database.write().await?;
    let stored = find(&mut session, space, id).await?;
    let deployment = stored.deployment;
    if stored.state.is_some_and(|state| !state.is_completed()) {
        return Err(Error::invalid(format!(
            "The deployment '{}' waits or runs. Cancel its task '{}', or wait for its end, and delete then.",
            deployment.id, deployment.task_id
        )));
    }
    storage::deployment::delete(&mut session, space, deployment.id.as_str()).await?;
    let message = Message::new("The deployment ")
        .name(&deployment.id, &deployment.name)
        .text(" was deleted.");
    let related = [deployment.project_id.as_str(), deployment.environment_id.as_str()];
    record(
        context,
        actor,
        &mut session,
        Some(space),
        "Deleted",
        message,
        &related,
    )
    .await?;
    session.commit().await?;
    Ok(())
}

/// What all deployments of one request stand on.
pub(crate) struct Ground {
    pub(crate) space: SpaceId,
    pub(crate) project: Project,
    pub(crate) release: Release,
    pub(crate) channel: Channel,
    pub(crate) process: DeploymentProcess,
    pub(crate) variables: VariableSet,
}

impl Ground {
    pub(crate) async fn load(session: &mut Session, space: &SpaceId, release: Release) -> Result<Self> {
        let project: Project = load(session, space, release.project_id.as_str()).await?;
        let channels = storage::channel::of_project(session, space, &project.id).await?;
        Ok(Self {
            space: space.clone(),
            channel: Channel::choose(&channels, Some(&release.channel_id), &project.name)?.clone(),
            process: snapshot::frozen_process(session, space, &release).await?,
            variables: snapshot::frozen_variables(session, space, &release).await?,
            project,
            release,
        })
    }

    /// Steps that are named and not there.
    fn unknown_steps(&self, wanted: &CreateDeployments, problems: &mut Problems) {
        for name in &wanted.skip_step_names {
            if self.actions_named(name).is_empty() {
                problems.add(format!(
                    "The release {} has no step named '{name}' to skip. Name one of: {}.",
                    self.release.version,
                    self.process
                        .steps
                        .iter()
                        .map(|step| step.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                ));
            }
        }
    }

    fn actions_named(&self, name: &str) -> Vec<String> {
        let named = self
            .process
            .actions()
            .filter(|(step, action)| same_name(&step.name, name) || same_name(&action.name, name));
        named.map(|(_, action)| action.id.clone()).collect()
    }

    /// The ids of the actions that are left out; a step's id stands for all its actions.
    fn skipped(&self, wanted: &CreateDeployments) -> Vec<String> {
        let by_id = self.process.actions().filter(|(step, action)| {
            wanted
                .skip_actions
                .iter()
                .any(|id| id.eq_ignore_ascii_case(&step.id) || id.eq_ignore_ascii_case(&action.id))
        });
        let mut skipped: Vec<String> = by_id.map(|(_, action)| action.id.clone()).collect();
        for id in wanted
            .skip_step_names
            .iter()
            .flat_map(|name| self.actions_named(name))
        {
            if !skipped.contains(&id) {
                skipped.push(id);
            }
        }
        skipped
    }

    async fn deployment(
        &self,
        context: &Context,
        actor: &Actor,
        session: &mut Session,
        environment: &Environment,
        wanted: &CreateDeployments,
        problems: &mut Problems,
    ) -> Result<Deployment> {
        let machines = storage::machine::all(session, &self.space).await?;
        let asked = prompt::asked(&self.variables, &self.release, environment);
        let form_values = prompt::answers(&asked, &wanted.form_values, &wanted.variables, problems);
        let now = Timestamp(context.clock.now());
        let changes = self.changes(session, environment).await?;
        let deployment = Deployment {
            space_id: self.space.clone(),
            release_id: self.release.id.clone(),
            environment_id: environment.id.clone(),
            tenant_id: wanted
                .tenant
                .clone()
                .filter(|tenant| !tenant.trim().is_empty())
                .map(TenantId::from_text),
            project_id: self.project.id.clone(),
            channel_id: self.channel.id.clone(),
            deployment_process_id: self.process.id.clone(),
            manifest_variable_set_id: Some(self.variables.id.clone()),
            name: format!("Deploy to {}", environment.name),
            created: now,
            deployed_by: actor.username().to_string(),
            deployed_by_id: UserId::from_text(actor.user_id().unwrap_or_default()),
            comments: wanted.comments.clone(),
            skip_actions: self.skipped(wanted),
            specific_machine_ids: chosen(&machines, &wanted.specific_machines),
            excluded_machine_ids: chosen(&machines, &wanted.excluded_machines),
            force_package_download: wanted
                .force_package_download
                .unwrap_or(self.project.force_package_download),
            force_package_redeployment: wanted.force_package_redeployment,
            use_guided_failure: wanted.use_guided_failure,
            queue_time: wanted.queue_time,
            queue_time_expiry: wanted.queue_time_expiry,
            changes_markdown: markdown(&changes),
            changes: changes.iter().map(change).collect(),
            ..Deployment::default()
        };
        let in_environment = machines
            .iter()
            .filter(|machine| machine.environment_ids.contains(&environment.id));
        let known = Known {
            project: &self.project,
            release: &self.release,
            environment,
            progression: &release::progression_of(session, &self.space, &self.release).await?,
            process: &self.process,
            // The answers have been looked at above; those to secrets are sealed here, too.
            variables: &VariableSet::default(),
            machines: &in_environment.map(|machine| machine.id.clone()).collect(),
            now,
        };
        problems.extend(creation::problems(&deployment, &known));
        let (from, until) = creation::queue_times(&deployment, now);
        Ok(Deployment {
            form_values,
            queue_time: Some(from),
            queue_time_expiry: Some(until),
            ..deployment
        })
    }

    /// The releases that this one brings: those of its channel after the last one that succeeded there, by
    /// version; of an older or a pre-release only itself (`deployments.md` 1.2).
    async fn changes(&self, session: &mut Session, environment: &Environment) -> Result<Vec<Release>> {
        let release = &self.release;
        let alone = vec![release.clone()];
        let last = storage::deployment::last_success(
            session,
            &self.space,
            &self.project.id,
            environment.id.as_str(),
            self.channel.id.as_str(),
        )
        .await?;
        let Some(last) = last else { return Ok(alone) };
        let Some(last) =
            storage::release::find(session, &self.space, last.deployment.release_id.as_str()).await?
        else {
            return Ok(alone);
        };
        let after =
            |one: &Release, other: &Release| package_version::compare(&one.version, &other.version).is_gt();
        if !after(release, &last) || package_version::is_prerelease(&release.version) {
            return Ok(alone);
        }
        let filter = storage::release::ReleaseFilter {
            channel_id: self.channel.id.to_string(),
            ..storage::release::ReleaseFilter::default()
        };
        let (mut changes, _) = storage::release::page(session, &self.space, &filter, 0, 10_000).await?;
        changes.retain(|one| after(one, &last) && !after(one, release));
        changes.sort_by(|one, other| package_version::compare(&one.version, &other.version));
        Ok(changes)
    }

    async fn store(
        &self,
        context: &Context,
        actor: &Actor,
        session: &mut Session,
        deployment: &Deployment,
        environment: &Environment,
    ) -> Result<()> {
        storage::deployment::insert(session, deployment).await?;
        let version = &self.release.version;
        let task = ServerTask {
            id: deployment.task_id.clone(),
            space_id: Some(self.space.clone()),
            name: TaskKind::Deploy,
            description: format!(
                "Deploy {} release {version} to {}",
                self.project.name, environment.name
            ),
            arguments: [("DeploymentId".to_string(), json!(deployment.id))].into(),
            queue_time: deployment.queue_time,
            queue_time_expiry: deployment.queue_time_expiry,
            project_id: Some(self.project.id.clone()),
            ..ServerTask::default()
        };
        let new = NewTask {
            task,
            environment_id: Some(environment.id.to_string()),
            tenant_id: None,
            concurrency_tag: Some(deployment.concurrency_tag()),
        };
        storage::server_task::insert(session, &new, context.clock.now()).await?;
        let message = Message::new("Deploy ")
            .name(&self.project.id, &self.project.name)
            .text(" release ")
            .name(&self.release.id, version)
            .text(" to ")
            .name(&environment.id, &environment.name);
        let related = [
            deployment.id.as_str(),
            deployment.task_id.as_str(),
            self.channel.id.as_str(),
        ];
        record(
            context,
            actor,
            session,
            Some(&self.space),
            "DeploymentQueued",
            message,
            &related,
        )
        .await
    }
}

async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<StoredDeployment> {
    let found = storage::deployment::find(session, space, id).await?;
    found.ok_or_else(|| Error::not_found("deployment", id))
}

/// The release by id, or by version in its project. One that is not there is a broken rule of the request.
async fn find_release(session: &mut Session, space: &SpaceId, wanted: &CreateDeployments) -> Result<Release> {
    let (text, found, place) = match &wanted.release {
        WantedRelease::Id(id) => (
            id,
            storage::release::find(session, space, id.trim()).await?,
            "in this space".to_string(),
        ),
        WantedRelease::InProject { project, version } => {
            let project = crate::project::resolve(session, space, project).await?;
            let found = release::find_of_project(session, space, &project, version.trim()).await?;
            (version, found, format!("in the project '{}'", project.name))
        }
    };
    found.ok_or_else(|| {
        Error::invalid(format!(
            "The release '{text}' does not exist {place}. Create it first, or name one that does."
        ))
    })
}

/// The machines that a caller names by id, name or slug. What is no machine is kept as it is, and refused with the
/// other problems.
fn chosen(machines: &[Machine], wanted: &[String]) -> Vec<MachineId> {
    let find = |text: &String| {
        let found = machines.iter().find(|machine| {
            machine.id.as_str().eq_ignore_ascii_case(text)
                || same_name(&machine.name, text)
                || machine.slug.eq_ignore_ascii_case(text)
        });
        found.map_or_else(
            || MachineId::from_text(text.as_str()),
            |machine| machine.id.clone(),
        )
    };
    wanted.iter().map(find).collect()
}

fn change(release: &Release) -> Value {
    json!({
        "Version": release.version,
        "ReleaseNotes": release.release_notes,
        "BuildInformation": release.build_information,
        "Commits": [],
        "WorkItems": [],
    })
}

fn markdown(changes: &[Release]) -> String {
    let told = changes.iter().filter(|release| {
        release
            .release_notes
            .as_deref()
            .is_some_and(|notes| !notes.is_empty())
    });
    let part = |release: &Release| {
        format!(
            "### {}\n\n{}\n",
            release.version,
            release.release_notes.as_deref().unwrap_or_default()
        )
    };
    told.map(part).collect::<Vec<_>>().join("\n")
}
