//! Deployment targets (`rest-api.md` 5.14, `deployments.md` 11.3, 12).

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Document;
use crate::project::TenantedDeploymentMode;
use crate::shape::{shape, words};
use crate::time::Timestamp;
use crate::{EnvironmentId, MachineId, MachinePolicyId, Problems, SpaceId, TenantId, check_name};

words! {
    /// How a machine is reached.
    pub enum CommunicationStyle {
        /// Not at all: a cloud region.
        None,
        /// The Server connects to a listening Tentacle.
        TentaclePassive,
        /// A polling Tentacle connects to the Server.
        TentacleActive,
        /// A Tentacle in a cluster.
        KubernetesTentacle,
        /// SSH.
        Ssh,
        /// Files for a person to carry.
        OfflineDrop,
        /// A cluster by its own API.
        Kubernetes,
        /// An Azure web application.
        AzureWebApp,
        /// An Azure cloud service.
        AzureCloudService,
        /// A Service Fabric cluster.
        AzureServiceFabricCluster,
        /// An ECS cluster.
        AwsEcsCluster,
        /// A target of a step package.
        StepPackage,
        /// A file server of old.
        Ftp,
    }
    /// What the last health check found (`deployments.md` 12.1).
    pub enum HealthStatus {
        /// Never checked.
        Unknown,
        /// All well.
        Healthy,
        /// Works, with warnings.
        HasWarnings,
        /// Answers, and something is wrong.
        Unhealthy,
        /// Does not answer.
        Unavailable,
    }
}

shape! {
    /// A machine that releases are deployed to.
    pub struct + extra Machine {
        /// `Machines-1`.
        pub id: MachineId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Unique in the space, without case.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// How it is reached.
        pub endpoint: Endpoint,
        /// How it is looked after; the default policy when absent.
        pub machine_policy_id: MachinePolicyId,
        /// Whether it is left out of everything.
        pub is_disabled: bool,
        /// Where it stands.
        pub environment_ids: Vec<EnvironmentId>,
        /// What it is for.
        pub roles: Vec<String>,
        /// Whose deployments it takes.
        pub tenanted_deployment_participation: TenantedDeploymentMode,
        /// Tenants it serves.
        pub tenant_ids: Vec<TenantId>,
        /// Canonical names of tags of tenants it serves.
        pub tenant_tags: Vec<String>,
        /// Mirror of the endpoint's thumbprint.
        pub thumbprint: Option<String>,
        /// Mirror of the endpoint's address.
        pub uri: Option<String>,
        /// What the last check found.
        pub health_status: HealthStatus,
        /// The last check in words.
        pub status_summary: String,
        /// Whether its runner is the Server's.
        pub has_latest_calamari: bool,
        /// Whether it is the Server itself.
        pub is_in_process: bool,
        /// Its system, as the last check saw it.
        pub operating_system: String,
        /// Its shell.
        pub shell_name: String,
        /// The shell's version.
        pub shell_version: String,
        /// Its processor.
        pub architecture: String,
    }

    /// How a machine is reached. Members that belong to other styles are kept as they came.
    pub struct + extra Endpoint {
        /// Which way.
        pub communication_style: CommunicationStyle,
        /// `https://host:port/` or `poll://id/`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub uri: Option<String>,
        /// SHA-1 of the agent's certificate, upper-case hex.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub thumbprint: Option<String>,
        /// The proxy on the way.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub proxy_id: Option<String>,
        /// What is known of the agent's program.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tentacle_version_details: Option<TentacleVersionDetails>,
        /// How the agent's certificate is signed.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub certificate_signature_algorithm: Option<String>,
    }

    /// What is known of an agent's program.
    pub struct + extra TentacleVersionDetails {
        /// Its version.
        pub version: Option<String>,
        /// Whether it must not be changed.
        pub upgrade_locked: bool,
        /// Whether a newer one would be better.
        pub upgrade_suggested: bool,
        /// Whether a newer one is needed.
        pub upgrade_required: bool,
    }
}

/// What is left of an agent that took itself away, so that it gets its id back when it returns
/// (`containers.md` 3.3, 3.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Tombstone {
    /// The machine's id.
    pub machine_id: MachineId,
    /// Its space.
    pub space_id: SpaceId,
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub thumbprint: String,
    /// When it left.
    pub deregistered: Timestamp,
}

