//! Environments: the stages that releases move through (`rest-api.md` 5.2).

use serde_json::Value;

use crate::document::Document;
use crate::shape::shape;
use crate::{EnvironmentId, Problems, SpaceId, check_name};

shape! {
    /// A stage, such as Test or Production.
    pub struct + extra Environment {
        /// `Environments-1`.
        pub id: EnvironmentId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Unique in the space, without case.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// What it is for.
        pub description: String,
        /// Its place in lists; also the order of phases of a lifecycle without phases.
        pub sort_order: i32,
        /// Whether deployments to it ask a person when something fails.
        pub use_guided_failure: bool,
        /// Whether scripts may make targets in it.
        pub allow_dynamic_infrastructure: bool,
        /// Canonical names of tags.
        pub environment_tags: Vec<String>,
        /// Settings of extensions, kept as they came.
        pub extension_settings: Vec<Value>,
    }
}

impl Document for Environment {}

impl Environment {
    /// What is wrong with it. That the name is free is checked where it is stored.
    #[must_use]
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "environment", &self.name);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_needs_no_more_than_a_name() {
        let environment: Environment = serde_json::from_str(r#"{"Name":"Test"}"#).unwrap();
        assert!(environment.problems().is_empty());
        assert!(!Environment::default().problems().is_empty());
    }
}
