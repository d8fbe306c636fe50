//! The folders that the Server is given, one volume each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::artifacts::Artifacts;
use crate::error::{Error, Result};
use crate::packages::Packages;
use crate::spool::sweep_incoming;
use crate::task_logs::TaskLogs;

/// Files on their way are given up when they are as old as this: no request lasts so long.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Where the volumes are mounted. Each may be a file system of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volumes {
    /// Packages of the built-in feed.
    pub repository: PathBuf,
    /// Files that tasks collected.
    pub artifacts: PathBuf,
    /// Logs of tasks.
    pub task_logs: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
}

/// Everything that is kept in files.
#[derive(Debug, Clone)]
pub struct Files {
    /// The built-in feed's packages.
    pub packages: Packages,
    /// Files that tasks collected.
    pub artifacts: Artifacts,
    /// Logs of tasks.
    pub task_logs: TaskLogs,
    cache: PathBuf,
}

impl Files {
    /// Opens the volumes: makes missing folders, tries to write in each, and removes what a crash a day ago or
    /// earlier left half written.
    ///
    /// # Errors
    /// Names the first volume that cannot be used.
    pub fn open(volumes: Volumes) -> Result<Self> {
        for volume in [
            &volumes.repository,
            &volumes.artifacts,
            &volumes.task_logs,
            &volumes.cache,
        ] {
            std::fs::create_dir_all(volume)
                .and_then(|()| tempfile::tempfile_in(volume))
                .and_then(|_| sweep_incoming(volume, ABANDONED))
                .map_err(|source| Error::Io {
                    attempted: "Opening the volume",
                    path: volume.clone(),
                    source,
                })?;
        }
        Ok(Self {
            packages: Packages::new(volumes.repository),
            artifacts: Artifacts::new(volumes.artifacts),
            task_logs: TaskLogs::new(volumes.task_logs),
            cache: volumes.cache,
        })
    }

    /// The folder for what comes in over the wire, made when it is not there.
    ///
    /// # Errors
    /// When the volume cannot be written.
    pub fn incoming(&self) -> std::io::Result<PathBuf> {
        let folder = self.cache.join(crate::spool::INCOMING);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The folder for what can be made again.
    #[must_use]
    pub fn cache(&self) -> &Path {
        &self.cache
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let at = |name: &str| folder.path().join(name);
        let volumes = Volumes {
            repository: at("r"),
            artifacts: file.join("a"),
            task_logs: at("t"),
            cache: at("c"),
        };
        let error = Files::open(volumes.clone()).unwrap_err().to_string();
        assert!(error.contains("file/a"), "{error}");
        assert!(
            Files::open(Volumes {
                artifacts: at("a"),
                ..volumes
            })
            .is_ok()
        );
    }
}
