//! Deployment processes: steps, actions, packages (`rest-api.md` 5.6, `deployments.md` 2).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::document::Document;
use crate::sensitive::{Properties, PropertyValue, SensitiveValue};
use crate::shape::{shape, words};
use crate::{
    ChannelId, DeploymentProcessId, EnvironmentId, FeedId, Problems, ProjectId, SpaceId, WorkerPoolId,
    check_name, name_key, slug,
};

/// Names of properties that the Server itself reads (`rest-api.md` 6.1).
pub mod property {
    /// Whether the action runs on the Server or a worker, not on each target.
    pub const RUN_ON_SERVER: &str = "Octopus.Action.RunOnServer";
    /// On the step: comma list of roles.
    pub const TARGET_ROLES: &str = "Octopus.Action.TargetRoles";
    /// On the step: the window of a rolling deployment.
    pub const MAX_PARALLELISM: &str = "Octopus.Action.MaxParallelism";
    /// On the step: the expression of the condition `Variable`.
    pub const STEP_CONDITION: &str = "Octopus.Step.ConditionVariableExpression";
    /// On the action: the expression of the condition `Variable`.
    pub const ACTION_CONDITION: &str = "Octopus.Action.ConditionVariableExpression";
    /// The feed of the primary package.
    pub const PACKAGE_FEED_ID: &str = "Octopus.Action.Package.FeedId";
    /// The primary package.
    pub const PACKAGE_ID: &str = "Octopus.Action.Package.PackageId";
    /// `Inline`, `Package` or `GitRepository`.
    pub const SCRIPT_SOURCE: &str = "Octopus.Action.Script.ScriptSource";
    /// The language of the script.
    pub const SCRIPT_SYNTAX: &str = "Octopus.Action.Script.Syntax";
    /// The script.
    pub const SCRIPT_BODY: &str = "Octopus.Action.Script.ScriptBody";
}

/// The action type that runs a script.
pub const SCRIPT: &str = "Octopus.Script";
/// The action type that deploys a package.
pub const TENTACLE_PACKAGE: &str = "Octopus.TentaclePackage";

words! {
    /// When a step stands relative to the acquisition of packages (`deployments.md` 2.7).
    pub enum PackageRequirement {
        /// Where it fits.
        LetOctopusDecide,
        /// Before it.
        BeforePackageAcquisition,
        /// After it.
        AfterPackageAcquisition,
    }
    /// Whether a step or action runs (`deployments.md` 2.6).
    pub enum Condition {
        /// When nothing has failed.
        Success,
        /// When something has failed.
        Failure,
        /// In both cases.
        Always,
        /// When an expression is true.
        Variable,
    }
    /// When a step starts (`deployments.md` 2.5).
    pub enum StartTrigger {
        /// After the one before it.
        StartAfterPrevious,
        /// Together with it.
        StartWithPrevious,
    }
}

