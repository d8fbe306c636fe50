//! What is known of a script on disk (`scriptstate.json`, `tentacle-protocol.md` 6.9).

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::durable_file::{self, Lasting};

/// How far a script got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progress {
    /// It waits for its turn.
    Pending,
    /// It was started.
    Running,
    /// It has ended, or never will start.
    Complete,
}

/// The state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScriptState {
    pub(crate) created: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) completed: Option<Timestamp>,
    pub(crate) state: Progress,
    pub(crate) exit_code: Option<i32>,
    pub(crate) ran_to_completion: Option<bool>,
}

impl ScriptState {
    pub(crate) fn created() -> ScriptState {
        ScriptState {
            created: Timestamp::now(),
            started: None,
            completed: None,
            state: Progress::Pending,
            exit_code: None,
            ran_to_completion: None,
        }
    }

    pub(crate) fn start(&mut self) {
        self.started = Some(Timestamp::now());
        self.state = Progress::Running;
    }

    pub(crate) fn complete(&mut self, exit_code: i32, ran_to_completion: bool) {
        self.completed = Some(Timestamp::now());
        self.state = Progress::Complete;
        self.exit_code = Some(exit_code);
        self.ran_to_completion = Some(ran_to_completion);
    }

    /// The state that a workspace holds; none when it has no state file.
    pub(crate) fn load(path: &Path) -> io::Result<Option<ScriptState>> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the state so that a crash leaves the old or the new one.
    pub(crate) fn save(&self, path: &Path, lasting: Lasting) -> io::Result<()> {
        let text = serde_json::to_vec(self).expect("a state is JSON");
        durable_file::replace(path, &text, 0o600, lasting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scriptstate.json");
        assert_eq!(ScriptState::load(&path).unwrap(), None);
        let mut state = ScriptState::created();
        state.start();
        state.complete(7, true);
        state.save(&path, Lasting::Survives).unwrap();
        assert_eq!(ScriptState::load(&path).unwrap(), Some(state));
        fs::write(&path, b"{").unwrap();
        assert!(ScriptState::load(&path).is_err());
    }
}
