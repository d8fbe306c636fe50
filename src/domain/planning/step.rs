//! Which steps and actions take part, and where they run (`deployments.md` 2.2, 2.4).

use octostache::{Template, VariableCollection, evaluate};

use crate::deployment_process::{
    Action, PackageRequirement, SCRIPT, Step, TENTACLE_PACKAGE, comma_list, property,
};
use crate::planning::{
    LeftOut, Place, PlannedAction, PlannedPackage, PlannedStep, RunCondition, Snapshot, Target, blocks,
};
use crate::{Problems, same_name};

/// A step of which something takes part.
pub(super) struct SelectedStep<'a> {
    pub(super) number: usize,
    pub(super) block: usize,
    pub(super) step: &'a Step,
    pub(super) roles: Vec<String>,
    /// The actions with their number among all of the step, and whether the person skips them.
    pub(super) actions: Vec<(usize, &'a Action, bool)>,
}

/// What takes part before machines are looked at.
pub(super) struct Selection<'a> {
    pub(super) steps: Vec<SelectedStep<'a>>,
    pub(super) left_out: Vec<(String, LeftOut)>,
}

impl Selection<'_> {
    /// The roles of every step of which something will run; empty = no machine is needed.
    pub(super) fn roles(&self) -> Vec<&String> {
        let runs = |step: &&SelectedStep<'_>| step.actions.iter().any(|(.., skipped)| !skipped);
        self.steps
            .iter()
            .filter(runs)
            .flat_map(|step| &step.roles)
            .collect()
    }
}

pub(super) fn select<'a>(
    snapshot: &Snapshot<'a>,
    names: &VariableCollection,
    problems: &mut Problems,
) -> Selection<'a> {
    let steps = &snapshot.process.steps;
    let mut selection = Selection {
        steps: Vec::new(),
        left_out: Vec::new(),
    };
    let blocks = blocks(steps.iter().map(|step| step.start_trigger));
    for ((position, step), block) in steps.iter().enumerate().zip(blocks) {
        let mut actions = Vec::new();
        for (child, action) in step.actions.iter().enumerate() {
            match left_out(snapshot, action) {
                Some(LeftOut::Disabled) => {}
                Some(reason) => selection.left_out.push((action.name.clone(), reason)),
                None => {
                    let skips = &snapshot.deployment.skip_actions;
                    let skipped = skips
                        .iter()
                        .any(|id| same_name(id, &action.id) || same_name(id, &step.id));
                    if !skipped {
                        check(snapshot, action, problems);
                    }
                    actions.push((child + 1, action, skipped));
                }
            }
        }
        if !actions.is_empty() {
            let roles = roles(step, names, problems);
            check_step(step, problems);
            selection.steps.push(SelectedStep {
                number: position + 1,
                block,
                step,
                roles,
                actions,
            });
        }
    }
    selection
}

/// The steps as they will run, each with its block.
pub(super) fn plan(
    snapshot: &Snapshot<'_>,
    selection: &Selection<'_>,
    targets: &[Target],
    names: &VariableCollection,
    problems: &mut Problems,
) -> Vec<(usize, PackageRequirement, PlannedStep)> {
    let mut planned = Vec::new();
    for selected in &selection.steps {
        let step = selected.step;
        let holds = |target: &&Target| {
            selected
                .roles
                .iter()
                .any(|role| target.roles.iter().any(|own| same_name(own, role)))
        };
        let machines: Vec<_> = targets
            .iter()
            .filter(holds)
            .map(|target| target.id.clone())
            .collect();
        let is_parent = step.actions.len() > 1;
        let mut actions = Vec::new();
        for (child, action, skipped) in &selected.actions {
            let place = match (action.runs_on_server(), selected.roles.is_empty()) {
                (false, _) => Place::Target,
                (true, false) => Place::ServerForEachTarget,
                (true, true) => Place::Server,
            };
            let reason = match (skipped, place, machines.is_empty()) {
                (true, ..) => Some(LeftOut::SkippedByUser),
                (false, Place::Target | Place::ServerForEachTarget, true) => Some(LeftOut::NoTargets),
                _ => None,
            };
            let condition = if is_parent {
                RunCondition::of(
                    action.condition,
                    action.properties.text(property::ACTION_CONDITION),
                )
            } else {
                RunCondition::Success
            };
            actions.push(PlannedAction {
                number: if is_parent {
                    format!("{}.{child}", selected.number)
                } else {
                    selected.number.to_string()
                },
                id: action.id.clone(),
                name: action.name.clone(),
                action_type: action.action_type.clone(),
                place,
                condition,
                is_required: action.is_required,
                packages: match reason {
                    None => packages(snapshot, step, action, names, problems),
                    Some(_) => Vec::new(),
                },
                skipped: reason,
            });
        }
        let condition = RunCondition::of(step.condition, step.properties.text(property::STEP_CONDITION));
        let planned_step = PlannedStep {
            number: selected.number,
            id: step.id.clone(),
            name: step.name.clone(),
            condition,
            window: step.properties.text(property::MAX_PARALLELISM).map(str::to_owned),
            roles: selected.roles.clone(),
            machines,
            actions,
        };
        planned.push((selected.block, step.package_requirement, planned_step));
    }
    planned
}

/// The first reason that keeps an action out of the plan.
fn left_out(snapshot: &Snapshot<'_>, action: &Action) -> Option<LeftOut> {
    let environment = &snapshot.environment.id;
    if action.is_disabled {
        Some(LeftOut::Disabled)
    } else if !action.environments.is_empty() && !action.environments.contains(environment) {
        Some(LeftOut::OtherEnvironment)
    } else if action.excluded_environments.contains(environment) {
        Some(LeftOut::ExcludedEnvironment)
    } else if !action.channels.is_empty() && !action.channels.contains(&snapshot.release.channel_id) {
        Some(LeftOut::OtherChannel)
    } else if !action.tenant_tags.is_empty() {
        Some(LeftOut::OtherTenants)
    } else {
        None
    }
}

