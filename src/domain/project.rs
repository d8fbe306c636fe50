//! Projects (`rest-api.md` 5.4, `deployments.md` 1).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::document::Document;
use crate::sensitive::PropertyValue;
use crate::shape::{shape, words};
use crate::{
    ChannelId, DeploymentProcessId, EnvironmentId, LifecycleId, Problems, ProjectGroupId, ProjectId,
    ReleaseId, SpaceId, TenantId, VariableSetId, check_name,
};

words! {
    /// Whether deployments have a tenant.
    pub enum TenantedDeploymentMode {
        /// Never.
        Untenanted,
        /// With or without one.
        TenantedOrUntenanted,
        /// Always.
        Tenanted,
    }
    /// Whether a failing deployment asks a person.
    pub enum GuidedFailureMode {
        /// As the environment says.
        EnvironmentDefault,
        /// No.
        Off,
        /// Yes.
        On,
    }
    /// What happens to machines that cannot be reached (`deployments.md` 1.5).
    pub enum SkipMachineBehavior {
        /// They are used, and fail.
        None,
        /// They are left out.
        SkipUnavailableMachines,
    }
    /// Where the settings of a project are stored.
    pub enum PersistenceType {
        /// In the database.
        Database,
        /// In a Git repository.
        VersionControlled,
    }
}

shape! {
    /// What is deployed: a process, variables and settings.
    pub struct + extra Project {
        /// `Projects-1`.
        pub id: ProjectId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Unique in the space, without case.
        pub name: String,
        /// Unique in the space; `GET projects/{slug}`.
        pub slug: String,
        /// What it is for.
        pub description: String,
        /// Whether nothing new may be released or deployed.
        pub is_disabled: bool,
        /// The shelf it stands on.
        pub project_group_id: ProjectGroupId,
        /// The lifecycle of channels that have none of their own.
        pub lifecycle_id: LifecycleId,
        /// Its variables.
        pub variable_set_id: VariableSetId,
        /// Its process.
        pub deployment_process_id: DeploymentProcessId,
        /// The project it was made from.
        pub cloned_from_project_id: Option<ProjectId>,
        /// Library variable sets and script modules, in order.
        pub included_library_variable_set_ids: Vec<String>,
        /// Whether deployments have a tenant.
        pub tenanted_deployment_mode: TenantedDeploymentMode,
        /// Whether a failing deployment asks a person.
        pub default_guided_failure_mode: GuidedFailureMode,
        /// Whether a package that is installed already is left alone.
        pub default_to_skip_if_already_installed: bool,
        /// Whether dashboard and retention look at each channel by itself.
        pub discrete_channel_release: bool,
        /// Whether a pushed package makes a release.
        pub auto_create_release: bool,
        /// Whether a release may break the rules of its channel.
        pub allow_ignore_channel_rules: bool,
        /// Whether deployments ignore package caches.
        pub force_package_download: bool,
        /// How release numbers are made.
        pub versioning_strategy: VersioningStrategy,
        /// Which package makes a release.
        pub release_creation_strategy: Option<ReleaseCreationStrategy>,
        /// What happens to machines that cannot be reached.
        pub project_connectivity_policy: ProjectConnectivityPolicy,
        /// Variables that each tenant fills in.
        pub templates: Vec<ActionTemplateParameter>,
        /// Releases that new machines get instead of the current one.
        pub auto_deploy_release_overrides: Vec<AutoDeployReleaseOverride>,
        /// Template of release notes.
        pub release_notes_template: Option<String>,
        /// Template of a deployment's changes.
        pub deployment_changes_template: Option<String>,
        /// Settings of extensions, kept as they came.
        pub extension_settings: Vec<Value>,
        /// Whether its settings are in Git.
        pub is_version_controlled: bool,
        /// Where its settings are.
        pub persistence_settings: PersistenceSettings,
        /// Canonical names of tags.
        pub project_tags: Vec<String>,
    }

    /// The package whose version is the release's, or which makes a release: one reference of one action.
    pub struct + extra DeploymentActionPackage {
        /// The name of the action.
        pub deployment_action: String,
        /// The name of the reference; empty = the primary package.
        pub package_reference: String,
    }

    /// Which package makes a release when it is pushed.
    pub struct + extra ReleaseCreationStrategy {
        /// The channel of the release; null = the default one.
        pub channel_id: Option<ChannelId>,
        /// The package.
        pub release_creation_package: Option<DeploymentActionPackage>,
        /// The id of its step.
        pub release_creation_package_step_id: Option<String>,
    }

    /// What happens to machines that cannot be reached (`deployments.md` 1.5).
    pub struct + extra ProjectConnectivityPolicy {
        /// Whether unavailable machines are left out.
        pub skip_machine_behavior: SkipMachineBehavior,
        /// Only machines with one of these roles; empty = all.
        pub target_roles: Vec<String>,
        /// Whether a deployment without any machine is no failure.
        pub allow_deployments_to_no_targets: bool,
        /// Whether unhealthy machines are left out.
        pub exclude_unhealthy_targets: bool,
    }

    /// A variable that is asked of others: of a tenant, or of the user of a step template.
    pub struct + extra ActionTemplateParameter {
        /// A GUID; the Server fills it.
        pub id: String,
        /// The name of the variable.
        pub name: String,
        /// What people see.
        pub label: String,
        /// More about it.
        pub help_text: String,
        /// What counts when nothing is given.
        pub default_value: PropertyValue,
        /// How it is shown.
        pub display_settings: Map<String, Value>,
        /// Whether it may be emptied.
        pub allow_clear: bool,
    }

    /// A release that a new machine gets instead of the current one.
    pub struct + extra AutoDeployReleaseOverride {
        /// The environment.
        pub environment_id: EnvironmentId,
        /// The tenant, if any.
        pub tenant_id: Option<TenantId>,
        /// The release.
        pub release_id: ReleaseId,
    }

    /// Where the settings of a project are.
    pub struct + extra PersistenceSettings {
        /// The database or Git.
        #[serde(rename = "Type")]
        pub kind: PersistenceType,
    }
}

