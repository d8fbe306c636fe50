//! What a deployment would do, before it is made (`deployments.md` 7.6, `rest-api.md` 5.8).

use domain::deployment_process::{Action, Step};
use domain::permission::Permission;
use domain::variable_set::Variable;
use domain::{Environment, EnvironmentId, Machine, Release, SpaceId, same_name};
use storage::named;

use crate::deployment::Ground;
use crate::{Actor, Context, Error, Result, named::load, prompt, release};

/// Where a release can go now, and whether it is behind what the project has become.
pub struct DeploymentTemplate {
    /// The release.
    pub release: Release,
    /// The environments it may be deployed to.
    pub promote_to: Vec<Environment>,
    /// Whether the process has changed since the release.
    pub is_process_modified: bool,
    /// Whether the variables have changed since the release.
    pub are_variables_modified: bool,
}

/// One action as it would run.
pub struct PreviewedAction {
    /// `1`, or `2.1` for a child.
    pub number: String,
    /// The action.
    pub action: Action,
    /// The roles of its step.
    pub roles: Vec<String>,
    /// The machines it would run on.
    pub machines: Vec<Machine>,
    /// Whether it needs machines and there is none.
    pub has_no_machines: bool,
}

/// What a deployment would do.
pub struct Preview {
    /// The release.
    pub release: Release,
    /// Where to.
    pub environment: Environment,
    /// What would run, in order.
    pub actions: Vec<PreviewedAction>,
    /// What would be asked.
    pub prompts: Vec<Variable>,
    /// Whether a failure would ask a person.
    pub guided_failure: bool,
}

/// Where a release can go now.
///
/// # Errors
/// [`Error::NotFound`], or without DeploymentView.
pub async fn template(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    release_id: &str,
) -> Result<DeploymentTemplate> {
    actor.require(Permission::DeploymentView)?;
    let mut session = context.database.read().await?;
    let session = &mut session;
    let release = release::find(session, space, release_id).await?;
    let progression = release::progression_of(session, space, &release).await?;
    let mut promote_to: Vec<Environment> = named::all(session, space).await?;
    promote_to.retain(|environment| progression.is_deployable(&environment.id));
    let ground = Ground::load(session, space, release).await?;
    let process = crate::project::living_process(session, space, &ground.project).await?;
    let variables = crate::project::living_variables(session, space, &ground.project).await?;
    Ok(DeploymentTemplate {
        promote_to,
        is_process_modified: process.version != ground.process.version,
        are_variables_modified: variables.version != ground.variables.version,
        release: ground.release,
    })
}

/// What a deployment of a release to an environment, named by id, slug or name, would do.
///
/// # Errors
/// [`Error::NotFound`], or without DeploymentView.
pub async fn preview(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    release_id: &str,
    environment: &str,
    with_disabled: bool,
) -> Result<Preview> {
    actor.require(Permission::DeploymentView)?;
    let mut session = context.database.read().await?;
    let session = &mut session;
    let release = release::find(session, space, release_id).await?;
    let environment: Environment = load(session, space, environment).await?;
    let ground = Ground::load(session, space, release).await?;
    let mut machines = storage::machine::all(session, space).await?;
    machines.retain(|machine| !machine.is_disabled && machine.environment_ids.contains(&environment.id));
    let mut actions = Vec::new();
    for (position, step) in ground.process.steps.iter().enumerate() {
        for (child, action) in step.actions.iter().enumerate() {
            if !takes_part(action, &environment.id, &ground) || (action.is_disabled && !with_disabled) {
                continue;
            }
            let number = match step.actions.len() {
                1 => format!("{}", position + 1),
                _ => format!("{}.{}", position + 1, child + 1),
            };
            actions.push(previewed(number, step, action, &machines));
        }
    }
    let asked = prompt::asked(&ground.variables, &ground.release, &environment);
    Ok(Preview {
        prompts: asked.into_iter().cloned().collect(),
        guided_failure: ground
            .project
            .guided_failure(None, environment.use_guided_failure),
        release: ground.release,
        environment,
        actions,
    })
}

fn takes_part(action: &Action, environment: &EnvironmentId, ground: &Ground) -> bool {
    (action.environments.is_empty() || action.environments.contains(environment))
        && !action.excluded_environments.contains(environment)
        && (action.channels.is_empty() || action.channels.contains(&ground.channel.id))
        && action.tenant_tags.is_empty()
}

