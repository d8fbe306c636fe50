//! Artifacts: files that a task left behind (`deployments.md` 8.9, `rest-api.md` 5.22).

use crate::document::Document;
use crate::shape::shape;
use crate::time::Timestamp;
use crate::{ArtifactId, ServerTaskId, SpaceId};

/// The longest name of an artifact, in characters.
pub const LONGEST_NAME: usize = 1000;

shape! {
    /// One file of a task. Its content is on the volume of artifacts.
    pub struct Artifact {
        /// `Artifacts-1`.
        pub id: ArtifactId,
        /// The space of its task.
        pub space_id: SpaceId,
        /// What people see; two artifacts of a task may have the same.
        pub filename: String,
        /// The machine it came from; null = a person or the Server.
        pub source: Option<String>,
        /// The task.
        pub server_task_id: ServerTaskId,
        /// The block of the task's log that it belongs to.
        pub log_correlation_id: Option<String>,
        /// When it was collected.
        pub created: Timestamp,
    }
}

impl Document for Artifact {}

/// What an artifact is called: the last part of a path, without control characters, and not longer than any may be.
/// None: nothing is left of it.
///
/// ```
/// assert_eq!(domain::artifact::file_name("../reports/ü.html").as_deref(), Some("ü.html"));
/// assert_eq!(domain::artifact::file_name("reports/"), None);
/// ```
#[must_use]
pub fn file_name(text: &str) -> Option<String> {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_NAME)
        .collect();
    let name = name.trim();
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
}