shape! {
    /// What a deployment does, in order.
    pub struct + extra DeploymentProcess {
        /// `deploymentprocess-Projects-1`.
        pub id: DeploymentProcessId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Its project.
        pub project_id: ProjectId,
        /// The steps in order.
        pub steps: Vec<Step>,
        /// Grows with each change; a change of an old version is refused.
        pub version: i32,
        /// The last copy that a release took.
        pub last_snapshot_id: Option<DeploymentProcessId>,
    }

    /// One or more actions, and the machines they are for.
    pub struct + extra Step {
        /// A GUID; the Server fills it.
        pub id: String,
        /// Unique in the process, without case.
        pub name: String,
        /// Short form of the name.
        pub slug: String,
        /// Where it stands relative to the acquisition of packages.
        pub package_requirement: PackageRequirement,
        /// Whether it runs.
        pub condition: Condition,
        /// When it starts.
        pub start_trigger: StartTrigger,
        /// Roles, window, expression of the condition.
        pub properties: Properties,
        /// The actions in order; more than one are child steps.
        pub actions: Vec<Action>,
    }

    /// One piece of work.
    pub struct + extra Action {
        /// A GUID; the Server fills it.
        pub id: String,
        /// Unique in the process, without case.
        pub name: String,
        /// Short form of the name.
        pub slug: String,
        /// What kind of work, for example `Octopus.Script`.
        pub action_type: String,
        /// For people.
        pub notes: Option<String>,
        /// Whether it is left out of every deployment.
        pub is_disabled: bool,
        /// Whether nobody may skip it.
        pub is_required: bool,
        /// Whether its package can number releases.
        pub can_be_used_for_project_versioning: bool,
        /// Whether it runs, among children.
        pub condition: Condition,
        /// The pool whose worker runs it.
        pub worker_pool_id: Option<WorkerPoolId>,
        /// The variable that names the pool.
        pub worker_pool_variable: Option<String>,
        /// The image to run it in.
        pub container: Container,
        /// Only in these environments; empty = all.
        pub environments: Vec<EnvironmentId>,
        /// Not in these environments.
        pub excluded_environments: Vec<EnvironmentId>,
        /// Only for releases of these channels; empty = all.
        pub channels: Vec<ChannelId>,
        /// Only for tenants with one of these tags; empty = all.
        pub tenant_tags: Vec<String>,
        /// The packages it needs.
        pub packages: Vec<PackageReference>,
        /// The repositories it needs.
        pub git_dependencies: Vec<Value>,
        /// Everything else.
        pub properties: Properties,
    }

    /// The image to run an action in.
    pub struct + extra Container {
        /// The image with its tag.
        pub image: Option<String>,
        /// The feed it comes from.
        pub feed_id: Option<String>,
    }

    /// A package that an action needs.
    pub struct + extra PackageReference {
        /// A GUID; the Server fills it.
        pub id: String,
        /// Empty = the primary package.
        pub name: String,
        /// Which package; may hold expressions.
        pub package_id: String,
        /// From where; may hold expressions.
        pub feed_id: FeedId,
        /// `Server`, `ExecutionTarget`, `NotAcquired` or an expression.
        pub acquisition_location: String,
        /// A version that no release changes.
        pub version: Option<String>,
        /// `Extract`, `SelectionMode`, …
        pub properties: Properties,
    }
}

impl Document for DeploymentProcess {
    fn sensitive(&mut self) -> Vec<(String, &mut SensitiveValue)> {
        let mut fields = Vec::new();
        for step in &mut self.steps {
            let owner = format!("Steps/{}", step.id);
            fields.extend(
                step.properties
                    .sensitive()
                    .map(|(name, value)| (format!("{owner}/{name}"), value)),
            );
            for action in &mut step.actions {
                let owner = format!("Actions/{}", action.id);
                fields.extend(
                    action
                        .properties
                        .sensitive()
                        .map(|(name, value)| (format!("{owner}/{name}"), value)),
                );
            }
        }
        fields
    }
}

impl PackageReference {
    /// The primary package of an action.
    #[must_use]
    pub fn primary(package_id: &str, feed_id: FeedId) -> Self {
        Self {
            package_id: package_id.into(),
            feed_id,
            acquisition_location: "Server".into(),
            ..Self::default()
        }
    }

    /// Whether nothing is fetched.
    #[must_use]
    pub fn is_acquired(&self) -> bool {
        !self
            .acquisition_location
            .trim()
            .eq_ignore_ascii_case("NotAcquired")
    }
}

impl Step {
    /// The roles whose machines it is for; empty = no machine.
    #[must_use]
    pub fn target_roles(&self) -> Vec<String> {
        comma_list(self.properties.text(property::TARGET_ROLES).unwrap_or_default())
    }
}

impl Action {
    /// Whether it runs on the Server or a worker.
    #[must_use]
    pub fn runs_on_server(&self) -> bool {
        self.properties.flag(property::RUN_ON_SERVER)
    }

    /// The package without a name.
    #[must_use]
    pub fn primary_package(&self) -> Option<&PackageReference> {
        self.packages.iter().find(|package| package.name.is_empty())
    }
}