fn previewed(number: String, step: &Step, action: &Action, machines: &[Machine]) -> PreviewedAction {
    let roles = step.target_roles();
    let in_role = |machine: &&Machine| {
        machine
            .roles
            .iter()
            .any(|role| roles.iter().any(|wanted| same_name(role, wanted)))
    };
    let machines: Vec<Machine> = machines.iter().filter(in_role).cloned().collect();
    PreviewedAction {
        number,
        action: action.clone(),
        has_no_machines: !roles.is_empty() && machines.is_empty(),
        roles,
        machines,
    }
}

/// What a new release of a project would choose (`rest-api.md` 5.8).
pub struct ReleaseTemplate {
    /// The process.
    pub process_id: String,
    /// The number of the release made last.
    pub last_version: Option<String>,
    /// The number that a new one would get; none when it is a package's.
    pub next_version: Option<String>,
    /// Step and reference of the package that numbers releases.
    pub versioning_package: Option<(String, String)>,
    /// The packages to choose versions for.
    pub packages: Vec<TemplatePackage>,
}

/// One package of a release template.
pub struct TemplatePackage {
    /// Its step.
    pub step_name: String,
    /// Its action.
    pub action_name: String,
    /// The reference; empty = the primary package.
    pub reference_name: String,
    /// The package.
    pub package_id: String,
    /// Its feed.
    pub feed_id: String,
    /// The feed's name.
    pub feed_name: String,
    /// What the last release had.
    pub last_version: Option<String>,
    /// What the process says.
    pub fixed_version: Option<String>,
    /// Whether feed and package are known now.
    pub is_resolvable: bool,
}

/// What a new release with this process, in this channel, would choose.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for a channel of another project, or without ProcessView.
pub async fn release_template(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    process: &domain::DeploymentProcess,
    channel: Option<&str>,
) -> Result<ReleaseTemplate> {
    use domain::release::{package_choice::needs, version_template};
    actor.require(Permission::ProcessView)?;
    let mut session = context.database.read().await?;
    let session = &mut session;
    let project: domain::Project = load(session, space, process.project_id.as_str()).await?;
    let variables = crate::project::living_variables(session, space, &project).await?;
    let channels = storage::channel::of_project(session, space, &project.id).await?;
    let wanted = channel.map(domain::ChannelId::from_text);
    let channel = domain::Channel::choose(&channels, wanted.as_ref(), &project.name).map_err(Error::from)?;
    let feeds: Vec<domain::Feed> = named::all(session, space).await?;
    let filter = storage::release::ReleaseFilter {
        project_id: project.id.to_string(),
        ..storage::release::ReleaseFilter::default()
    };
    let last = storage::release::page(session, space, &filter, 0, 1)
        .await?
        .0
        .into_iter()
        .next();
    let releases: Vec<(String, domain::ChannelId)> = storage::release::versions(session, space, &project.id)
        .await?
        .into_iter()
        .map(|(version, channel)| (version, domain::ChannelId::from_text(channel)))
        .collect();
    let numbers = version_template::Numbers {
        releases: &releases,
        channels: &channels,
        channel,
        variables: &variables,
        now: domain::Timestamp(context.clock.now()),
    };
    let donor = project
        .versioning_strategy
        .donor_package
        .as_ref()
        .filter(|donor| !donor.deployment_action.is_empty());
    // A template that cannot be evaluated shows when a release is made, with its reason.
    let next_version = match donor {
        Some(_) => None,
        None => version_template::number(&project, process, None, &[], &numbers).ok(),
    };
    let package = |need: domain::release::package_choice::Need<'_>| TemplatePackage {
        step_name: need.step.name.clone(),
        action_name: need.action.name.clone(),
        reference_name: need.package.name.clone(),
        package_id: need.package.package_id.clone(),
        feed_id: need.package.feed_id.to_string(),
        feed_name: feeds
            .iter()
            .find(|feed| feed.id == need.package.feed_id)
            .map_or_else(String::new, |feed| feed.name.clone()),
        last_version: last
            .as_ref()
            .and_then(|last| last.package_version(&need.step.name, &need.action.name, &need.package.name))
            .map(str::to_string),
        fixed_version: need.package.version.clone(),
        is_resolvable: need.is_resolvable(),
    };
    Ok(ReleaseTemplate {
        process_id: process.id.to_string(),
        last_version: last.as_ref().map(|last| last.version.clone()),
        next_version,
        versioning_package: donor
            .map(|donor| (donor.deployment_action.clone(), donor.package_reference.clone())),
        packages: needs(process, channel).into_iter().map(package).collect(),
    })
}
