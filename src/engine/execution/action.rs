//! One action on one machine, or on the Server.

use std::time::Duration;

use contracts::script_service::IsolationLevel;
use contracts::variables_file::{self, Variable};
use contracts::{ScriptFile, ScriptTicket, StartScriptCommand};
use domain::deployment_process::{SCRIPT, TENTACLE_PACKAGE};
use domain::planning::{Place, PlannedAction, PlannedStep, Target};
use domain::variable_set::effective::EffectiveVariable;
use domain::variable_set::output::OutputVariable;
use halibut::DataStream;
use security::sensitive_file;

use super::journal::{ActionOutcome, Finished, Known};
use super::preparation::{Prepared, Unprepared};
use super::script::{Ended, Script, exit_text};
use super::script_body::{self, Command};
use super::subject::Viewpoint;
use super::{Execution, ticket};
use crate::error::{Error, Result};
use crate::log::output::Output;

/// How long the agent may wait for the end of a script before it answers the start: short scripts need no second question, long
/// ones are still heard at once.
const FIRST_ANSWER: Duration = Duration::from_millis(250);

impl Execution {
    /// Whether a former executor began an action and did not see its end.
    pub(super) fn is_at_work(&self, action: &PlannedAction, target: Option<&Target>) -> bool {
        let ticket = self.ticket(action, target);
        matches!(self.journal.known(&ticket), Known::Dispatched | Known::Accepted)
    }

    fn ticket(&self, action: &PlannedAction, target: Option<&Target>) -> String {
        ticket::derive(
            self.task.as_str(),
            &action.id,
            target.map_or("", |target| target.id.as_str()),
            1,
        )
    }

    /// Does an action, or goes on with it where a former executor stopped.
    pub(super) async fn act(
        &self,
        step: &PlannedStep,
        action: &PlannedAction,
        target: Option<&Target>,
        block: &str,
    ) -> Result<ActionOutcome> {
        let name = self.ticket(action, target);
        let ticket = ScriptTicket::parse(&name).map_err(|error| Error::Broken(error.to_string()))?;
        let known = self.journal.known(&name);
        if let Known::Finished(finished) = known {
            self.remember(&finished.outputs);
            return Ok(finished.outcome);
        }
        let on_target = if action.place == Place::Target {
            target
        } else {
            None
        };
        let transport = match self
            .means
            .transports
            .to(on_target.map(|target| &target.connection))
        {
            Ok(transport) => transport,
            Err(text) => return self.not_begun(&ticket, block, &known, text).await,
        };
        let command = if known == Known::Accepted {
            None
        } else {
            match self.prepared(on_target, block).await? {
                Ok(prepared) => Some(
                    self.command(step, action, target, &ticket, &prepared, block)
                        .await?,
                ),
                Err(Unprepared::Cancelled) if known == Known::Nothing => return Ok(ActionOutcome::Canceled),
                // It was dispatched and may run: it must be stopped, and for that no command is needed.
                Err(Unprepared::Cancelled) => None,
                Err(Unprepared::Unreachable(text)) if known == Known::Nothing => {
                    if let Some(target) = on_target
                        && target.can_be_skipped
                    {
                        self.unprepared(target, block, Unprepared::Unreachable(text))?;
                        return Ok(ActionOutcome::Warned);
                    }
                    return self.not_begun(&ticket, block, &known, text).await;
                }
                Err(Unprepared::Unreachable(text) | Unprepared::Unusable(text)) => {
                    return self.not_begun(&ticket, block, &known, text).await;
                }
            }
        };
        let script = Script {
            transport: &*transport,
            machine: on_target.map_or("the Server", |target| &target.name),
            ticket,
            log: &self.log,
            block,
            journal: Some(&self.journal),
            stop: &self.stop,
            patience: self.means.patience,
        };
        let ended = script.run(command).await?;
        self.collect(&*transport, &script.ticket, on_target, &ended, block)
            .await?;
        let finished = self.finished(action, target, ended);
        self.remember(&finished.outputs);
        if let ActionOutcome::Failed(text) = &finished.outcome {
            self.log.error(block, text)?;
        }
        self.log.sync().await?;
        self.journal.finished(&name, &finished).await?;
        script.complete().await;
        Ok(finished.outcome)
    }

    /// The action could not begin. When a former executor had dispatched it, nobody knows what came of that.
    async fn not_begun(
        &self,
        ticket: &ScriptTicket,
        block: &str,
        known: &Known,
        text: String,
    ) -> Result<ActionOutcome> {
        let text = match known {
            Known::Nothing => text,
            _ => format!(
                "{text} The script may have been started before the Server was restarted, so its result is not known. It was not \
                 started again. Look at the machine before deploying again."
            ),
        };
        self.log.error(block, &text)?;
        self.log.sync().await?;
        let finished = Finished {
            outcome: ActionOutcome::Failed(text),
            outputs: Vec::new(),
        };
        self.journal.finished(ticket.as_str(), &finished).await?;
        Ok(finished.outcome)
    }

