//! The file that tells a health check how the agent is (`containers.md` 2.6).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// How often it is written.
pub(super) const PERIOD: Duration = Duration::from_secs(3);
/// An older one means that the event loop does not turn.
pub(crate) const OLDEST: Duration = Duration::from_secs(30);
const NAME: &str = "livez.heartbeat";

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Health {
    /// Whether it can be given work.
    pub(crate) is_ready: bool,
}

/// Beats once.
pub(super) fn write(home: &Path, health: &Health) -> io::Result<()> {
    let next = home.join(format!(".{NAME}"));
    fs::write(&next, serde_json::to_vec(health)?)?;
    fs::rename(next, path(home))
}

/// The agent has ended.
pub(super) fn remove(home: &Path) {
    // a file that stays goes stale
    fs::remove_file(path(home)).ok();
}

/// How the agent of a home folder is.
///
/// # Errors
/// What is wrong: it does not run, or its event loop does not turn.
pub(crate) fn read(home: &Path, now: SystemTime, oldest: Duration) -> Result<Health, String> {
    let path = path(home);
    let failed = |error: &io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!(
                "The heartbeat file '{}' does not exist; the agent does not run.",
                path.display()
            )
        } else {
            format!("The heartbeat file '{}' cannot be read: {error}.", path.display())
        }
    };
    let beat = fs::metadata(&path)
        .and_then(|found| found.modified())
        .map_err(|error| failed(&error))?;
    let age = now.duration_since(beat).unwrap_or_default();
    if age > oldest {
        return Err(format!(
            "The heartbeat file '{}' is {} s old; the agent hangs, or was killed.",
            path.display(),
            age.as_secs()
        ));
    }
    let bytes = fs::read(&path).map_err(|error| failed(&error))?;
    // an empty file of the original's kind says only that the agent lives
    Ok(serde_json::from_slice(&bytes).unwrap_or(Health { is_ready: true }))
}

fn path(home: &Path) -> PathBuf {
    home.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heart_beats_until_it_does_not() {
        let home = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        assert!(
            read(home.path(), now, OLDEST)
                .unwrap_err()
                .contains("does not run")
        );
        write(home.path(), &Health { is_ready: false }).unwrap();
        assert_eq!(read(home.path(), now, OLDEST), Ok(Health { is_ready: false }));
        assert!(
            read(home.path(), now + Duration::from_secs(60), OLDEST)
                .unwrap_err()
                .contains("hangs")
        );
        remove(home.path());
        assert!(read(home.path(), now, OLDEST).is_err());
    }
}
