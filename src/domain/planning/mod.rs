//! What a deployment will do: a snapshot in, a [`Plan`] out (`deployments.md` 2, 7.2). Pure and deterministic: the same
//! snapshot gives the same plan, and its text form is what tests and previews show.

mod acquisition;
mod snapshot;
mod step;
mod target;
mod text;

use serde::{Deserialize, Serialize};

use crate::deployment_process::{Condition, PackageRequirement, StartTrigger};
use crate::machine::Connection;
use crate::{DeploymentId, MachineId, Problems};

pub use snapshot::Snapshot;

/// Why an action or step has no part in a deployment (`deployments.md` 2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeftOut {
    /// It is disabled; nothing is said of it.
    Disabled,
    /// It is for other environments.
    OtherEnvironment,
    /// It is for every environment but some, and this is one of them.
    ExcludedEnvironment,
    /// It is for releases of other channels.
    OtherChannel,
    /// It is for tenants.
    OtherTenants,
    /// The person who deploys does not want it.
    SkippedByUser,
    /// It needs machines, and there is none.
    NoTargets,
}

/// When a step or action runs (`deployments.md` 2.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunCondition {
    /// When nothing has failed.
    Success,
    /// When something has failed.
    Failure,
    /// In both cases.
    Always,
    /// When this expression is true, whatever has failed.
    Expression(String),
}

/// How it stands when a condition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing has failed.
    Ok,
    /// Something has failed.
    Failed,
    /// The deployment is being cancelled: nothing starts any more, `Always` included.
    Cancelling,
}

impl RunCondition {
    /// Whether to run. `is_true` evaluates the expression; an error in it counts as false.
    pub fn holds(&self, state: State, is_true: impl FnOnce(&str) -> bool) -> bool {
        match (state, self) {
            (State::Cancelling, _) | (State::Failed, Self::Success) | (State::Ok, Self::Failure) => false,
            (_, Self::Expression(expression)) => is_true(expression),
            _ => true,
        }
    }

    fn of(condition: Condition, expression: Option<&str>) -> Self {
        match condition {
            Condition::Success => Self::Success,
            Condition::Failure => Self::Failure,
            Condition::Always => Self::Always,
            Condition::Variable => Self::Expression(expression.unwrap_or_default().to_owned()),
        }
    }
}

/// Where the body of an action runs (`deployments.md` 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// On each machine of the step.
    Target,
    /// On the Server, once for each machine of the step, with the machine's variables.
    ServerForEachTarget,
    /// On the Server, once.
    Server,
}

/// A package version that an action uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedPackage {
    /// The name of the reference; empty = the primary package.
    pub reference: String,
    /// Which package.
    pub package_id: String,
    /// From where.
    pub feed_id: String,
    /// Which version.
    pub version: String,
    /// Whether the file is brought to where the action runs.
    pub acquired: bool,
}

/// One action in a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAction {
    /// `2`, or `2.1` for a child.
    pub number: String,
    /// The action's id in the process.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What kind of work.
    pub action_type: String,
    /// Where it runs.
    pub place: Place,
    /// When it runs, among its siblings.
    pub condition: RunCondition,
    /// Whether nobody may skip it.
    pub is_required: bool,
    /// What it uses.
    pub packages: Vec<PlannedPackage>,
    /// Why it does not run; it is shown as skipped.
    pub skipped: Option<LeftOut>,
}

/// One step in a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its place in the process, from 1.
    pub number: usize,
    /// The step's id in the process.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it runs; asked for when its block starts.
    pub condition: RunCondition,
    /// How many machines may be inside at once, as the process says it; may be an expression, to be evaluated
    /// when the step starts. None = the general limit.
    pub window: Option<String>,
    /// The roles it is for.
    pub roles: Vec<String>,
    /// The machines it runs on or for, in order; empty and no roles = it runs once.
    pub machines: Vec<MachineId>,
    /// Its actions in order. On a machine all of them run before the machine is done.
    pub actions: Vec<PlannedAction>,
}

/// A package that is brought somewhere before the steps that need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquired {
    /// Which package.
    pub package_id: String,
    /// From where.
    pub feed_id: String,
    /// Which version.
    pub version: String,
    /// To which machines, in order; the Server has it in any case.
    pub machines: Vec<MachineId>,
}

/// One stage of a deployment; stages run one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Packages are brought to the machines. It runs like a step with the condition `Success`, and also when a later step
    /// runs after a failure and needs packages.
    Acquire(Vec<Acquired>),
    /// Steps that run together.
    Block(Vec<PlannedStep>),
}

/// A machine that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its id.
    pub id: MachineId,
    /// Its name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// How it is reached.
    pub connection: Connection,
    /// Whether it is left out, with a warning, when it cannot be reached.
    pub can_be_skipped: bool,
}