    async fn command(
        &self,
        step: &PlannedStep,
        action: &PlannedAction,
        target: Option<&Target>,
        ticket: &ScriptTicket,
        prepared: &Prepared,
        block: &str,
    ) -> Result<StartScriptCommand> {
        let local = self.local_variables(step, action, target, prepared);
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
            local: &local,
        };
        let (variables, warnings) = self.subject.variables(&self.plan, step, action, from)?;
        for warning in &warnings {
            self.log.warning(block, warning)?;
        }
        self.log.mask().add(
            variables
                .iter()
                .filter(|one| one.sensitive)
                .filter_map(|one| one.value.as_deref()),
        );
        let (secret, plain): (Vec<_>, Vec<_>) = variables.iter().partition(|variable| variable.sensitive);
        let mut files = vec![file(script_body::VARIABLES, text_of(&plain).into_bytes())];
        let password = (!secret.is_empty()).then(sensitive_file::generate_password);
        if let Some(password) = &password {
            let sealed = sensitive_file::encrypt(password, text_of(&secret).as_bytes());
            files.push(file(script_body::SENSITIVE_VARIABLES, sealed));
        }
        let package = package_path(action, prepared);
        let what = match action.action_type.as_str() {
            SCRIPT => Command::RunScript,
            TENTACLE_PACKAGE => Command::DeployPackage(package.ok_or_else(|| {
                Error::Broken(format!(
                    "The action '{}' has no package. Create the release again.",
                    action.name
                ))
            })?),
            other => {
                return Err(Error::Broken(format!(
                    "Actions of the type {other} cannot be run yet."
                )));
            }
        };
        let body = script_body::start_runner(&prepared.runner, what, password.as_ref());
        let mut command = StartScriptCommand::new(ticket.clone(), self.task.as_str(), &body);
        command.wait = Some(FIRST_ANSWER);
        let bypass = variables.iter().any(|variable| {
            domain::same_name(&variable.name, "OctopusBypassDeploymentMutex")
                && variable
                    .value
                    .as_deref()
                    .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
        });
        let alone = action.place == Place::Target && !bypass;
        command.isolation = if alone {
            IsolationLevel::Full
        } else {
            IsolationLevel::No
        };
        command.files = files;
        Ok(command)
    }

    /// What is known only where the action runs.
    fn local_variables(
        &self,
        step: &PlannedStep,
        action: &PlannedAction,
        target: Option<&Target>,
        prepared: &Prepared,
    ) -> Vec<(String, String)> {
        let machine = target.map_or("Server", |target| target.id.as_str());
        let set = format!(
            "{}/{}/{}/{machine}/<default>",
            self.subject.environment.id, self.subject.project.id, step.name
        );
        let mut values = vec![("OctopusRetentionPolicySet".to_owned(), set)];
        for package in action.packages.iter().filter(|package| package.acquired) {
            let key = (package.package_id.clone(), package.version.clone());
            if let Some(path) = prepared.packages.get(&key) {
                values.push((
                    format!("Octopus.Action.Package[{}].OriginalPath", package.reference),
                    path.clone(),
                ));
                if package.reference.is_empty() {
                    values.push((
                        "Octopus.Tentacle.CurrentDeployment.PackageFilePath".into(),
                        path.clone(),
                    ));
                }
            }
        }
        values.push((
            "Octopus.Tentacle.CurrentDeployment.TargetedRoles".into(),
            step.roles.join(","),
        ));
        values
    }

    fn finished(&self, action: &PlannedAction, target: Option<&Target>, ended: Ended) -> Finished {
        let (mut outputs, mut told) = (Vec::new(), None);
        let outcome = match ended {
            Ended::NotStarted(text) | Ended::Unknown(text) => ActionOutcome::Failed(text),
            Ended::Cancelled => ActionOutcome::Canceled,
            Ended::Exit {
                code,
                warned,
                effects,
            } => {
                for effect in effects {
                    match effect {
                        Output::Variable {
                            name,
                            value,
                            sensitive,
                        } => outputs.push(OutputVariable {
                            action: action.name.clone(),
                            machine: target.map(|target| target.name.clone()),
                            name,
                            value,
                            sensitive,
                        }),
                        Output::Result(text) => told = Some(text),
                        Output::Artifact { .. }
                        | Output::Line { .. }
                        | Output::Progress { .. }
                        | Output::Mask(_) => {}
                    }
                }
                let mask = self.log.mask();
                match (code, told) {
                    (0, _) if warned => ActionOutcome::Warned,
                    (0, _) => ActionOutcome::Succeeded,
                    (_, Some(text)) if !text.trim().is_empty() => {
                        ActionOutcome::Failed(mask.apply(&text).into_owned())
                    }
                    (code, _) => ActionOutcome::Failed(exit_text(code)),
                }
            }
        };
        Finished { outcome, outputs }
    }
}

fn package_path<'a>(action: &PlannedAction, prepared: &'a Prepared) -> Option<&'a str> {
    let package = action
        .packages
        .iter()
        .find(|package| package.reference.is_empty())?;
    let key = (package.package_id.clone(), package.version.clone());
    prepared.packages.get(&key).map(String::as_str)
}

fn text_of(variables: &[&EffectiveVariable]) -> String {
    let variables: Vec<Variable> = variables
        .iter()
        .map(|one| Variable {
            name: one.name.clone(),
            value: one.value.clone(),
            sensitive: one.sensitive,
        })
        .collect();
    variables_file::format(&variables)
}

fn file(name: &str, contents: Vec<u8>) -> ScriptFile {
    ScriptFile {
        name: name.into(),
        contents: DataStream::from_bytes(contents),
        encryption_password: None,
    }
}