/// How an agent is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase", tag = "Mode")]
pub enum Connection {
    /// The Server connects.
    Listening {
        /// `https://host:port/`
        #[serde(rename = "Uri")]
        uri: String,
        /// The certificate it must show.
        #[serde(rename = "Thumbprint")]
        thumbprint: String,
    },
    /// The agent connects.
    Polling {
        /// `poll://id/`
        #[serde(rename = "Subscription")]
        subscription: String,
        /// The certificate it must show.
        #[serde(rename = "Thumbprint")]
        thumbprint: String,
    },
}

impl Document for Machine {}

impl Endpoint {
    /// How the agent is spoken to; None for styles without an agent of ours.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        let (uri, thumbprint) = (self.uri.clone()?, self.thumbprint.clone()?);
        match self.communication_style {
            CommunicationStyle::TentaclePassive => Some(Connection::Listening { uri, thumbprint }),
            CommunicationStyle::TentacleActive => Some(Connection::Polling {
                subscription: uri,
                thumbprint,
            }),
            _ => None,
        }
    }

    /// The host of a listening agent's address.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let rest = self.uri.as_deref()?.strip_prefix("https://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next()?,
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        };
        (!host.is_empty()).then_some(host)
    }

    fn problems(&self, machine: &str, problems: &mut Problems) {
        let scheme = match self.communication_style {
            CommunicationStyle::TentaclePassive => "https://",
            CommunicationStyle::TentacleActive => "poll://",
            CommunicationStyle::None => return,
            other => {
                problems.add(format!(
                    "The machine '{machine}' is reached by {other}, which this Server cannot do yet. \
                     Use TentaclePassive or TentacleActive."
                ));
                return;
            }
        };
        let style = self.communication_style;
        match &self.uri {
            Some(uri) if uri.len() > scheme.len() && uri.to_ascii_lowercase().starts_with(scheme) => {}
            Some(uri) => problems.add(format!(
                "The machine '{machine}' ({style}) has the address '{uri}'. Give one that begins with {scheme} \
                 in Endpoint.Uri."
            )),
            None => problems.add(format!(
                "The machine '{machine}' ({style}) has no address. Give one that begins with {scheme} in Endpoint.Uri."
            )),
        }
        let hex = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !self.thumbprint.as_deref().is_some_and(hex) {
            problems.add(format!(
                "The machine '{machine}' ({style}) has no valid thumbprint. Give the 40 hex digits that the agent's \
                 show-thumbprint prints in Endpoint.Thumbprint."
            ));
        }
    }
}

impl Machine {
    /// Brings what is written twice into one form: trimmed and unique roles, upper-case thumbprint, mirrors.
    /// Clients of old send address and thumbprint beside the endpoint.
    pub fn normalize(&mut self) {
        let mut seen = BTreeSet::new();
        self.roles = std::mem::take(&mut self.roles)
            .into_iter()
            .map(|role| role.trim().to_owned())
            .filter(|role| !role.is_empty() && seen.insert(crate::name_key(role)))
            .collect();
        let mut environments = BTreeSet::new();
        self.environment_ids.retain(|id| environments.insert(id.clone()));
        let given = |text: &mut Option<String>| text.take().filter(|text| !text.trim().is_empty());
        let uri = given(&mut self.endpoint.uri).or_else(|| given(&mut self.uri));
        let thumbprint = given(&mut self.endpoint.thumbprint).or_else(|| given(&mut self.thumbprint));
        let thumbprint = thumbprint.map(|text| text.trim().to_ascii_uppercase());
        self.uri.clone_from(&uri);
        self.endpoint.uri = uri;
        self.thumbprint.clone_from(&thumbprint);
        self.endpoint.thumbprint = thumbprint;
        if matches!(
            self.endpoint.communication_style,
            CommunicationStyle::TentaclePassive | CommunicationStyle::TentacleActive
        ) {
            self.endpoint.tentacle_version_details.get_or_insert_default();
        }
    }