/// How release numbers are made: from a template or from the version of a package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VersioningStrategy {
    /// The template (`deployments.md` 1.1); null when there is a donor.
    pub template: Option<String>,
    /// The package whose version the release takes.
    pub donor_package: Option<DeploymentActionPackage>,
    /// The id of the donor's step.
    pub donor_package_step_id: Option<String>,
}

impl VersioningStrategy {
    /// The template of a new project.
    pub const DEFAULT_TEMPLATE: &'static str =
        "#{Octopus.Version.LastMajor}.#{Octopus.Version.LastMinor}.#{Octopus.Version.NextPatch}";
}

impl Default for VersioningStrategy {
    fn default() -> Self {
        Self {
            template: Some(Self::DEFAULT_TEMPLATE.into()),
            donor_package: None,
            donor_package_step_id: None,
        }
    }
}

impl Document for Project {
    fn sensitive(&mut self) -> Vec<(String, &mut crate::SensitiveValue)> {
        self.templates
            .iter_mut()
            .filter_map(|template| match &mut template.default_value {
                PropertyValue::Sensitive(value) => {
                    Some((format!("Templates/{}/DefaultValue", template.id), value))
                }
                PropertyValue::Plain(_) => None,
            })
            .collect()
    }
}

/// What a project may refer to, as far as it exists in its space.
#[derive(Debug, Clone, Default)]
pub struct ProjectReferences {
    /// Project groups.
    pub project_groups: BTreeSet<ProjectGroupId>,
    /// Lifecycles.
    pub lifecycles: BTreeSet<LifecycleId>,
    /// Library variable sets.
    pub library_variable_sets: BTreeSet<String>,
}

impl Project {
    /// Fills in what follows from the id: the ids of process and variables.
    pub fn adopt_id(&mut self, id: ProjectId) {
        self.variable_set_id = VariableSetId::of(&id);
        self.deployment_process_id = DeploymentProcessId::of(&id);
        self.id = id;
    }

