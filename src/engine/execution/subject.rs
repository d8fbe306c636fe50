//! What a deployment is about: everything that is read once, and the variables that come of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::Context;
use application::prompt::{self, Answer};
use application::sealing;
use domain::deployment_process::{Action, Step};
use domain::planning::{Plan, PlannedAction, PlannedStep, Snapshot, Target};
use domain::sensitive::SensitiveValue;
use domain::system_variables::{self, ActionPackage, Status, Values};
use domain::variable_set::effective::{EffectiveVariable, SealedIn, Sources, collection, effective};
use domain::variable_set::resolve::resolve;
use domain::variable_set::scope::{CurrentAction, CurrentMachine, Place, Source};
use domain::variable_set::{VariableSet, VariableValue};
use domain::{
    Channel, Deployment, DeploymentProcess, Environment, Machine, Project, ProjectGroup, Release,
    ServerTaskId, Space, SpaceId,
};
use security::Sealed;

use crate::error::{Error, Result};

/// The documents of a deployment.
pub struct Subject {
    context: Arc<Context>,
    /// The space.
    pub space: Space,
    /// The deployment.
    pub deployment: Deployment,
    /// Its release.
    pub release: Release,
    /// Its project.
    pub project: Project,
    group: ProjectGroup,
    channel: Channel,
    /// Its environment.
    pub environment: Environment,
    process: DeploymentProcess,
    variables: VariableSet,
    machines: Vec<Machine>,
    answers: BTreeMap<String, Answer>,
    current_release: Option<(String, String)>,
    previous_release: Option<(String, String)>,
    task: ServerTaskId,
}

/// Where variables are looked at from, beside the deployment.
#[derive(Clone, Copy, Default)]
pub struct Viewpoint<'a> {
    /// The machine, when there is one.
    pub target: Option<&'a Target>,
    /// What earlier actions left, as seen from here.
    pub outputs: &'a [(String, String, bool)],
    /// The first failure so far.
    pub error: Option<&'a str>,
    /// Statuses of steps and actions so far.
    pub statuses: &'a [Values],
    /// Paths and the like that are known only here.
    pub local: &'a [(String, String)],
}

impl Subject {
    /// Reads everything. What is gone makes the task fail with its name.
    ///
    /// # Errors
    /// When the database fails, or a document is gone or damaged.
    pub async fn read(context: Arc<Context>, space: &SpaceId, task: &ServerTaskId) -> Result<Self> {
        let mut session = context.database.read().await?;
        let session = &mut session;
        let deployment = storage::deployment::of_task(session, task)
            .await?
            .ok_or_else(|| gone("deployment of the task", task.as_str()))?
            .deployment;
        let release = storage::release::find(session, space, deployment.release_id.as_str())
            .await?
            .ok_or_else(|| gone("release", deployment.release_id.as_str()))?;
        let process_id = release.project_deployment_process_snapshot_id.as_str();
        let process = storage::deployment_process::find(session, space, process_id)
            .await?
            .ok_or_else(|| gone("process of the release", process_id))?;
        let set_id = release.project_variable_set_snapshot_id.as_str();
        let mut variables = storage::variable_set::find(session, space, set_id)
            .await?
            .ok_or_else(|| gone("variable set of the release", set_id))?;
        let project: Project = find(session, space, "project", deployment.project_id.as_str()).await?;
        let group = storage::named::find(session, space, project.project_group_id.as_str())
            .await?
            .unwrap_or_default();
        let environment: Environment =
            find(session, space, "environment", deployment.environment_id.as_str()).await?;
        let channel = storage::channel::find(session, space, release.channel_id.as_str())
            .await?
            .ok_or_else(|| gone("channel", release.channel_id.as_str()))?;
        let spaces = storage::space::all(session).await?;
        let own_space = spaces
            .into_iter()
            .find(|one| &one.id == space)
            .ok_or_else(|| gone("space", space.as_str()))?;
        let mut machines = storage::machine::all(session, space).await?;
        machines.retain(|machine| machine.environment_ids.contains(&environment.id));
        let (current_release, previous_release) = releases_before(session, space, &deployment).await?;
        let answers = prompt::opened(&context.keys, &deployment)?;
        for variable in &mut variables.variables {
            match answers.get(&variable.id) {
                Some(Answer::Plain(text)) => variable.value = VariableValue::Plain(Some(text.clone())),
                // The text is never opened: the answer stands for it.
                Some(Answer::Secret(_)) => {
                    variable.value =
                        VariableValue::Sensitive(SensitiveValue::Sealed(Sealed::from_text("answered")));
                }
                None => {}
            }
        }
        Ok(Self {
            context: context.clone(),
            space: own_space,
            deployment,
            release,
            project,
            group,
            channel,
            environment,
            process,
            variables,
            machines,
            answers,
            current_release,
            previous_release,
            task: task.clone(),
        })
    }

