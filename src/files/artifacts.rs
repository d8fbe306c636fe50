//! Files that tasks collected: `<artifacts>/<task id>/<artifact id>`. Their own names stand in the database.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::name;
use crate::spool::{Spool, Spooled};

/// The largest artifact, in bytes.
pub const LARGEST_ARTIFACT: u64 = 16 * 1024 * 1024 * 1024;

/// The artifact files.
#[derive(Debug, Clone)]
pub struct Artifacts {
    volume: PathBuf,
}

impl Artifacts {
    pub(crate) fn new(volume: PathBuf) -> Self {
        Self { volume }
    }

    /// Begins to take in a file.
    ///
    /// # Errors
    /// When the volume cannot be written.
    pub async fn spool(&self) -> Result<Spool> {
        Spool::begin(&self.volume, LARGEST_ARTIFACT).await
    }

    /// Stores a complete file; an older one of the same id is replaced, as an upload may be repeated.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn put(&self, task: &str, artifact: &str, file: Spooled) -> Result<()> {
        file.persist(&self.path(task, artifact)?, true).await
    }

    /// Opens an artifact for reading.
    ///
    /// # Errors
    /// [`Error::Missing`], or when the disk fails.
    pub async fn open(&self, task: &str, artifact: &str) -> Result<tokio::fs::File> {
        let path = self.path(task, artifact)?;
        tokio::fs::File::open(&path)
            .await
            .map_err(Error::io("Opening", &path))
    }

    /// Deletes an artifact; one that is not there is deleted already.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn delete(&self, task: &str, artifact: &str) -> Result<()> {
        let path = self.path(task, artifact)?;
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("Deleting", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, task: &str, artifact: &str) -> Result<PathBuf> {
        name::check("task id", task)?;
        name::check("artifact id", artifact)?;
        Ok(self.volume.join(task).join(artifact))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn an_artifact_comes_back_as_it_was_stored() {
        let volume = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(volume.path().into());
        let file = artifacts
            .spool()
            .await
            .unwrap()
            .fill_from(&b"report"[..])
            .await
            .unwrap();
        artifacts.put("ServerTasks-1", "Artifacts-7", file).await.unwrap();
        let mut text = String::new();
        artifacts
            .open("ServerTasks-1", "Artifacts-7")
            .await
            .unwrap()
            .read_to_string(&mut text)
            .await
            .unwrap();
        assert_eq!(text, "report");
        artifacts.delete("ServerTasks-1", "Artifacts-7").await.unwrap();
        assert!(
            artifacts
                .open("ServerTasks-1", "Artifacts-7")
                .await
                .unwrap_err()
                .is_missing()
        );
        assert!(artifacts.open("..", "Artifacts-7").await.is_err());
    }
}