    /// What is wrong with it, given the names of the environments and the policies of the space.
    #[must_use]
    pub fn problems(
        &self,
        environments: &BTreeMap<EnvironmentId, String>,
        policies: &BTreeSet<MachinePolicyId>,
    ) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "machine", &self.name);
        let machine = &self.name;
        if self.environment_ids.is_empty() {
            problems.add(format!(
                "The machine '{machine}' is in no environment. Give at least one in EnvironmentIds."
            ));
        }
        for id in self
            .environment_ids
            .iter()
            .filter(|id| !environments.contains_key(id))
        {
            problems.add(format!(
                "The machine '{machine}' names the environment '{id}', which does not exist in this space. \
                 Create it or give another id in EnvironmentIds."
            ));
        }
        if self.roles.is_empty() {
            problems.add(format!(
                "The machine '{machine}' has no role. Give at least one in Roles."
            ));
        }
        for role in self.roles.iter().filter(|role| role.contains(',')) {
            problems.add(format!(
                "The machine '{machine}' has the role '{role}' with a comma in it. Write two roles, or rename it."
            ));
        }
        if !self.machine_policy_id.is_empty() && !policies.contains(&self.machine_policy_id) {
            problems.add(format!(
                "The machine '{machine}' names the machine policy '{}', which does not exist in this space. \
                 Give another id in MachinePolicyId, or none for the default one.",
                self.machine_policy_id
            ));
        }
        self.endpoint.problems(machine, &mut problems);
        problems
    }

    /// The old status word, which clients still read.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match (self.is_disabled, self.health_status) {
            (true, _) => "Disabled",
            (false, HealthStatus::Unavailable) => "Offline",
            (false, HealthStatus::Unknown) => "Unknown",
            (false, _) if !self.has_latest_calamari => "CalamariNeedsUpgrade",
            (false, _) => "Online",
        }
    }

    /// Whether it holds a role, without case.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| crate::same_name(own, role))
    }

    /// Whether it takes deployments of a tenant, or without one (`deployments.md` 11.3).
    #[must_use]
    pub fn serves(&self, tenant: Option<&TenantId>) -> bool {
        match (self.tenanted_deployment_participation, tenant) {
            (TenantedDeploymentMode::Untenanted | TenantedDeploymentMode::TenantedOrUntenanted, None) => true,
            (TenantedDeploymentMode::Tenanted, None) | (TenantedDeploymentMode::Untenanted, Some(_)) => false,
            (_, Some(tenant)) => self.tenant_ids.contains(tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening() -> Machine {
        Machine {
            name: "web01".into(),
            environment_ids: vec![EnvironmentId::numbered(1)],
            roles: vec!["web".into()],
            endpoint: Endpoint {
                communication_style: CommunicationStyle::TentaclePassive,
                uri: Some("https://web01:10933/".into()),
                thumbprint: Some("ab".repeat(20)),
                ..Endpoint::default()
            },
            ..Machine::default()
        }
    }

    #[test]
    fn a_machine_needs_environment_role_address_and_thumbprint() {
        let environments = BTreeMap::from([(EnvironmentId::numbered(1), "Dev".to_owned())]);
        assert!(listening().problems(&environments, &BTreeSet::new()).is_empty());
        let bare = Machine {
            name: "x".into(),
            endpoint: Endpoint {
                communication_style: CommunicationStyle::TentacleActive,
                ..Endpoint::default()
            },
            ..Machine::default()
        };
        let text = bare.problems(&environments, &BTreeSet::new()).to_string();
        for part in ["no environment", "no role", "poll://", "no valid thumbprint"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn normalizing_mirrors_the_endpoint_and_folds_roles() {
        let mut machine = listening();
        machine.roles = vec!["web ".into(), "WEB".into(), String::new()];
        machine.normalize();
        assert_eq!(machine.roles, ["web"]);
        assert_eq!(machine.thumbprint, Some("AB".repeat(20)));
        assert_eq!(machine.uri.as_deref(), Some("https://web01:10933/"));
        assert_eq!(machine.endpoint.host(), Some("web01"));
        assert!(matches!(
            machine.endpoint.connection(),
            Some(Connection::Listening { .. })
        ));
    }

    #[test]
    fn members_of_other_styles_come_back_as_they_came() {
        let text = r#"{"CommunicationStyle":"Ssh","Host":"h","Port":22}"#;
        let endpoint: Endpoint = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&endpoint).unwrap(), text);
    }

    #[test]
    fn an_untenanted_machine_takes_no_tenant() {
        let tenant = TenantId::numbered(1);
        let mut machine = listening();
        assert!(machine.serves(None) && !machine.serves(Some(&tenant)));
        machine.tenanted_deployment_participation = TenantedDeploymentMode::Tenanted;
        machine.tenant_ids = vec![tenant.clone()];
        assert!(!machine.serves(None) && machine.serves(Some(&tenant)));
    }
}