    /// Plans the deployment.
    ///
    /// # Errors
    /// Sentences that say why it cannot be.
    pub fn plan(&self) -> std::result::Result<Plan, String> {
        let machines: Vec<&Machine> = self.machines.iter().collect();
        let system = self.system(&machines, None);
        let snapshot = Snapshot {
            deployment: &self.deployment,
            release: &self.release,
            project: &self.project,
            environment: &self.environment,
            process: &self.process,
            variables: &self.variables,
            machines: &self.machines,
            system_variables: &system,
            server_runs_actions: self.context.builtin_worker,
        };
        domain::planning::plan(&snapshot).map_err(|error| error.to_string())
    }

    /// Every secret that can be opened: none of them may be seen in the log.
    #[must_use]
    pub fn secrets(&self) -> Vec<security::Secret> {
        let fields = self
            .variables
            .variables
            .iter()
            .filter_map(|variable| match &variable.value {
                VariableValue::Sensitive(SensitiveValue::Sealed(sealed)) => {
                    Some((format!("Variables/{}", variable.id), sealed))
                }
                _ => None,
            });
        let variables =
            fields.filter_map(|(field, sealed)| self.open(SealedIn::Variables(&field), sealed).ok());
        let properties = self
            .process
            .actions()
            .flat_map(|(step, action)| system_variables::sensitive_properties(step, action));
        let properties = properties.filter_map(|(_, field, value)| match value {
            SensitiveValue::Sealed(sealed) => self.open(SealedIn::Process(&field), sealed).ok(),
            _ => None,
        });
        variables.chain(properties).collect()
    }

    /// The variables of an action, and what should be said about them.
    ///
    /// # Errors
    /// When the action is gone or a secret does not open.
    pub fn variables(
        &self,
        plan: &Plan,
        step: &PlannedStep,
        action: &PlannedAction,
        from: Viewpoint<'_>,
    ) -> Result<(Vec<EffectiveVariable>, Vec<String>)> {
        let (own_step, own_action) = self.of_plan(action)?;
        let place = Place {
            environment: Some(self.environment.id.as_str()),
            machine: from.target.map(|target| CurrentMachine {
                id: target.id.as_str(),
                roles: &target.roles,
            }),
            action: Some(CurrentAction {
                id: &action.id,
                step_id: &step.id,
                target_roles: &step.roles,
            }),
            channel: Some(self.channel.id.as_str()),
            tenant_tags: &[],
            process_owner: Some(self.project.id.as_str()),
        };
        let resolved = resolve(&[(&self.variables, Source::Project)], &place);
        let machines: Vec<&Machine> = plan
            .targets
            .iter()
            .filter_map(|target| self.machine(target))
            .collect();
        let packages: Vec<ActionPackage<'_>> = action
            .packages
            .iter()
            .map(|package| ActionPackage {
                reference: &package.reference,
                package_id: &package.package_id,
                feed_id: &package.feed_id,
                version: &package.version,
            })
            .collect();
        let mut computed = vec![self.system(&machines, from.error)];
        computed.extend(from.statuses.iter().cloned());
        if let Some(machine) = from.target.and_then(|target| self.machine(target)) {
            computed.push(system_variables::of_machine(machine));
        }
        computed.push(system_variables::of_action(
            own_step,
            step.number,
            own_action,
            &action.number,
            &packages,
        ));
        computed.push(from.local.to_vec());
        let sources = Sources {
            variables: &resolved,
            action: (own_step, own_action),
            computed: &computed,
            outputs: from.outputs,
        };
        let variables = effective(&sources, |place, sealed| self.open(place, sealed))?;
        Ok((variables, resolved.warnings.clone()))
    }

    /// The machine of a target as it was when the deployment began, or began again.
    #[must_use]
    pub fn machine(&self, target: &Target) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.id == target.id)
    }

    fn of_plan(&self, action: &PlannedAction) -> Result<(&Step, &Action)> {
        let mut actions = self.process.actions();
        actions
            .find(|(_, own)| own.id == action.id)
            .ok_or_else(|| gone("action", &action.name))
    }

    fn system(&self, machines: &[&Machine], error: Option<&str>) -> Values {
        fn pair(release: &Option<(String, String)>) -> Option<(&str, &str)> {
            release
                .as_ref()
                .map(|(id, version)| (id.as_str(), version.as_str()))
        }
        system_variables::of_deployment(&system_variables::Subject {
            space: &self.space,
            project: &self.project,
            project_group: &self.group,
            environment: &self.environment,
            release: &self.release,
            channel: &self.channel,
            deployment: &self.deployment,
            task_id: &self.task,
            server_uri: self
                .context
                .server_uri
                .as_deref()
                .unwrap_or_default()
                .trim_end_matches('/'),
            machines,
            error,
            current_release: pair(&self.current_release),
            previous_release: pair(&self.previous_release),
        })
    }

    fn open(&self, place: SealedIn<'_>, sealed: &Sealed) -> Result<security::Secret> {
        let space = &self.space.id;
        let (document, field) = match place {
            SealedIn::Variables(field) => {
                let id = field.strip_prefix("Variables/").unwrap_or(field);
                if let Some(Answer::Secret(answer)) = self.answers.get(id) {
                    return Ok(answer.clone());
                }
                (
                    sealing::Place::variables(space, self.variables.id.as_str()),
                    field,
                )
            }
            SealedIn::Process(field) => (sealing::Place::process(space, self.process.id.as_str()), field),
        };
        Ok(self.context.keys.open(document.field(field), sealed)?)
    }
}

