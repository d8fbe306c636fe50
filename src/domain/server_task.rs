//! Tasks of the Server: kinds, states, and how one state follows another (`deployments.md` 8.1, `rest-api.md` 3.2).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::Document;
use crate::shape::{shape, words};
use crate::time::Timestamp;
use crate::{ProjectId, ServerTaskId, SpaceId};

words! {
    /// Where a task stands.
    pub enum TaskState {
        /// It waits.
        Queued,
        /// It runs, or waits for a person.
        Executing,
        /// It is being stopped.
        Cancelling,
        /// It did what it should.
        Success,
        /// It did not.
        Failed,
        /// It was stopped.
        Canceled,
        /// It was not started in time.
        TimedOut,
    }
    /// What a task does.
    pub enum TaskKind {
        /// Deploys a release; argument `DeploymentId`.
        Deploy,
        /// Looks after machines; arguments `MachineIds`, `EnvironmentId`, …
        Health,
    }
}

impl TaskState {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_completed(self) -> bool {
        matches!(
            self,
            Self::Success | Self::Failed | Self::Canceled | Self::TimedOut
        )
    }

    /// Whether a task may go from this state to another (`deployments.md` 8.1). Every other way is a fault.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use TaskState::{Canceled, Cancelling, Executing, Failed, Queued, Success, TimedOut};
        match self {
            Queued => matches!(next, Executing | Canceled | TimedOut),
            Executing => matches!(next, Success | Failed | Cancelling),
            Cancelling => matches!(next, Canceled | Failed),
            Success | Failed | Canceled | TimedOut => false,
        }
    }

    /// What a cancel makes of it: a waiting task ends at once, a running one is asked to stop. None when
    /// there is nothing to cancel; cancelling twice is harmless.
    #[must_use]
    pub fn cancelled(self) -> Option<Self> {
        match self {
            Self::Queued => Some(Self::Canceled),
            Self::Executing => Some(Self::Cancelling),
            _ => None,
        }
    }
}

impl TaskKind {
    /// What people see before there is a better description.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Deploy => "Deploy",
            Self::Health => "Check the health of machines",
        }
    }
}

shape! {
    /// A task as clients see it.
    pub struct ServerTask {
        /// `ServerTasks-1`.
        pub id: ServerTaskId,
        /// The space; null = the system.
        pub space_id: Option<SpaceId>,
        /// The kind.
        pub name: TaskKind,
        /// For people.
        pub description: String,
        /// What it works on.
        pub arguments: BTreeMap<String, Value>,
        /// Where it stands.
        pub state: TaskState,
        /// Not before.
        pub queue_time: Option<Timestamp>,
        /// Not after.
        pub queue_time_expiry: Option<Timestamp>,
        /// When it was picked up.
        pub start_time: Option<Timestamp>,
        /// When something of it changed.
        pub last_updated_time: Option<Timestamp>,
        /// When it ended.
        pub completed_time: Option<Timestamp>,
        /// The first failure.
        pub error_message: Option<String>,
        /// The node that runs it.
        pub server_node: Option<String>,
        /// Whether it waits for a person.
        pub has_pending_interruptions: bool,
        /// Whether something was not quite well.
        pub has_warnings_or_errors: bool,
        /// Whether a node has picked it up.
        pub has_been_picked_up_by_processor: bool,
        /// The project it works for.
        pub project_id: Option<ProjectId>,
    }
}

impl Document for ServerTask {}

impl ServerTask {
    /// How long it ran until `now` or its end, in milliseconds.
    #[must_use]
    pub fn ran_for(&self, now: i64) -> i64 {
        let end = self.completed_time.map_or(now, Timestamp::milliseconds);
        self.start_time
            .map_or(0, |start| (end - start.milliseconds()).max(0))
    }

    /// `Duration` as people read it: `less than a second`, `12 seconds`, `3 minutes`.
    #[must_use]
    pub fn duration(&self, now: i64) -> String {
        match self.ran_for(now) / 1000 {
            0 => "less than a second".into(),
            1 => "1 second".into(),
            seconds @ ..60 => format!("{seconds} seconds"),
            seconds @ ..120 => format!("1 minute{}", rest(seconds % 60, "second")),
            seconds @ ..3600 => format!("{} minutes", seconds / 60),
            seconds @ ..7200 => format!("1 hour{}", rest(seconds / 60 % 60, "minute")),
            seconds => format!("{} hours", seconds / 3600),
        }
    }

    /// `Completed` as people read it.
    #[must_use]
    pub fn completed(&self, now: i64) -> String {
        let Some(end) = self.completed_time else {
            return match self.state {
                TaskState::Queued => "Queued...".into(),
                TaskState::Cancelling => "Cancelling...".into(),
                _ => "Executing...".into(),
            };
        };
        match (now - end.milliseconds()).max(0) / 1000 {
            seconds @ ..60 => format!("{seconds} second{} ago", plural(seconds)),
            seconds @ ..3600 => format!("{} minute{} ago", seconds / 60, plural(seconds / 60)),
            seconds @ ..86_400 => format!("{} hour{} ago", seconds / 3600, plural(seconds / 3600)),
            seconds => format!("{} day{} ago", seconds / 86_400, plural(seconds / 86_400)),
        }
    }
}

fn rest(number: i64, unit: &str) -> String {
    if number == 0 {
        String::new()
    } else {
        format!(" and {number} {unit}{}", plural(number))
    }
}

fn plural(number: i64) -> &'static str {
    if number == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_takes_only_the_ways_that_exist() {
        use TaskState::{Canceled, Cancelling, Executing, Failed, Queued, Success, TimedOut};
        let ways = [
            (Queued, Executing),
            (Queued, Canceled),
            (Queued, TimedOut),
            (Executing, Success),
            (Executing, Failed),
            (Executing, Cancelling),
            (Cancelling, Canceled),
            (Cancelling, Failed),
        ];
        for from in TaskState::ALL.iter().copied() {
            for to in TaskState::ALL.iter().copied() {
                assert_eq!(from.may_become(to), ways.contains(&(from, to)), "{from} to {to}");
            }
            assert!(!from.is_completed() || from.cancelled().is_none());
        }
    }

    #[test]
    fn times_are_told_as_people_say_them() {
        let mut task = ServerTask {
            start_time: Some(Timestamp(0)),
            ..ServerTask::default()
        };
        assert_eq!(task.duration(500), "less than a second");
        assert_eq!(task.duration(75_000), "1 minute and 15 seconds");
        assert_eq!(task.duration(7_200_000), "2 hours");
        assert_eq!(task.completed(0), "Queued...");
        task.completed_time = Some(Timestamp(1000));
        assert_eq!(task.completed(62_000), "1 minute ago");
    }
}
