//! Lifecycles: in which order releases move through environments (`deployments.md` 6, `rest-api.md` 5.3).

pub mod progression;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::shape::{shape, words};
use crate::{EnvironmentId, LifecycleId, Problems, SpaceId, check_name, name_key};

words! {
    /// What a retention period counts.
    pub enum RetentionUnit {
        /// Releases.
        Items,
        /// Days since the last deployment.
        Days,
    }
    /// Where the rule of a retention period comes from.
    pub enum RetentionStrategy {
        /// From the space.
        Default,
        /// Keep all.
        Forever,
        /// Keep so many.
        Count,
    }
}

/// How long something is kept; all four members are always sent (`rest-api.md` 1.10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", from = "RetentionShape")]
pub struct RetentionPeriod {
    /// What is counted.
    pub unit: RetentionUnit,
    /// How many days or releases; 0 = all.
    pub quantity_to_keep: i32,
    /// Whether nothing is ever deleted.
    pub should_keep_forever: bool,
    /// Where the rule comes from.
    pub strategy: RetentionStrategy,
}

impl Default for RetentionPeriod {
    /// Keeps everything.
    fn default() -> Self {
        RetentionShape::default().into()
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RetentionShape {
    unit: Option<RetentionUnit>,
    quantity_to_keep: Option<i32>,
    should_keep_forever: Option<bool>,
    strategy: Option<RetentionStrategy>,
}

/// Without a strategy it is `Forever` when everything is kept, else `Count`.
impl From<RetentionShape> for RetentionPeriod {
    fn from(shape: RetentionShape) -> Self {
        let quantity_to_keep = shape.quantity_to_keep.unwrap_or(0).max(0);
        let forever = shape.should_keep_forever.unwrap_or(quantity_to_keep == 0);
        let named = if forever {
            RetentionStrategy::Forever
        } else {
            RetentionStrategy::Count
        };
        Self {
            unit: shape.unit.unwrap_or_default(),
            quantity_to_keep,
            should_keep_forever: forever,
            strategy: shape.strategy.unwrap_or(named),
        }
    }
}

shape! {
    /// The order of environments, in phases.
    pub struct + extra Lifecycle {
        /// `Lifecycles-1`.
        pub id: LifecycleId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Unique in the space, without case.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// What it is for.
        pub description: String,
        /// How long releases are kept.
        pub release_retention_policy: RetentionPeriod,
        /// How long files on targets are kept.
        pub tentacle_retention_policy: RetentionPeriod,
        /// The phases in order; none = every environment of the space, one after the other.
        pub phases: Vec<Phase>,
    }

    /// One stage of a lifecycle.
    pub struct + extra Phase {
        /// A GUID; the Server fills it.
        pub id: String,
        /// Unique in the lifecycle, without case.
        pub name: String,
        /// Environments that get a release by themselves.
        pub automatic_deployment_targets: Vec<EnvironmentId>,
        /// Environments that a person deploys to.
        pub optional_deployment_targets: Vec<EnvironmentId>,
        /// How many must succeed before the next phase; 0 = all.
        pub minimum_environments_before_promotion: i32,
        /// Whether the next phase may begin without this one.
        pub is_optional_phase: bool,
        /// Whether deployments into it go before others in the queue.
        pub is_priority_phase: bool,
        /// How long releases are kept; null = as the phase before.
        pub release_retention_policy: Option<RetentionPeriod>,
        /// How long files on targets are kept; null = as the phase before.
        pub tentacle_retention_policy: Option<RetentionPeriod>,
    }
}

impl Document for Lifecycle {}

impl Phase {
    /// The environments it names, automatic ones first.
    pub fn environments(&self) -> impl Iterator<Item = &EnvironmentId> {
        self.automatic_deployment_targets
            .iter()
            .chain(&self.optional_deployment_targets)
    }
}

impl Lifecycle {
    /// What is wrong with it, given the names of the environments of the space (`deployments.md` 6.1).
    #[must_use]
    pub fn problems(&self, environments: &BTreeMap<EnvironmentId, String>) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "lifecycle", &self.name);
        let lifecycle = &self.name;
        let mut names = BTreeSet::new();
        let mut placed: BTreeMap<&EnvironmentId, &str> = BTreeMap::new();
        for phase in &self.phases {
            check_name(
                &mut problems,
                &format!("phase of the lifecycle '{lifecycle}'"),
                &phase.name,
            );
            if !names.insert(name_key(&phase.name)) {
                problems.add(format!(
                    "The lifecycle '{lifecycle}' has two phases named '{}'. Rename one.",
                    phase.name
                ));
            }
            if phase.minimum_environments_before_promotion < 0 {
                problems.add(format!(
                    "The phase '{}' of the lifecycle '{lifecycle}' asks for fewer than 0 environments before promotion. \
                     Use 0 for all of them.",
                    phase.name
                ));
            }
            for id in phase.environments() {
                let Some(name) = environments.get(id) else {
                    problems.add(format!(
                        "The phase '{}' of the lifecycle '{lifecycle}' names the environment '{id}', which does not \
                         exist in this space. Take it out or create it.",
                        phase.name
                    ));
                    continue;
                };
                if let Some(other) = placed.insert(id, &phase.name) {
                    problems.add(format!(
                        "The lifecycle '{lifecycle}' names the environment '{name}' twice, in '{other}' and in '{}'. \
                         Keep one of them.",
                        phase.name
                    ));
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_period_says_all_four_things() {
        let period: RetentionPeriod =
            serde_json::from_str(r#"{"Unit":"Items","QuantityToKeep":3,"ShouldKeepForever":false}"#).unwrap();
        assert_eq!(period.strategy, RetentionStrategy::Count);
        assert_eq!(
            serde_json::to_string(&RetentionPeriod::default()).unwrap(),
            r#"{"Unit":"Items","QuantityToKeep":0,"ShouldKeepForever":true,"Strategy":"Forever"}"#
        );
    }

    #[test]
    fn an_environment_stands_in_one_phase_and_must_exist() {
        let environment = EnvironmentId::numbered;
        let known = BTreeMap::from([(environment(1), "Dev".to_owned())]);
        let lifecycle = Lifecycle {
            name: "L".into(),
            phases: vec![
                Phase {
                    name: "A".into(),
                    automatic_deployment_targets: vec![environment(1)],
                    ..Phase::default()
                },
                Phase {
                    name: "a".into(),
                    optional_deployment_targets: vec![environment(1), environment(9)],
                    ..Phase::default()
                },
            ],
            ..Lifecycle::default()
        };
        let problems: Vec<String> = lifecycle.problems(&known).into_iter().collect();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].contains("two phases named 'a'"));
        assert!(problems[1].contains("'Dev' twice, in 'A' and in 'a'"));
        assert!(problems[2].contains("'Environments-9', which does not exist"));
    }
}
