//! Steps: together in a block, machine by machine, child by child (`deployments.md` 2.5, 2.6).

use domain::planning::{LeftOut, Place, PlannedAction, PlannedStep, RunCondition, State, Target};
use domain::system_variables::Status as Of;
use files::task_logs::{Category, Status};
use futures::stream::{FuturesUnordered, StreamExt as _};

use super::subject::{Viewpoint, evaluate, is_true, status_values};
use super::{ActionOutcome, Execution, worst};
use crate::error::Result;
use crate::log::block;

/// What the log calls a step.
pub(super) fn title(step: &PlannedStep) -> String {
    format!("Step {}: {}", step.number, step.name)
}

impl Execution {
    pub(super) fn step_block(&self, step: &PlannedStep) -> String {
        block::child(&self.root, &step.id)
    }

    /// Runs the steps of a block together. All their conditions are asked before the first one starts.
    pub(super) async fn run_block(&self, steps: &[PlannedStep]) -> Result<()> {
        let state = self.state();
        let mut chosen = Vec::new();
        for step in steps {
            if self.is_finished_block(step) || self.holds(state, step, &step.condition, None)? {
                chosen.push(step);
            } else {
                self.leave_out(step, state)?;
            }
        }
        let mut waiting = chosen.into_iter();
        let mut running = FuturesUnordered::new();
        for step in waiting.by_ref().take(self.plan.parallelism) {
            running.push(self.run_step(step));
        }
        let mut first_error = Ok(());
        while let Some(ended) = running.next().await {
            if first_error.is_ok() {
                first_error = ended;
            }
            if first_error.is_ok()
                && let Some(step) = waiting.next()
            {
                running.push(self.run_step(step));
            }
        }
        first_error
    }

    /// Ends the scripts that a former executor had started, when the task was cancelled while nobody worked on it.
    pub(super) async fn stop_leftovers(&self) -> Result<()> {
        let mut work = Vec::new();
        for step in self.plan.steps() {
            let targets = step.machines.iter().map(|id| self.plan.target(id));
            let places: Vec<Option<&Target>> = if step.machines.is_empty() {
                vec![None]
            } else {
                targets.collect()
            };
            for target in places {
                for action in step
                    .actions
                    .iter()
                    .filter(|action| self.is_at_work(action, target))
                {
                    work.push(self.stop_leftover(step, action, target));
                }
            }
        }
        futures::future::try_join_all(work).await.map(drop)
    }

    async fn stop_leftover(
        &self,
        step: &PlannedStep,
        action: &PlannedAction,
        target: Option<&Target>,
    ) -> Result<()> {
        let mut block = self.step_block(step);
        if let Some(target) = target {
            block = block::child(&block, target.id.as_str());
        }
        if step.actions.len() > 1 {
            block = block::child(&block, &action.id);
        }
        self.act(step, action, target, &block).await.map(drop)
    }

    /// Whether a former executor had begun the step: then its condition was asked already.
    fn is_finished_block(&self, step: &PlannedStep) -> bool {
        self.log
            .status(&self.step_block(step))
            .is_some_and(|status| !matches!(status, Status::Pending | Status::Skipped))
            && !self.is_cancelling()
    }

    fn leave_out(&self, step: &PlannedStep, state: State) -> Result<()> {
        let block = self.step_block(step);
        if state == State::Cancelling {
            self.log.end(&block, Status::Canceled)?;
            return Ok(());
        }
        self.log.line(
            &block,
            Category::Info,
            "The step is skipped because its condition is not met.",
        )?;
        self.log.end(&block, Status::Skipped)?;
        self.tell(Of::Step, &step.name, "Skipped", None);
        Ok(())
    }

    async fn run_step(&self, step: &PlannedStep) -> Result<()> {
        let block = self.step_block(step);
        let status = if let Some(reason) = common_reason(step) {
            self.log.line(&block, Category::Info, skipped(&reason))?;
            Status::Skipped
        } else {
            self.log.begin(&block, Some(&self.root), &title(step))?;
            self.tell(Of::Step, &step.name, "Running", None);
            let once = step.machines.is_empty();
            if once {
                self.run_on(step, None, &block).await?
            } else {
                self.run_on_machines(step, &block).await?
            }
        };
        self.log.end(&block, status)?;
        self.tell(Of::Step, &step.name, word(status), None);
        Ok(())
    }