/// Evaluates an expression; the second part is what should be said about it.
#[must_use]
pub fn evaluate(expression: &str, variables: &[EffectiveVariable]) -> (String, Option<String>) {
    const NAME: &str = "Mantle.Expression";
    let mut names = collection(variables);
    names.set(NAME, Some(expression));
    match names.get(NAME) {
        Ok(text) => {
            let text = text.unwrap_or_default();
            let warning = text
                .contains("#{")
                .then(|| format!("The expression '{expression}' could not be evaluated wholly: '{text}'."));
            (text, warning)
        }
        Err(error) => (
            String::new(),
            Some(format!(
                "The expression '{expression}' cannot be evaluated: {error}."
            )),
        ),
    }
}

/// Whether a condition is true. What cannot be evaluated is false, with a warning.
#[must_use]
pub fn is_true(expression: &str, variables: &[EffectiveVariable]) -> (bool, Option<String>) {
    let (text, warning) = evaluate(expression, variables);
    let word = text.trim().to_ascii_lowercase();
    let truth = warning.is_none() && !matches!(word.as_str(), "" | "0" | "no" | "false");
    (
        truth,
        warning.map(|text| format!("{text} The condition counts as false.")),
    )
}

/// Statuses of a step or action as variables.
#[must_use]
pub fn status_values(kind: Status, name: &str, status: &str, error: Option<&str>) -> Values {
    system_variables::of_status(kind, name, status, error)
}

async fn find<T: storage::named::NamedDocument>(
    session: &mut storage::Session,
    space: &SpaceId,
    kind: &str,
    id: &str,
) -> Result<T> {
    storage::named::find(session, space, id)
        .await?
        .ok_or_else(|| gone(kind, id))
}

/// The release of the last success in this environment, and of the last success of another release.
async fn releases_before(
    session: &mut storage::Session,
    space: &SpaceId,
    deployment: &Deployment,
) -> Result<(Option<(String, String)>, Option<(String, String)>)> {
    let filter = storage::deployment::DeploymentFilter {
        projects: vec![deployment.project_id.to_string()],
        environments: vec![deployment.environment_id.to_string()],
        states: vec![domain::TaskState::Success],
        ..storage::deployment::DeploymentFilter::default()
    };
    let (found, _) = storage::deployment::page(session, space, &filter, 0, 100).await?;
    let mut earlier = found
        .into_iter()
        .map(|stored| stored.deployment)
        .filter(|other| other.id != deployment.id);
    let mut named = async |other: Option<Deployment>| -> Result<Option<(String, String)>> {
        let Some(other) = other else { return Ok(None) };
        let release = storage::release::find(session, space, other.release_id.as_str()).await?;
        Ok(release.map(|release| (release.id.to_string(), release.version)))
    };
    let current = earlier.next();
    let own = &deployment.release_id;
    let previous = match &current {
        Some(current) if current.release_id != *own => Some(current.clone()),
        _ => earlier.find(|other| other.release_id != *own),
    };
    Ok((named(current).await?, named(previous).await?))
}

fn gone(kind: &str, id: &str) -> Error {
    Error::Broken(format!(
        "The {kind} '{id}' is gone. Create the release and the deployment again."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_true_when_its_text_says_so() {
        let variable = |name: &str, value: &str| EffectiveVariable {
            name: name.into(),
            value: Some(value.into()),
            sensitive: false,
        };
        let variables = [
            variable("Go", "True"),
            variable("Loop", "#{Loop}"),
            variable("Zero", "0"),
        ];
        for (expression, truth, warns) in [
            ("#{Go}", true, false),
            ("#{if Go}yes#{/if}", true, false),
            ("#{unless Go}yes#{/unless}", false, false),
            ("#{Zero}", false, false),
            ("no", false, false),
            ("", false, false),
            ("#{Missing}", false, true),
            ("#{Loop}", false, true),
        ] {
            let (found, warning) = is_true(expression, &variables);
            assert_eq!((found, warning.is_some()), (truth, warns), "{expression}");
        }
    }
}