    /// What is wrong with it, given what exists.
    #[must_use]
    pub fn problems(&self, known: &ProjectReferences) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "project", &self.name);
        let project = &self.name;
        let mut must_exist = |what: &str, member: &str, id: &str, exists: bool| {
            if id.is_empty() {
                problems.add(format!(
                    "The project '{project}' has no {what}. Give its id in {member}."
                ));
            } else if !exists {
                problems.add(format!(
                    "The project '{project}' names the {what} '{id}', which does not exist in this space. \
                     Give another id in {member}."
                ));
            }
        };
        let group = &self.project_group_id;
        must_exist(
            "project group",
            "ProjectGroupId",
            group.as_str(),
            known.project_groups.contains(group),
        );
        let lifecycle = &self.lifecycle_id;
        must_exist(
            "lifecycle",
            "LifecycleId",
            lifecycle.as_str(),
            known.lifecycles.contains(lifecycle),
        );
        for id in &self.included_library_variable_set_ids {
            let exists = known.library_variable_sets.contains(id);
            must_exist(
                "library variable set",
                "IncludedLibraryVariableSetIds",
                id,
                exists,
            );
        }
        if let Some(template) = &self.versioning_strategy.template
            && let Err(error) = crate::release::check_template(template)
        {
            problems.add(format!(
                "The version template of the project '{project}' cannot be used: {error}."
            ));
        }
        if self.persistence_settings.kind == PersistenceType::VersionControlled {
            problems.add(format!(
                "The project '{project}' is to keep its settings in Git, which this Server cannot do yet. \
                 Use PersistenceSettings {{\"Type\":\"Database\"}}."
            ));
        }
        problems
    }

    /// The deployment settings document: the same values under their other address (`rest-api.md` 5.4).
    #[must_use]
    pub fn deployment_settings(&self) -> Value {
        json!({
            "Id": crate::DeploymentSettingsId::of(&self.id),
            "SpaceId": self.space_id,
            "ProjectId": self.id,
            "ConnectivityPolicy": self.project_connectivity_policy,
            "DefaultGuidedFailureMode": self.default_guided_failure_mode,
            "DefaultToSkipIfAlreadyInstalled": self.default_to_skip_if_already_installed,
            "VersioningStrategy": self.versioning_strategy,
            "ReleaseNotesTemplate": self.release_notes_template,
            "DeploymentChangesTemplate": self.deployment_changes_template,
            "ForcePackageDownload": self.force_package_download,
        })
    }

    /// Whether a deployment asks a person when something fails: the first decided of the deployment's own
    /// flag, the project's mode and the environment's flag (`deployments.md` 1.3).
    #[must_use]
    pub fn guided_failure(&self, deployment: Option<bool>, environment: bool) -> bool {
        deployment.unwrap_or(match self.default_guided_failure_mode {
            GuidedFailureMode::On => true,
            GuidedFailureMode::Off => false,
            GuidedFailureMode::EnvironmentDefault => environment,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_project_numbers_its_releases_by_the_default_template() {
        let project: Project = serde_json::from_str(r#"{"Name":"Web"}"#).unwrap();
        assert_eq!(
            project.versioning_strategy.template.as_deref(),
            Some(VersioningStrategy::DEFAULT_TEMPLATE)
        );
        let value = serde_json::to_value(&project).unwrap();
        assert_eq!(value["PersistenceSettings"], json!({"Type": "Database"}));
        assert_eq!(value["TenantedDeploymentMode"], "Untenanted");
    }

    #[test]
    fn a_project_names_what_it_lacks() {
        let project: Project =
            serde_json::from_str(r#"{"Name":"Web","LifecycleId":"Lifecycles-7"}"#).unwrap();
        let problems: Vec<String> = project
            .problems(&ProjectReferences::default())
            .into_iter()
            .collect();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("has no project group"));
        assert!(problems[1].contains("'Lifecycles-7', which does not exist"));
    }

    #[test]
    fn the_first_who_has_decided_decides_on_guided_failure() {
        let mut project = Project::default();
        assert!(project.guided_failure(None, true));
        assert!(!project.guided_failure(Some(false), true));
        project.default_guided_failure_mode = GuidedFailureMode::Off;
        assert!(!project.guided_failure(None, true));
    }
}
