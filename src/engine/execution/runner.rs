//! The runner's program for each kind of machine, as the Server holds it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::Digest as _;
use tokio::sync::Mutex;

/// A runner for one kind of machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// The file on the Server.
    pub file: PathBuf,
    /// SHA-256, lower-case hex: the name of its folder on machines.
    pub sha256: String,
}

impl Runner {
    /// Where it is on a machine, below the agent's home.
    #[must_use]
    pub fn place(&self) -> String {
        format!("Tools/mantle/calamari/{}/calamari", self.sha256)
    }
}

/// The folder of runners: `<platform>/calamari`, or one `calamari` for the platform of the Server itself.
#[derive(Clone)]
pub struct Runners {
    folder: PathBuf,
    known: Arc<Mutex<HashMap<PathBuf, (std::time::SystemTime, Runner)>>>,
}

impl Runners {
    /// The runners of a folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            known: Arc::default(),
        }
    }

    /// The runner for a machine: `machine` is what its `uname -m` says.
    ///
    /// # Errors
    /// A sentence when there is none for it.
    pub async fn find(&self, machine: &str) -> Result<Runner, String> {
        let platform = platform(machine).ok_or_else(|| {
            format!(
                "Machines with the processor '{machine}' are not supported. Use one with x86_64 or aarch64."
            )
        })?;
        let mut files = vec![self.folder.join(platform).join("calamari")];
        if platform == self::platform(std::env::consts::ARCH).unwrap_or_default() {
            files.push(self.folder.join("calamari"));
        }
        for file in &files {
            match self.read(file).await {
                Ok(runner) => return Ok(runner),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(format!(
                        "The runner '{}' cannot be read: {error}.",
                        file.display()
                    ));
                }
            }
        }
        Err(format!(
            "This Server has no runner for the processor '{machine}'. Put one for {platform} at '{}', or use another machine.",
            files[0].display()
        ))
    }

    /// Hashed once, and again when the file was replaced.
    async fn read(&self, file: &Path) -> std::io::Result<Runner> {
        let changed = tokio::fs::metadata(file).await?.modified()?;
        let mut known = self.known.lock().await;
        if let Some((then, runner)) = known.get(file)
            && *then == changed
        {
            return Ok(runner.clone());
        }
        let path = file.to_owned();
        let hash = tokio::task::spawn_blocking(move || {
            let (mut hash, mut reader) = (sha2::Sha256::new(), std::fs::File::open(path)?);
            std::io::copy(&mut reader, &mut HashWriter(&mut hash))?;
            Ok::<_, std::io::Error>(hex::encode(hash.finalize()))
        });
        let sha256 = hash.await.map_err(std::io::Error::other)??;
        let runner = Runner {
            file: file.to_owned(),
            sha256,
        };
        known.insert(file.to_owned(), (changed, runner.clone()));
        Ok(runner)
    }
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn platform(machine: &str) -> Option<&'static str> {
    match machine {
        "x86_64" | "amd64" => Some("linux-x64"),
        "aarch64" | "arm64" => Some("linux-arm64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_processor_has_its_runner_or_a_clear_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("linux-arm64/calamari");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "one").unwrap();
        let runners = Runners::new(folder.path().into());
        let runner = runners.find("aarch64").await.unwrap();
        assert_eq!(runner.sha256, hex::encode(sha2::Sha256::digest("one")));
        assert!(runner.place().ends_with("/calamari"));
        assert!(runners.find("x86_64").await.unwrap_err().contains("linux-x64"));
        assert!(runners.find("mips").await.unwrap_err().contains("'mips'"));
    }
}