/// What a deployment will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose plan it is.
    pub deployment_id: DeploymentId,
    /// `Web 1.0.0 to Test`.
    pub title: String,
    /// The machines that take part, in order.
    pub targets: Vec<Target>,
    /// What happens, in order.
    pub stages: Vec<Stage>,
    /// Actions without a part, by name, but for disabled ones.
    pub left_out: Vec<(String, LeftOut)>,
    /// What should be said in the log.
    pub warnings: Vec<String>,
    /// How many steps of a block, and machines of a step, run together.
    pub parallelism: usize,
    /// How many machines acquire packages together.
    pub acquisition_parallelism: usize,
    /// Whether a package may go to a machine as the difference to an older version there.
    #[serde(default = "yes")]
    pub delta_compression: bool,
}

/// A deployment that cannot be planned: its task fails with these texts before anything has run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The deployment cannot be planned: {0}")]
pub struct NotPlanned(pub Problems);

impl Plan {
    /// Every step that takes part, in order.
    pub fn steps(&self) -> impl Iterator<Item = &PlannedStep> {
        self.stages.iter().flat_map(|stage| match stage {
            Stage::Block(steps) => steps.as_slice(),
            Stage::Acquire(_) => &[],
        })
    }

    /// A machine that takes part.
    #[must_use]
    pub fn target(&self, id: &MachineId) -> Option<&Target> {
        self.targets.iter().find(|target| &target.id == id)
    }
}

/// Plans a deployment.
///
/// # Errors
/// Every reason why it cannot run: an action of a kind that is not known, a release without a version for a package, no
/// machine at all, an expression that has no value.
pub fn plan(snapshot: &Snapshot<'_>) -> Result<Plan, NotPlanned> {
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    let names = snapshot.names();
    let selection = step::select(snapshot, &names, &mut problems);
    let targets = target::choose(snapshot, &selection, &mut problems, &mut warnings);
    let steps = step::plan(snapshot, &selection, &targets, &names, &mut problems);
    let parallelism = limit(&names, "Octopus.Action.MaxParallelism", &mut warnings);
    let acquisition_parallelism = limit(&names, "Octopus.Acquire.MaxParallelism", &mut warnings);
    if snapshot.project.guided_failure(
        snapshot.deployment.use_guided_failure,
        snapshot.environment.use_guided_failure,
    ) {
        warnings.push(
            "Guided failure is on, which this Server cannot do yet: an action that fails is not asked about."
                .into(),
        );
    }
    if !problems.is_empty() {
        return Err(NotPlanned(problems));
    }
    let mut blocks: Vec<Vec<(PackageRequirement, PlannedStep)>> = Vec::new();
    let mut open_block = None;
    for (block, requirement, step) in steps {
        if open_block == Some(block)
            && let Some(last) = blocks.last_mut()
        {
            last.push((requirement, step));
        } else {
            blocks.push(vec![(requirement, step)]);
            open_block = Some(block);
        }
    }
    Ok(Plan {
        deployment_id: snapshot.deployment.id.clone(),
        title: format!(
            "{} {} to {}",
            snapshot.project.name, snapshot.release.version, snapshot.environment.name
        ),
        targets,
        stages: acquisition::place(blocks),
        left_out: selection.left_out,
        warnings,
        parallelism,
        acquisition_parallelism,
        delta_compression: !is_off(&names, "Octopus.Acquire.DeltaCompressionEnabled"),
    })
}

/// Which block each step of a process is in: a step that starts after the one before it begins a block, left-out
/// steps included.
fn blocks(triggers: impl Iterator<Item = StartTrigger>) -> impl Iterator<Item = usize> {
    triggers.enumerate().scan(0, |block, (position, trigger)| {
        if position > 0 && trigger == StartTrigger::StartAfterPrevious {
            *block += 1;
        }
        Some(*block)
    })
}

/// What plans of an older Server mean.
fn yes() -> bool {
    true
}

fn is_off(names: &octostache::VariableCollection, name: &str) -> bool {
    matches!(names.get(name), Ok(Some(text)) if text.trim().eq_ignore_ascii_case("false"))
}

fn limit(names: &octostache::VariableCollection, name: &str, warnings: &mut Vec<String>) -> usize {
    const DEFAULT: usize = 10;
    let Ok(Some(text)) = names.get(name) else {
        return DEFAULT;
    };
    match text.trim().parse::<usize>() {
        Ok(limit @ 1..) => limit.min(1000),
        _ => {
            warnings.push(format!(
                "The variable {name} is '{text}', which is no number above 0; {DEFAULT} is used."
            ));
            DEFAULT
        }
    }
}

#[cfg(test)]
mod tests;