/// Splits `a, b` at commas; blanks and empties are dropped.
#[must_use]
pub fn comma_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What a process may refer to, as far as it exists.
#[derive(Debug, Clone, Default)]
pub struct ProcessReferences {
    /// Environments of the space.
    pub environments: BTreeSet<EnvironmentId>,
    /// Channels of the project.
    pub channels: BTreeSet<ChannelId>,
    /// Feeds of the space.
    pub feeds: BTreeSet<FeedId>,
}

impl DeploymentProcess {
    /// The process of a new project.
    #[must_use]
    pub fn empty(project_id: ProjectId, space_id: SpaceId) -> Self {
        Self {
            id: DeploymentProcessId::of(&project_id),
            space_id,
            project_id,
            ..Self::default()
        }
    }

    /// Every action with its step, in order.
    pub fn actions(&self) -> impl Iterator<Item = (&Step, &Action)> {
        self.steps
            .iter()
            .flat_map(|step| step.actions.iter().map(move |action| (step, action)))
    }

    /// An action by id or name, without case.
    #[must_use]
    pub fn action(&self, id_or_name: &str) -> Option<&Action> {
        let key = name_key(id_or_name);
        let mut actions = self.actions().map(|(_, action)| action);
        actions
            .find(|action| action.id.eq_ignore_ascii_case(id_or_name.trim()) || name_key(&action.name) == key)
    }

    /// Fills in what clients leave out: ids (from `new_id`, a GUID each), slugs, the primary package, which
    /// stands both in the list and in two properties (`rest-api.md` 5.6).
    pub fn complete(&mut self, mut new_id: impl FnMut() -> String) {
        let mut fill = |id: &mut String| {
            if id.trim().is_empty() {
                *id = new_id();
            }
        };
        for step in &mut self.steps {
            fill(&mut step.id);
            if step.slug.is_empty() {
                step.slug = slug(&step.name);
            }
            for action in &mut step.actions {
                fill(&mut action.id);
                if action.slug.is_empty() {
                    action.slug = slug(&action.name);
                }
                mirror_primary_package(action);
                for package in &mut action.packages {
                    fill(&mut package.id);
                    if package.acquisition_location.is_empty() {
                        package.acquisition_location = "Server".into();
                    }
                }
            }
        }
    }

    /// What is wrong with it, given what exists.
    #[must_use]
    pub fn problems(&self, known: &ProcessReferences) -> Problems {
        let mut problems = Problems::default();
        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for step in &self.steps {
            check_name(&mut problems, "step", &step.name);
            if names.insert(name_key(&step.name), &step.id).is_some() {
                problems.add(format!(
                    "Two steps or actions are named '{}'. Rename one.",
                    step.name
                ));
            }
            if step.actions.is_empty() {
                problems.add(format!(
                    "The step '{}' has no action. Give it one or take it out.",
                    step.name
                ));
            }
            if !ids.insert(step.id.to_ascii_lowercase()) {
                problems.add(format!(
                    "The step '{}' has the id of another step or action. Leave the id empty.",
                    step.name
                ));
            }
            for action in &step.actions {
                let alone = step.actions.len() == 1;
                let same_as_step = alone && name_key(&action.name) == name_key(&step.name);
                check_name(&mut problems, "action", &action.name);
                if !same_as_step && names.insert(name_key(&action.name), &action.id).is_some() {
                    problems.add(format!(
                        "Two steps or actions are named '{}'. Rename one.",
                        action.name
                    ));
                }
                if !ids.insert(action.id.to_ascii_lowercase()) {
                    problems.add(format!(
                        "The action '{}' has the id of another step or action. Leave the id empty.",
                        action.name
                    ));
                }
                action.problems(step, known, &mut problems);
            }
        }
        self.acquisition_problems(&mut problems);
        problems
    }

