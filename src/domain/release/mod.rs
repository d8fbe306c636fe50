//! Releases: what is deployed, frozen (`rest-api.md` 5.7, `deployments.md` 5).

pub mod package_choice;
pub mod version_template;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::Document;
use crate::shape::shape;
use crate::time::Timestamp;
use crate::{
    Channel, ChannelId, DeploymentProcess, DeploymentProcessId, Problems, Project, ProjectId, ReleaseId,
    SpaceId, VariableSetId, same_name,
};

pub use version_template::check_template;

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

/// Whether a project can have a new release at all, and whether it may break the rules of its channel.
#[must_use]
pub fn creation_problems(
    project: &Project,
    process: &DeploymentProcess,
    ignore_channel_rules: bool,
) -> Problems {
    let mut problems = Problems::default();
    if project.is_disabled {
        problems.add(format!(
            "The project '{}' is disabled. Enable it to make a release of it.",
            project.name
        ));
    }
    if process.steps.is_empty() {
        problems.add(format!(
            "The process of the project '{}' has no step. Give it one before making a release.",
            project.name
        ));
    }
    if ignore_channel_rules && !project.allow_ignore_channel_rules {
        problems.add(format!(
            "The project '{}' does not allow releases that ignore the rules of their channel. \
             Leave IgnoreChannelRules out, or set AllowIgnoreChannelRules on the project.",
            project.name
        ));
    }
    problems
}

/// Everything that a new release has chosen; storage gives the id and takes the snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Its number.
    pub version: String,
    /// The version of each package.
    pub packages: Vec<SelectedPackage>,
}

/// What a client asks of a new release.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// A number, or None for the one that the project makes.
    pub version: Option<&'a str>,
    /// Package versions.
    pub packages: &'a [SelectedPackage],
    /// Whether the rules of the channel may be broken.
    pub ignore_channel_rules: bool,
}

/// Chooses packages and number of a new release (`deployments.md` 1.1, 5.2). That the number is free is checked
/// where releases are stored, in the transaction that stores this one.
///
/// # Errors
/// Every problem at once.
pub fn choose(
    project: &Project,
    process: &DeploymentProcess,
    channel: &Channel,
    wanted: Wanted<'_>,
    available: &package_choice::Available,
    numbers: &version_template::Numbers<'_>,
) -> Result<Chosen, Problems> {
    let mut problems = creation_problems(project, process, wanted.ignore_channel_rules);
    let packages = package_choice::choose(process, channel, wanted, available);
    let packages = packages.unwrap_or_else(|found| {
        problems.extend(found);
        Vec::new()
    });
    let version = version_template::number(project, process, wanted.version, &packages, numbers);
    let version = version.unwrap_or_else(|found| {
        problems.extend(found);
        String::new()
    });
    problems.or(Chosen { version, packages })
}

/// Checks a number that a person gave or a template made: one to four numbers, or SemVer 2.
///
/// # Errors
/// When it is none.
pub fn check_version(version: &str) -> Result<(), Problems> {
    if version.len() > 300 {
        return Err(Problems::one(format!(
            "The version '{}…' is longer than 300 characters. Choose a shorter one.",
            version.chars().take(40).collect::<String>()
        )));
    }
    versioning::Version::parse(versioning::Format::Semver, version)
        .map(|_| ())
        .map_err(|error| Problems::one(error.to_string()))
}