    /// At most as many machines at once as the window says; when one ends, the next one starts. After a failure no new one
    /// starts.
    async fn run_on_machines(&self, step: &PlannedStep, block: &str) -> Result<Status> {
        let limit = self.window(step, block)?;
        let targets: Vec<&Target> = step
            .machines
            .iter()
            .filter_map(|id| self.plan.target(id))
            .collect();
        for target in &targets {
            self.log.plan(
                &block::child(block, target.id.as_str()),
                Some(block),
                &target.name,
            )?;
        }
        let mut statuses = Vec::new();
        let mut waiting = targets.iter().copied();
        let mut running = FuturesUnordered::new();
        let mut fault = None;
        loop {
            let go_on = fault.is_none() && !statuses.contains(&Status::Failed) && !self.is_cancelling();
            while go_on && running.len() < limit {
                let Some(target) = waiting.next() else { break };
                running.push(self.run_on_machine(step, target, block));
            }
            match running.next().await {
                Some(Ok(status)) => statuses.push(status),
                Some(Err(error)) => fault = fault.or(Some(error)),
                None => break,
            }
        }
        if let Some(error) = fault {
            return Err(error);
        }
        for target in waiting {
            let machine_block = block::child(block, target.id.as_str());
            let status = if self.is_cancelling() {
                Status::Canceled
            } else {
                Status::Skipped
            };
            if status == Status::Skipped {
                self.log.info(
                    &machine_block,
                    "The machine is left out because the step has failed on another one.",
                )?;
            }
            self.log.end(&machine_block, status)?;
            statuses.push(status);
        }
        Ok(worst(statuses))
    }

    async fn run_on_machine(&self, step: &PlannedStep, target: &Target, block: &str) -> Result<Status> {
        let machine_block = block::child(block, target.id.as_str());
        self.log.begin(&machine_block, Some(block), &target.name)?;
        let status = if self.is_excluded(&target.id) {
            self.log
                .info(&machine_block, "The machine does not take part any more.")?;
            Status::Skipped
        } else {
            self.run_on(step, Some(target), &machine_block).await?
        };
        self.log.end(&machine_block, status)?;
        Ok(status)
    }

    /// The actions of a step in order, on one machine or without one.
    async fn run_on(&self, step: &PlannedStep, target: Option<&Target>, block: &str) -> Result<Status> {
        let alone = step.actions.len() == 1;
        let mut statuses = Vec::new();
        for action in &step.actions {
            let own_block = if alone {
                block.to_owned()
            } else {
                block::child(block, &action.id)
            };
            let title = format!("Step {}: {}", action.number, action.name);
            let failed_here = statuses.contains(&Status::Failed);
            let state = match (self.is_cancelling(), failed_here) {
                (true, _) => State::Cancelling,
                (false, true) => State::Failed,
                (false, false) => State::Ok,
            };
            if !alone {
                self.log.begin(&own_block, Some(block), &title)?;
            }
            let status = if let Some(reason) = &action.skipped {
                self.log.info(&own_block, skipped(reason))?;
                self.tell(Of::Action, &action.name, "Skipped", None);
                Status::Skipped
            } else if state == State::Cancelling {
                Status::Canceled
            } else if !alone && !self.child_holds(state, step, action, target)? {
                self.log.info(
                    &own_block,
                    "The action is skipped because its condition is not met.",
                )?;
                self.tell(Of::Action, &action.name, "Skipped", None);
                Status::Skipped
            } else {
                self.run_action(step, action, target, &own_block).await?
            };
            if !alone {
                self.log.end(&own_block, status)?;
            }
            statuses.push(status);
        }
        Ok(worst(statuses))
    }

    async fn run_action(
        &self,
        step: &PlannedStep,
        action: &PlannedAction,
        target: Option<&Target>,
        block: &str,
    ) -> Result<Status> {
        let outcome = self.act(step, action, target, block).await?;
        let (status, error) = match &outcome {
            ActionOutcome::Succeeded => (Status::Success, None),
            ActionOutcome::Warned => (Status::SuccessWithWarning, None),
            ActionOutcome::Canceled => (Status::Canceled, None),
            ActionOutcome::Failed(text) => (Status::Failed, Some(text.as_str())),
        };
        if let Some(text) = error {
            let place = target.map_or(String::new(), |target| format!(" on '{}'", target.name));
            self.fail(format!("The step '{}' failed{place}: {text}", action.name));
        }
        self.tell(Of::Action, &action.name, word(status), error);
        Ok(status)
    }

