//! Releases: what is deployed, frozen (`rest-api.md` 5.7, `deployments.md` 5).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::Document;
use crate::shape::shape;
use crate::time::Timestamp;
use crate::{ChannelId, DeploymentProcessId, ProjectId, ReleaseId, SpaceId, VariableSetId, same_name};

shape! {
    /// A frozen process, frozen variables and chosen package versions under one number.
    pub struct + extra Release {
        /// `Releases-1`.
        pub id: ReleaseId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Its project.
        pub project_id: ProjectId,
        /// Its number; unique in the project, without case.
        pub version: String,
        /// Its channel.
        pub channel_id: ChannelId,
        /// What is new in it.
        pub release_notes: Option<String>,
        /// When it was made.
        pub assembled: Timestamp,
        /// Whether it may break the rules of its channel.
        pub ignore_channel_rules: bool,
        /// The version of each package.
        pub selected_packages: Vec<SelectedPackage>,
        /// The commit of each Git dependency.
        pub selected_git_resources: Vec<Value>,
        /// The copy of the project's variables.
        pub project_variable_set_snapshot_id: VariableSetId,
        /// The copies of library variables.
        pub library_variable_set_snapshot_ids: Vec<VariableSetId>,
        /// The copy of the process.
        pub project_deployment_process_snapshot_id: DeploymentProcessId,
        /// What build servers said about its packages.
        pub build_information: Vec<Value>,
        /// The commit of the settings.
        pub version_control_reference: Option<Value>,
        /// Fields that the channel asks for.
        pub custom_fields: BTreeMap<String, String>,
    }

    /// The version of one package reference.
    pub struct + extra SelectedPackage {
        /// The action.
        pub action_name: String,
        /// Its step; of old clients, which send it alone.
        pub step_name: Option<String>,
        /// The reference; empty = the primary package.
        pub package_reference_name: String,
        /// The version.
        pub version: String,
    }
}

impl Document for Release {}

impl SelectedPackage {
    /// Whether this is the choice for a reference of an action. Old clients name the step only.
    #[must_use]
    pub fn is_for(&self, step: &str, action: &str, reference: &str) -> bool {
        let named = if self.action_name.trim().is_empty() {
            self.step_name
                .as_deref()
                .is_some_and(|name| same_name(name, step))
        } else {
            same_name(&self.action_name, action)
        };
        named && same_name(&self.package_reference_name, reference)
    }
}

impl Release {
    /// The version chosen for a reference of an action.
    #[must_use]
    pub fn package_version(&self, step: &str, action: &str, reference: &str) -> Option<&str> {
        let found = self
            .selected_packages
            .iter()
            .find(|package| package.is_for(step, action, reference));
        found.map(|package| package.version.as_str())
    }
}
