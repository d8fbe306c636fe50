//! Machine policies: how machines are looked after (`rest-api.md` 5.15, `deployments.md` 12.2).

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::shape::{shape, words};
use crate::time::TimeSpan;
use crate::{MachinePolicyId, Problems, SpaceId, check_name};

words! {
    /// How much a health check does.
    pub enum HealthCheckType {
        /// Runs a script.
        RunScript,
        /// Looks whether the agent answers.
        OnlyConnectivity,
    }
    /// Which script a health check runs.
    pub enum HealthCheckRunType {
        /// That of the default policy.
        InheritFromDefault,
        /// Its own.
        Inline,
        /// None.
        OnlyConnectivity,
    }
    /// Whether a machine may be away.
    pub enum MachineConnectivityBehavior {
        /// No.
        ExpectedToBeOnline,
        /// Yes: then it fails no health check.
        MayBeOfflineAndCanBeSkipped,
    }
    /// What happens to machines that stay away.
    pub enum DeleteMachinesBehavior {
        /// Nothing.
        DoNotDelete,
        /// They are deleted.
        DeleteUnavailableMachines,
    }
    /// When the runner is sent.
    pub enum CalamariUpdateBehavior {
        /// When it is needed.
        UpdateOnDeployment,
        /// When a machine appears.
        UpdateOnNewMachine,
        /// Whenever it is old.
        UpdateAlways,
        /// Not at all.
        NeverUpdate,
    }
    /// Whether agents are updated.
    pub enum TentacleUpdateBehavior {
        /// No.
        NeverUpdate,
        /// Yes.
        Update,
    }
    /// Whether agents in Kubernetes are updated.
    pub enum KubernetesAgentUpdateBehavior {
        /// Yes.
        Update,
        /// No.
        NeverUpdate,
    }
}

shape! {
    /// How machines are looked after.
    pub struct + extra MachinePolicy {
        /// `MachinePolicies-1`.
        pub id: MachinePolicyId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Unique in the space, without case.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// What it is for.
        pub description: String,
        /// Whether machines without a policy have this one.
        pub is_default: bool,
        /// How health is checked.
        pub machine_health_check_policy: MachineHealthCheckPolicy,
        /// Whether machines may be away.
        pub machine_connectivity_policy: MachineConnectivityPolicy,
        /// What happens to machines that stay away.
        pub machine_cleanup_policy: MachineCleanupPolicy,
        /// How programs on machines are kept new.
        pub machine_update_policy: MachineUpdatePolicy,
        /// How connections are made.
        #[serde(flatten)]
        pub connection: ConnectionPolicy,
    }

    /// Whether machines may be away.
    pub struct + extra MachineConnectivityPolicy {
        /// Yes or no.
        pub machine_connectivity_behavior: MachineConnectivityBehavior,
    }

    /// What happens to machines that stay away.
    pub struct + extra MachineCleanupPolicy {
        /// What.
        pub delete_machines_behavior: DeleteMachinesBehavior,
        /// After how long.
        pub delete_machines_elapsed_time_span: TimeSpan,
    }

    /// How programs on machines are kept new.
    pub struct + extra MachineUpdatePolicy {
        /// The runner.
        pub calamari_update_behavior: CalamariUpdateBehavior,
        /// The agent.
        pub tentacle_update_behavior: TentacleUpdateBehavior,
        /// The agent in Kubernetes; the Go client refuses a policy that does not say it.
        pub kubernetes_agent_update_behavior: KubernetesAgentUpdateBehavior,
    }

    /// The health check of one shell.
    pub struct + extra ShellHealthCheckPolicy {
        /// Which script.
        pub run_type: HealthCheckRunType,
        /// The script, when it is the policy's own.
        pub script_body: Option<String>,
    }
}

/// How health is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MachineHealthCheckPolicy {
    /// How much is done.
    pub health_check_type: HealthCheckType,
    /// How often; zero or null = never by itself.
    pub health_check_interval: Option<TimeSpan>,
    /// When, as a cron expression.
    pub health_check_cron: Option<String>,
    /// The time zone of the cron expression.
    pub health_check_cron_timezone: Option<String>,
    /// On Windows.
    pub power_shell_health_check_policy: ShellHealthCheckPolicy,
    /// On everything else.
    pub bash_health_check_policy: ShellHealthCheckPolicy,
}

impl Default for MachineHealthCheckPolicy {
    fn default() -> Self {
        Self {
            health_check_type: HealthCheckType::RunScript,
            health_check_interval: Some(TimeSpan::seconds(3600)),
            health_check_cron: None,
            health_check_cron_timezone: Some("UTC".into()),
            power_shell_health_check_policy: ShellHealthCheckPolicy::default(),
            bash_health_check_policy: ShellHealthCheckPolicy::default(),
        }
    }
}

/// How connections to machines are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConnectionPolicy {
    /// How long a request waits for a polling agent to fetch it.
    pub polling_request_queue_timeout: TimeSpan,
    /// How long a polling agent may work on a request.
    pub polling_request_maximum_message_processing_timeout: TimeSpan,
    /// How long one attempt to connect may take.
    pub connection_connect_timeout: TimeSpan,
    /// How long to wait between attempts.
    pub connection_retry_sleep_interval: TimeSpan,
    /// How long to go on trying.
    pub connection_retry_time_limit: TimeSpan,
    /// How often to try.
    pub connection_retry_count_limit: i32,
}

impl Default for ConnectionPolicy {
    fn default() -> Self {
        Self {
            polling_request_queue_timeout: TimeSpan::seconds(120),
            polling_request_maximum_message_processing_timeout: TimeSpan::seconds(600),
            connection_connect_timeout: TimeSpan::seconds(60),
            connection_retry_sleep_interval: TimeSpan::seconds(1),
            connection_retry_time_limit: TimeSpan::seconds(300),
            connection_retry_count_limit: 5,
        }
    }
}

impl Document for MachinePolicy {}

impl MachinePolicy {
    /// The policy that every space has.
    #[must_use]
    pub fn default_of(space_id: SpaceId) -> Self {
        Self {
            space_id,
            name: "Default Machine Policy".into(),
            slug: "default-machine-policy".into(),
            is_default: true,
            ..Self::default()
        }
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "machine policy", &self.name);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_comes_back_as_it_was_sent_and_takes_defaults() {
        let policy: MachinePolicy = serde_json::from_str(
            r#"{"Name":"P","ConnectionConnectTimeout":"00:00:05","MachinePackageCacheRetentionPolicy":{"Strategy":"Default"}}"#,
        )
        .unwrap();
        assert_eq!(policy.connection.connection_connect_timeout, TimeSpan::seconds(5));
        assert_eq!(policy.connection.connection_retry_count_limit, 5);
        let value = serde_json::to_value(&policy).unwrap();
        assert_eq!(value["ConnectionConnectTimeout"], "00:00:05");
        assert_eq!(value["PollingRequestQueueTimeout"], "00:02:00");
        assert_eq!(
            value["MachineHealthCheckPolicy"]["HealthCheckInterval"],
            "01:00:00"
        );
        assert_eq!(value["MachinePackageCacheRetentionPolicy"]["Strategy"], "Default");
        assert!(policy.extra.0.len() == 1, "{:?}", policy.extra);
    }
}