    /// A child runs when its own condition holds on this machine and the one of its parent still does.
    fn child_holds(
        &self,
        state: State,
        step: &PlannedStep,
        action: &PlannedAction,
        target: Option<&Target>,
    ) -> Result<bool> {
        let parent = match &step.condition {
            RunCondition::Expression(_) => self.holds(State::Ok, step, &step.condition, target)?,
            _ => true,
        };
        Ok(parent && self.holds(state, step, &action.condition, target)?)
    }

    fn holds(
        &self,
        state: State,
        step: &PlannedStep,
        condition: &RunCondition,
        target: Option<&Target>,
    ) -> Result<bool> {
        let RunCondition::Expression(expression) = condition else {
            return Ok(condition.holds(state, |_| false));
        };
        let (truth, warning) = self.evaluated(step, target, |variables| is_true(expression, variables))?;
        if let Some(text) = warning {
            self.log.warning(&self.step_block(step), &text)?;
        }
        Ok(condition.holds(state, |_| truth))
    }

    fn window(&self, step: &PlannedStep, block: &str) -> Result<usize> {
        let Some(window) = &step.window else {
            return Ok(self.plan.parallelism);
        };
        let (text, _) = self.evaluated(step, None, |variables| evaluate(window, variables))?;
        match text.trim().parse::<usize>() {
            Ok(limit @ 1..) => Ok(limit.min(1000)),
            _ if text.trim().is_empty() => Ok(self.plan.parallelism),
            _ => {
                let limit = self.plan.parallelism;
                let text = format!("The window '{text}' of the step is no number above 0; {limit} is used.");
                self.log.warning(block, &text)?;
                Ok(limit)
            }
        }
    }

    fn evaluated<T>(
        &self,
        step: &PlannedStep,
        target: Option<&Target>,
        look: impl FnOnce(&[domain::variable_set::effective::EffectiveVariable]) -> T,
    ) -> Result<T> {
        let Some(action) = step.actions.first() else {
            return Ok(look(&[]));
        };
        let outputs = self.outputs(target);
        let (error, statuses) = {
            let progress = self.progress();
            (progress.first_error.clone(), progress.statuses.clone())
        };
        let from = Viewpoint {
            target,
            outputs: &outputs,
            error: error.as_deref(),
            statuses: &statuses,
            local: &[],
        };
        let (variables, _) = self.subject.variables(&self.plan, step, action, from)?;
        Ok(look(&variables))
    }

    fn tell(&self, kind: Of, name: &str, status: &str, error: Option<&str>) {
        self.progress()
            .statuses
            .push(status_values(kind, name, status, error));
    }
}

/// Why no action of a step runs, when none does.
fn common_reason(step: &PlannedStep) -> Option<LeftOut> {
    let reasons: Vec<&LeftOut> = step
        .actions
        .iter()
        .filter_map(|action| action.skipped.as_ref())
        .collect();
    let needs_machine = step.actions.iter().any(|action| action.place != Place::Server);
    if reasons.len() == step.actions.len() {
        reasons.first().map(|reason| (*reason).clone())
    } else if needs_machine && step.machines.is_empty() && !step.roles.is_empty() {
        Some(LeftOut::NoTargets)
    } else {
        None
    }
}

fn skipped(reason: &LeftOut) -> &'static str {
    match reason {
        LeftOut::Disabled => "It is skipped because it is disabled.",
        LeftOut::OtherEnvironment => "It is skipped because it is for other environments.",
        LeftOut::ExcludedEnvironment => "It is skipped because this environment is excluded from it.",
        LeftOut::OtherChannel => "It is skipped because it is for releases of other channels.",
        LeftOut::OtherTenants => "It is skipped because it is for tenants.",
        LeftOut::SkippedByUser => "It is skipped because the person who deploys does not want it.",
        LeftOut::NoTargets => "It is skipped because there is no machine for it.",
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        Status::Running => "Running",
        Status::Success | Status::SuccessWithWarning => "Succeeded",
        Status::Failed => "Failed",
        Status::Skipped => "Skipped",
        Status::Canceled => "Canceled",
    }
}