    fn acquisition_problems(&self, problems: &mut Problems) {
        let mut after: Option<&str> = None;
        for step in &self.steps {
            let needs_packages = step
                .actions
                .iter()
                .any(|action| action.packages.iter().any(PackageReference::is_acquired));
            match step.package_requirement {
                PackageRequirement::AfterPackageAcquisition => after = after.or(Some(&step.name)),
                PackageRequirement::BeforePackageAcquisition if needs_packages => problems.add(format!(
                    "The step '{}' needs packages and is to run before they are acquired. \
                     Set its PackageRequirement to LetOctopusDecide.",
                    step.name
                )),
                PackageRequirement::BeforePackageAcquisition => {
                    if let Some(earlier) = after {
                        problems.add(format!(
                            "The step '{}' is to run before packages are acquired, but the earlier step '{earlier}' \
                             after it. Change the PackageRequirement of one of them.",
                            step.name
                        ));
                    }
                }
                PackageRequirement::LetOctopusDecide => {}
            }
        }
    }
}

impl Action {
    fn problems(&self, step: &Step, known: &ProcessReferences, problems: &mut Problems) {
        let name = &self.name;
        if self.action_type.trim().is_empty() {
            problems.add(format!(
                "The action '{name}' has no ActionType. Give one, for example {SCRIPT} or {TENTACLE_PACKAGE}."
            ));
        }
        let on_targets =
            !self.runs_on_server() && [SCRIPT, TENTACLE_PACKAGE].contains(&self.action_type.as_str());
        if on_targets && step.target_roles().is_empty() {
            problems.add(format!(
                "The action '{name}' runs on targets, but its step '{}' has no roles. Set the step's property {} or \
                 the action's property {} to True.",
                step.name,
                property::TARGET_ROLES,
                property::RUN_ON_SERVER
            ));
        }
        if self.action_type == TENTACLE_PACKAGE
            && self
                .primary_package()
                .is_none_or(|package| package.package_id.trim().is_empty())
        {
            problems.add(format!(
                "The action '{name}' deploys a package, but names none. Give it a package with an empty name in \
                 Packages, or the property {}.",
                property::PACKAGE_ID
            ));
        }
        if self.action_type == TENTACLE_PACKAGE && self.runs_on_server() {
            problems.add(format!(
                "The action '{name}' deploys a package and therefore runs on targets. Take its property {} out.",
                property::RUN_ON_SERVER
            ));
        }
        for id in self.environments.iter().chain(&self.excluded_environments) {
            if !known.environments.contains(id) {
                problems.add(format!(
                    "The action '{name}' names the environment '{id}', which does not exist in this space. \
                     Take it out of its environments."
                ));
            }
        }
        if !self.environments.is_empty() && !self.excluded_environments.is_empty() {
            problems.add(format!(
                "The action '{name}' names both environments to run in and environments to leave out. Use one of them."
            ));
        }
        for id in self.channels.iter().filter(|id| !known.channels.contains(id)) {
            problems.add(format!(
                "The action '{name}' names the channel '{id}', which the project does not have. \
                 Take it out of its channels."
            ));
        }
        let mut references = BTreeSet::new();
        for package in &self.packages {
            if !references.insert(name_key(&package.name)) {
                problems.add(format!(
                    "The action '{name}' has two package references named '{}'. Rename one.",
                    package.name
                ));
            }
            let dynamic = package.feed_id.as_str().contains("#{");
            if !dynamic && !package.feed_id.is_empty() && !known.feeds.contains(&package.feed_id) {
                problems.add(format!(
                    "The action '{name}' takes the package '{}' from the feed '{}', which does not exist in this \
                     space. Use {} or another feed's id.",
                    package.package_id,
                    package.feed_id,
                    crate::BUILT_IN_FEED
                ));
            }
        }
    }
}

