//! The log of an agent that runs by hand or as a service: `<home>/Logs/OctopusTentacle.txt` (`observed.md` 10.17).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::durable_file;

const NAME: &str = "OctopusTentacle.txt";
const FORMER: &str = "OctopusTentacle.1.txt";
/// A longer file becomes the former one, and the one before is gone.
const LARGEST: u64 = 10 << 20;

/// Lines with time and level, in two files of at most ten megabytes.
#[derive(Debug)]
pub struct LogFile {
    folder: PathBuf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    length: u64,
}

impl LogFile {
    /// Opens the log of a home folder, to write on where it ends.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn open(home: &Path) -> io::Result<LogFile> {
        let folder = home.join("Logs");
        durable_file::private_folder(&folder)?;
        let current = Mutex::new(Current::open(&folder.join(NAME))?);
        Ok(LogFile { folder, current })
    }

    /// Adds a line. What cannot be written is lost: the log must not stop the agent.
    pub(crate) fn line(&self, level: &str, text: &str) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.4f");
        let line = format!("{now}  {:<7}  {text}\n", level.to_ascii_uppercase());
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.length + line.len() as u64 > LARGEST {
            let path = self.folder.join(NAME);
            let turned = fs::rename(&path, self.folder.join(FORMER)).and_then(|()| Current::open(&path));
            if let Ok(fresh) = turned {
                *current = fresh;
            }
        }
        if current.file.write_all(line.as_bytes()).is_ok() {
            current.length += line.len() as u64;
        }
    }
}

impl Current {
    fn open(path: &Path) -> io::Result<Current> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let length = file.metadata()?.len();
        Ok(Current { file, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_a_long_log_is_turned() {
        let home = tempfile::tempdir().unwrap();
        let log = LogFile::open(home.path()).unwrap();
        log.line("info", "first");
        log.current.lock().unwrap().length = LARGEST;
        log.line("warning", "second");
        let read = |name: &str| fs::read_to_string(home.path().join("Logs").join(name)).unwrap();
        assert!(read(FORMER).ends_with("  INFO     first\n"));
        assert!(read(NAME).ends_with("  WARNING  second\n"));
    }
}
