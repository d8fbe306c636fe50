//! One agent for each home folder (`containers.md` 3.3).

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{AgentError, folder_error};
use crate::durable_file;

/// Held as long as the agent lives; the system lets go of it when the process ends in any way.
pub(super) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Makes the folder if need be, and locks it.
    pub(super) fn take(home: &Path) -> Result<HomeLock, AgentError> {
        durable_file::private_folder(home).map_err(|error| folder_error("make the folder", home, error))?;
        let path = home.join("agent.lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| folder_error("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(HomeLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(AgentError::HomeInUse(home.to_owned())),
            Err(TryLockError::Error(error)) => Err(folder_error("lock", &path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_agent_of_a_home_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let first = HomeLock::take(home.path()).unwrap();
        assert!(matches!(
            HomeLock::take(home.path()),
            Err(AgentError::HomeInUse(_))
        ));
        drop(first);
        HomeLock::take(home.path()).unwrap();
    }
}