fn mirror_primary_package(action: &mut Action) {
    let text = |action: &Action, name: &str| action.properties.text(name).map(str::to_owned);
    let package_id =
        text(action, property::PACKAGE_ID).or_else(|| text(action, "Octopus.Action.Package.NuGetPackageId"));
    let feed_id = text(action, property::PACKAGE_FEED_ID)
        .or_else(|| text(action, "Octopus.Action.Package.NuGetFeedId"));
    match action.packages.iter_mut().find(|package| package.name.is_empty()) {
        Some(primary) => {
            if primary.package_id.is_empty() {
                primary.package_id = package_id.unwrap_or_default();
            }
            if primary.feed_id.is_empty() {
                primary.feed_id = FeedId::from_text(feed_id.unwrap_or_else(|| crate::BUILT_IN_FEED.into()));
            }
            let (package_id, feed_id) = (primary.package_id.clone(), primary.feed_id.to_string());
            action
                .properties
                .set(property::PACKAGE_ID, PropertyValue::Plain(package_id));
            action
                .properties
                .set(property::PACKAGE_FEED_ID, PropertyValue::Plain(feed_id));
        }
        None => {
            if let Some(package_id) = package_id {
                let feed_id = feed_id.unwrap_or_else(|| crate::BUILT_IN_FEED.into());
                action.packages.insert(
                    0,
                    PackageReference::primary(&package_id, FeedId::from_text(feed_id)),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(steps: &str) -> DeploymentProcess {
        let mut process: DeploymentProcess =
            serde_json::from_str(&format!(r#"{{"Steps":{steps}}}"#)).unwrap();
        let mut number = 0;
        process.complete(|| {
            number += 1;
            format!("id{number}")
        });
        process
    }

    fn problems(steps: &str) -> String {
        let known = ProcessReferences {
            feeds: [FeedId::from_text(crate::BUILT_IN_FEED)].into(),
            ..Default::default()
        };
        process(steps).problems(&known).to_string()
    }

    #[test]
    fn the_primary_package_stands_in_the_list_and_in_the_properties() {
        let by_property = process(
            r#"[{"Name":"S","Actions":[{"Name":"A","Properties":{"Octopus.Action.Package.PackageId":"Acme"}}]}]"#,
        );
        let action = by_property.action("a").unwrap();
        assert_eq!(action.primary_package().unwrap().package_id, "Acme");
        assert_eq!(
            action.primary_package().unwrap().feed_id.as_str(),
            crate::BUILT_IN_FEED
        );
        let by_list = process(
            r#"[{"Name":"S","Actions":[{"Name":"A","Packages":[{"PackageId":"Acme","FeedId":"Feeds-1"}]}]}]"#,
        );
        let action = by_list.action("A").unwrap();
        assert_eq!(action.properties.text(property::PACKAGE_ID), Some("Acme"));
        assert_eq!(action.properties.text(property::PACKAGE_FEED_ID), Some("Feeds-1"));
        assert_eq!(action.packages[0].acquisition_location, "Server");
    }

    #[test]
    fn a_script_on_the_server_and_a_package_on_targets_are_fine() {
        let text = problems(
            r#"[{"Name":"Hello","Actions":[{"Name":"Hello","ActionType":"Octopus.Script",
                    "Properties":{"Octopus.Action.RunOnServer":"True"}}]},
                {"Name":"Deploy","Properties":{"Octopus.Action.TargetRoles":"web"},"Actions":[
                    {"Name":"Deploy","ActionType":"Octopus.TentaclePackage",
                     "Packages":[{"PackageId":"Acme","FeedId":"feeds-builtin"}]}]}]"#,
        );
        assert_eq!(text, "");
    }

    #[test]
    fn every_problem_names_its_step_or_action() {
        let text = problems(
            r#"[{"Name":"A","Actions":[{"Name":"A","ActionType":"Octopus.Script"}]},
                {"Name":"a","Actions":[]},
                {"Name":"P","Properties":{"Octopus.Action.TargetRoles":"web"},"PackageRequirement":"BeforePackageAcquisition",
                 "Actions":[{"Name":"P","ActionType":"Octopus.TentaclePackage","Environments":["Environments-7"],
                     "Channels":["Channels-7"],"Packages":[{"FeedId":"Feeds-7","PackageId":"X"}]}]},
                {"Name":"Q","Properties":{"Octopus.Action.TargetRoles":"web"},
                 "Actions":[{"Name":"Q","ActionType":"Octopus.TentaclePackage"}]}]"#,
        );
        for part in [
            "The action 'A' runs on targets, but its step 'A' has no roles",
            "Two steps or actions are named 'a'",
            "The step 'a' has no action",
            "'P' names the environment 'Environments-7'",
            "'P' names the channel 'Channels-7'",
            "from the feed 'Feeds-7'",
            "The step 'P' needs packages and is to run before",
            "The action 'Q' deploys a package, but names none",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
