//! Project groups: shelves for projects (`rest-api.md` 5.3).

use crate::document::Document;
use crate::shape::shape;
use crate::{EnvironmentId, Problems, ProjectGroupId, SpaceId, check_name};

shape! {
    /// A shelf for projects.
    pub struct + extra ProjectGroup {
        /// `ProjectGroups-1`.
        pub id: ProjectGroupId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Unique in the space, without case.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// What it is for.
        pub description: String,
        /// Of old servers; always empty.
        pub environment_ids: Vec<EnvironmentId>,
        /// Of old servers.
        pub retention_policy_id: Option<String>,
    }
}

impl Document for ProjectGroup {}

impl ProjectGroup {
    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "project group", &self.name);
        problems
    }
}
