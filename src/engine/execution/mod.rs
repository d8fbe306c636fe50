//! Walks a plan: what runs where and when, and what is remembered of it.

mod acquisition;
mod action;
mod artifact;

pub mod difference;
pub mod journal;
mod look;
mod part;
pub mod polling;
pub mod preparation;
pub mod runner;
pub mod script;
pub mod script_body;
mod step;
pub mod subject;
pub mod ticket;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::Context;
use domain::planning::{Plan, RunCondition, Stage, State, Target};
use domain::system_variables::Values;
use domain::variable_set::output::{OutputVariable, OutputVariables};
use domain::{Machine, MachineId, ServerTaskId};
use files::task_logs::Status;

pub use journal::{ActionOutcome, Journal};
use preparation::Prepared;
pub use script::Stop;
use subject::Subject;

use crate::error::Result;
use crate::log::{TaskLog, block};
use crate::transport::Transports;

/// What every execution works with.
pub struct Means {
    /// The ways to machines.
    pub transports: Transports,
    /// The runner's programs.
    pub runners: runner::Runners,
    /// The differences between packages.
    pub differences: difference::Differences,
    /// How long calls to a machine are repeated before it is given up.
    pub patience: Duration,
}

/// A plan at work.
pub struct Execution {
    pub(crate) context: Arc<Context>,
    pub(crate) means: Arc<Means>,
    pub(crate) task: ServerTaskId,
    pub(crate) epoch: i64,
    pub(crate) subject: Subject,
    pub(crate) plan: Plan,
    pub(crate) journal: Journal,
    pub(crate) log: TaskLog,
    pub(crate) stop: Stop,
    root: String,
    progress: Mutex<Progress>,
    prepared: Mutex<HashMap<String, Slot>>,
}

/// What came of preparing one machine; locked while somebody does it.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Prepared>>>>;

/// What has happened so far.
#[derive(Default)]
struct Progress {
    outputs: OutputVariables,
    first_error: Option<String>,
    excluded: BTreeSet<MachineId>,
    statuses: Vec<Values>,
    looks: u32,
    renewed: Vec<MachineId>,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// The first failure; None: all went well, or the task was cancelled.
    pub first_error: Option<String>,
    /// Whether it was stopped by a cancel.
    pub is_cancelled: bool,
    /// The machines that took part to the end.
    pub machines: Vec<MachineId>,
}

/// What an execution is about.
pub struct Assignment {
    /// The task.
    pub task: ServerTaskId,
    /// Which executor of it this is.
    pub epoch: i64,
    /// The documents.
    pub subject: Subject,
    /// The plan, as it was first made.
    pub plan: Plan,
    /// What former executors did.
    pub journal: Journal,
    /// Where it is told.
    pub log: TaskLog,
    /// What ends it early.
    pub stop: Stop,
}

impl Execution {
    /// Ready to walk.
    #[must_use]
    pub fn new(context: Arc<Context>, means: Arc<Means>, assignment: Assignment) -> Self {
        let Assignment {
            task,
            epoch,
            subject,
            plan,
            journal,
            log,
            stop,
        } = assignment;
        Self {
            root: block::task(task.as_str()),
            context,
            means,
            task,
            epoch,
            subject,
            plan,
            journal,
            log,
            stop,
            progress: Mutex::default(),
            prepared: Mutex::default(),
        }
    }

    /// Walks the plan from its beginning. What the journal says is finished is not done again, only remembered.
    ///
    /// # Errors
    /// When the lease is lost, or the Server's own database or volume fails.
    pub async fn run(&self) -> Result<Walked> {
        self.show_plan()?;
        if self.is_cancelling() {
            self.stop_leftovers().await?;
        }
        for (position, stage) in self.plan.stages.iter().enumerate() {
            match stage {
                Stage::Acquire(packages) => self.acquire(position, packages).await?,
                Stage::Block(steps) => self.run_block(steps).await?,
            }
        }
        let is_cancelled = self.is_cancelling();
        let progress = self.progress();
        let taken = self.plan.targets.iter().map(|target| target.id.clone());
        Ok(Walked {
            first_error: progress.first_error.clone(),
            is_cancelled,
            machines: taken.filter(|id| !progress.excluded.contains(id)).collect(),
        })
    }

    /// The machines to which a runner was sent.
    #[must_use]
    pub fn machines_with_new_runner(&self) -> Vec<Machine> {
        let renewed = self.progress().renewed.clone();
        let targets = renewed.iter().filter_map(|id| self.plan.target(id));
        targets
            .filter_map(|target| self.subject.machine(target).cloned())
            .collect()
    }

    /// Opens a block for each stage and step, so that everybody sees what is to come.
    fn show_plan(&self) -> Result<()> {
        for (position, stage) in self.plan.stages.iter().enumerate() {
            match stage {
                Stage::Acquire(_) => {
                    self.log.plan(
                        &self.acquisition_block(position),
                        Some(&self.root),
                        acquisition::TITLE,
                    )?;
                }
                Stage::Block(steps) => {
                    for step in steps {
                        self.log
                            .plan(&self.step_block(step), Some(&self.root), &step::title(step))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> State {
        if self.is_cancelling() {
            State::Cancelling
        } else if self.progress().first_error.is_some() {
            State::Failed
        } else {
            State::Ok
        }
    }

    fn is_cancelling(&self) -> bool {
        self.stop.cancelling.is_cancelled()
    }

    fn fail(&self, text: String) {
        self.progress().first_error.get_or_insert(text);
    }

    fn remember(&self, outputs: &[OutputVariable]) {
        let mut progress = self.progress();
        for output in outputs {
            if output.sensitive {
                self.log.mask().add([output.value.as_str()]);
            }
            progress.outputs.set(output.clone());
        }
    }

    /// What earlier actions left, as a machine sees it.
    fn outputs(&self, target: Option<&Target>) -> Vec<(String, String, bool)> {
        let names: Vec<String> = self
            .plan
            .targets
            .iter()
            .map(|target| target.name.clone())
            .collect();
        self.progress()
            .outputs
            .visible(target.map(|target| target.name.as_str()), &names)
    }

    fn is_excluded(&self, machine: &MachineId) -> bool {
        self.progress().excluded.contains(machine)
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worst of the statuses of blocks within a block (`deployments.md` 8.8).
fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    let (mut worst, mut only_skipped, mut any) = (Status::Success, true, false);
    let weight = |status: Status| match status {
        Status::Failed => 3,
        Status::Canceled => 2,
        Status::SuccessWithWarning => 1,
        _ => 0,
    };
    for status in statuses {
        any = true;
        only_skipped &= status == Status::Skipped;
        if weight(status) > weight(worst) {
            worst = status;
        }
    }
    if any && only_skipped {
        Status::Skipped
    } else {
        worst
    }
}

/// Whether a condition may hold although something has failed.
fn survives_failure(condition: &RunCondition) -> bool {
    *condition != RunCondition::Success
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_bad_as_the_worst_in_it() {
        use Status::{Canceled, Failed, Skipped, Success, SuccessWithWarning};
        assert_eq!(worst([]), Success);
        assert_eq!(worst([Skipped, Skipped]), Skipped);
        assert_eq!(worst([Skipped, Success]), Success);
        assert_eq!(worst([Success, SuccessWithWarning]), SuccessWithWarning);
        assert_eq!(worst([Canceled, Failed, Success]), Failed);
    }
}
