//! Deployments: a release on its way to an environment (`rest-api.md` 5.9, `deployments.md` 7).

pub mod creation;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::Document;
use crate::shape::shape;
use crate::time::Timestamp;
use crate::{
    ChannelId, DeploymentId, DeploymentProcessId, EnvironmentId, MachineId, ProjectId, ReleaseId,
    ServerTaskId, SpaceId, TenantId, UserId, VariableSetId,
};

shape! {
    /// A release on its way to an environment.
    pub struct + extra Deployment {
        /// `Deployments-1`.
        pub id: DeploymentId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// What is deployed.
        pub release_id: ReleaseId,
        /// Where to.
        pub environment_id: EnvironmentId,
        /// For whom.
        pub tenant_id: Option<TenantId>,
        /// The release's project.
        pub project_id: ProjectId,
        /// The release's channel.
        pub channel_id: ChannelId,
        /// The release's copy of the process.
        pub deployment_process_id: DeploymentProcessId,
        /// The task that does it.
        pub task_id: ServerTaskId,
        /// The variables it used.
        pub manifest_variable_set_id: Option<VariableSetId>,
        /// `Deploy to Test`.
        pub name: String,
        /// When it was asked for.
        pub created: Timestamp,
        /// Who asked, by name.
        pub deployed_by: String,
        /// Who asked.
        pub deployed_by_id: UserId,
        /// Why.
        pub comments: Option<String>,
        /// Ids of actions that are left out.
        pub skip_actions: Vec<String>,
        /// Only these machines; empty = all.
        pub specific_machine_ids: Vec<MachineId>,
        /// Not these machines.
        pub excluded_machine_ids: Vec<MachineId>,
        /// The machines it went to.
        pub deployed_to_machine_ids: Vec<MachineId>,
        /// Whether package caches are ignored.
        pub force_package_download: bool,
        /// Whether packages are installed again; null = as the project says.
        pub force_package_redeployment: Option<bool>,
        /// Whether a failure asks a person; null = as project and environment say.
        pub use_guided_failure: Option<bool>,
        /// Answers to prompted variables.
        pub form_values: BTreeMap<String, Value>,
        /// Not before.
        pub queue_time: Option<Timestamp>,
        /// Not after.
        pub queue_time_expiry: Option<Timestamp>,
        /// The releases it brings.
        pub changes: Vec<Value>,
        /// The same as text.
        pub changes_markdown: String,
        /// Whether something has failed.
        pub failure_encountered: bool,
        /// Whether variables are printed.
        pub debug_mode: Option<bool>,
    }
}

impl Document for Deployment {}

impl Deployment {
    /// The tag of which one task runs at a time (`deployments.md` 8.4).
    #[must_use]
    pub fn concurrency_tag(&self) -> String {
        match &self.tenant_id {
            Some(tenant) => format!("{tenant}/{}/{}", self.project_id, self.environment_id),
            None => format!("{}/{}", self.project_id, self.environment_id),
        }
    }
}
