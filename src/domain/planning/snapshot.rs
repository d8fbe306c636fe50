//! What a plan is made from: read once when the deployment starts.

use octostache::VariableCollection;

use crate::variable_set::VariableValue;
use crate::variable_set::resolve::resolve;
use crate::variable_set::scope::{Place, Source};
use crate::{Deployment, DeploymentProcess, Environment, Machine, Project, Release, VariableSet};

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// Its release.
    pub release: &'a Release,
    /// Its project.
    pub project: &'a Project,
    /// Its environment.
    pub environment: &'a Environment,
    /// The release's copy of the process.
    pub process: &'a DeploymentProcess,
    /// The release's copy of the variables.
    pub variables: &'a VariableSet,
    /// The machines of the environment.
    pub machines: &'a [Machine],
    /// The computed variables of the deployment (`system_variables::of_deployment`).
    pub system_variables: &'a [(String, String)],
    /// Whether actions may run on the Server (`BUILTIN_WORKER`).
    pub server_runs_actions: bool,
}

impl Snapshot<'_> {
    /// The variables that can be seen before there is a machine or an action. Secrets are not among them.
    pub(super) fn names(&self) -> VariableCollection {
        let place = Place {
            environment: Some(self.environment.id.as_str()),
            channel: Some(self.release.channel_id.as_str()),
            process_owner: Some(self.project.id.as_str()),
            ..Place::default()
        };
        let answered = self.variables.answered(&self.deployment.form_values);
        let mut names = VariableCollection::new();
        for variable in resolve(&[(&answered, Source::Project)], &place).winners {
            if let VariableValue::Plain(text) = &variable.value {
                names.set(&variable.name, text.as_deref());
            }
        }
        for (name, value) in self.system_variables {
            names.set(name, Some(value));
        }
        names
    }
}