/// What this Server cannot do is refused before anything runs, never left out in silence.
fn check(snapshot: &Snapshot<'_>, action: &Action, problems: &mut Problems) {
    let name = &action.name;
    if ![SCRIPT, TENTACLE_PACKAGE].contains(&action.action_type.as_str()) {
        problems.add(format!(
            "The action '{name}' is of the type {}, which this Server cannot run yet. Use {SCRIPT} or {TENTACLE_PACKAGE}, \
             or disable the action.",
            action.action_type
        ));
        return;
    }
    let asks = |what: &str, remedy: &str| {
        format!("The action '{name}' asks for {what}, which this Server cannot do yet. {remedy}")
    };
    if action
        .container
        .image
        .as_deref()
        .is_some_and(|image| !image.trim().is_empty())
    {
        problems.add(asks("a container to run in", "Take Container.Image out."));
    }
    let pool = action
        .worker_pool_id
        .as_ref()
        .is_some_and(|pool| !pool.is_empty());
    let pool_variable = action
        .worker_pool_variable
        .as_deref()
        .is_some_and(|name| !name.trim().is_empty());
    if action.runs_on_server() && (pool || pool_variable) {
        problems.add(asks(
            "a worker pool",
            "Take WorkerPoolId and WorkerPoolVariable out.",
        ));
    }
    if action.runs_on_server() && !snapshot.server_runs_actions {
        problems.add(format!(
            "The action '{name}' runs on the Server, which this installation does not allow (BUILTIN_WORKER=false), and \
             there are no workers. Run it on targets, or start the Server with BUILTIN_WORKER=true."
        ));
    }
    if action
        .properties
        .text("Octopus.Action.AutoRetry.MaximumCount")
        .is_some_and(|count| count.trim() != "0")
    {
        problems.add(asks(
            "automatic retries",
            "Take Octopus.Action.AutoRetry.MaximumCount out.",
        ));
    }
    let limit = action.properties.text("Octopus.Action.ExecutionTimeout.Minutes");
    if limit.is_some_and(|minutes| minutes.trim() != "0") {
        problems.add(asks(
            "a time limit",
            "Take Octopus.Action.ExecutionTimeout.Minutes out.",
        ));
    }
    if !action.git_dependencies.is_empty() {
        problems.add(asks("files from Git", "Take its GitDependencies out."));
    }
    if !action.runs_on_server()
        && action.packages.iter().any(|package| {
            package
                .acquisition_location
                .trim()
                .eq_ignore_ascii_case("ExecutionTarget")
        })
    {
        problems.add(asks(
            "a package that the target fetches itself",
            "Set its AcquisitionLocation to Server.",
        ));
    }
}

fn check_step(step: &Step, problems: &mut Problems) {
    let expressions = [
        (
            property::MAX_PARALLELISM,
            step.properties.text(property::MAX_PARALLELISM),
        ),
        (
            property::STEP_CONDITION,
            step.properties.text(property::STEP_CONDITION),
        ),
    ];
    for (name, text) in expressions {
        if let Some(Err(error)) = text.map(Template::parse) {
            problems.add(format!(
                "The property {name} of the step '{}' cannot be used: {error}.",
                step.name
            ));
        }
    }
}

fn roles(step: &Step, names: &VariableCollection, problems: &mut Problems) -> Vec<String> {
    let text = step.properties.text(property::TARGET_ROLES).unwrap_or_default();
    let what = || format!("The roles '{text}' of the step '{}'", step.name);
    let roles = comma_list(&evaluated(text, names, what, problems));
    if roles.is_empty()
        && step
            .actions
            .iter()
            .any(|action| !action.is_disabled && !action.runs_on_server())
    {
        problems.add(format!(
            "The step '{}' runs on targets, but has no roles. Set its property {}.",
            step.name,
            property::TARGET_ROLES
        ));
    }
    roles
}

fn packages(
    snapshot: &Snapshot<'_>,
    step: &Step,
    action: &Action,
    names: &VariableCollection,
    problems: &mut Problems,
) -> Vec<PlannedPackage> {
    let mut packages = Vec::new();
    for package in &action.packages {
        let what = || {
            format!(
                "The package '{}' of the action '{}'",
                package.package_id, action.name
            )
        };
        let package_id = evaluated(&package.package_id, names, what, problems);
        let feed_id = evaluated(package.feed_id.as_str(), names, what, problems);
        match snapshot.release.package_version(&step.name, &action.name, &package.name) {
            Some(version) => packages.push(PlannedPackage {
                reference: package.name.clone(),
                package_id,
                feed_id,
                version: version.to_owned(),
                acquired: package.is_acquired(),
            }),
            None => problems.add(format!(
                "Release {} has no version for the package '{package_id}' of the action '{}'. Make a new release.",
                snapshot.release.version, action.name
            )),
        }
    }
    packages
}

fn evaluated(
    text: &str,
    names: &VariableCollection,
    what: impl Fn() -> String,
    problems: &mut Problems,
) -> String {
    if !text.contains("#{") {
        return text.to_owned();
    }
    let remedy = "Change it, or give the variables values that do not depend on a machine.";
    match evaluate(text, names) {
        Ok(evaluation) => {
            if let Some(error) = evaluation.error() {
                problems.add(format!("{} cannot be evaluated: {error}. {remedy}", what()));
            }
            evaluation.value
        }
        Err(error) => {
            problems.add(format!("{} cannot be evaluated: {error}. {remedy}", what()));
            String::new()
        }
    }
}
