//! Spaces: walls between groups of people (`rest-api.md` 5.1).

use crate::document::Document;
use crate::shape::shape;
use crate::{Problems, SpaceId, UserId, check_name};

/// The longest name of a space, in characters.
const LONGEST_SPACE_NAME: usize = 20;

shape! {
    /// A space; all resources but users, tasks of the system and the Server's own settings live in one.
    pub struct + extra Space {
        /// `Spaces-1`.
        pub id: SpaceId,
        /// Unique, without case; at most 20 characters.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// What it is for.
        pub description: String,
        /// Whether requests without a space mean this one.
        pub is_default: bool,
        /// Whether its tasks wait; must be true before it can be deleted.
        pub task_queue_stopped: bool,
        /// Teams that manage it.
        pub space_managers_teams: Vec<String>,
        /// Users that manage it.
        pub space_managers_team_members: Vec<UserId>,
    }
}

impl Document for Space {}

impl Space {
    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "space", &self.name);
        if self.name.chars().count() > LONGEST_SPACE_NAME {
            problems.add(format!(
                "The name of the space '{}' is longer than {LONGEST_SPACE_NAME} characters. Choose a shorter one.",
                self.name
            ));
        }
        if self.space_managers_teams.is_empty() && self.space_managers_team_members.is_empty() {
            problems.add(format!(
                "The space '{}' has nobody who manages it. Name a team in SpaceManagersTeams or a user in \
                 SpaceManagersTeamMembers.",
                self.name
            ));
        }
        problems
    }
}
