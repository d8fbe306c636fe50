//! Which task uses which package of the cache, and how lately: a JSON file beside the cache (11.5, observed 9.29).

pub mod form;

use crate::calendar;
use crate::failure::Failure;
use crate::isolation::time_span;
use crate::package_cache;
use crate::runner::Runner;
use form::{Content, Entry, Use};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use versioning::Version;

/// The variable that names another file.
const PATH: &str = "env:CalamariPackageRetentionJournalPath";

/// The variable that says how long a task may hold a package.
const EXPIRATION: &str = "Octopus.Calamari.PackageRetentionLockExpiration";

/// How long a task may hold a package, unless the variable says otherwise: 14 days.
const DEFAULT_EXPIRATION: Duration = Duration::from_secs(14 * 86_400);

/// Larger journals are taken as damaged.
const LARGEST: u64 = 256 << 20;

/// The journal of one agent.
#[derive(Debug, Clone)]
pub struct UseJournal {
    path: PathBuf,
}

/// Which package a task uses. Two of the same id (without case), version and path are the same.
#[derive(Debug, Clone)]
pub struct PackageIdentity {
    /// Which package.
    pub id: String,
    /// Which version.
    pub version: Version,
    /// Where its file lies.
    pub path: PathBuf,
}

/// Held until dropped; the kernel lets go of it when the process dies.
#[derive(Debug)]
pub struct Lock {
    _folder: File,
}

/// The journal of the agent that started this process. The file need not exist.
///
/// # Errors
/// Neither the file nor the home of the agent is known.
pub fn open(runner: &Runner) -> Result<UseJournal, Failure> {
    let path = match runner.variables.filled(PATH)? {
        Some(path) => runner.working_directory.join(path),
        None => package_cache::home(runner)?.join("PackageRetentionJournal.json"),
    };
    Ok(UseJournal { path })
}

/// Logs a failure and goes on: a deployment never fails because of this journal.
pub fn log_only(runner: &Runner, attempted: &str, outcome: Result<(), Failure>) {
    if let Err(failure) = outcome {
        runner.log.info(&format!("{attempted} {failure}"));
        runner.log.error(&failure.message);
    }
}

impl UseJournal {
    /// Keeps other processes away. The folder itself is locked, which is made when it is missing.
    ///
    /// # Errors
    /// The folder cannot be made or locked.
    pub fn lock(&self) -> Result<Lock, Failure> {
        let failed = |error| Failure::at(&self.path, "lock the package retention journal", &error);
        std::fs::create_dir_all(self.folder()).map_err(failed)?;
        let folder = File::open(self.folder()).map_err(failed)?;
        folder.lock().map_err(failed)?;
        Ok(Lock { _folder: folder })
    }

    /// Notes that the task uses the package now, and holds it.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub fn register(&self, runner: &Runner, _lock: &Lock, package: &PackageIdentity) -> Result<(), Failure> {
        let mut content = self.read(runner)?;
        content.cache_age += 1;
        let now = Use {
            cache_age: content.cache_age,
            when: form::time_text(SystemTime::now()),
            task: runner.line.option("taskId").map(str::to_owned),
        };
        let position = match content.entries.iter().position(|entry| entry.is(package)) {
            Some(position) => position,
            None => {
                let size = std::fs::metadata(&package.path)
                    .map_err(|error| Failure::at(&package.path, "find the package", &error))?
                    .len();
                content.entries.push(Entry::new(package, size));
                content.entries.len() - 1
            }
        };
        let entry = &mut content.entries[position];
        entry.usages.push(now.clone());
        entry.locks.push(now.clone());
        self.write(&content)?;
        runner.log.verbose(&format!(
            "Registered package use/lock for {} v{} and task {}",
            package.id,
            package.version,
            now.task.unwrap_or_default()
        ));
        Ok(())
    }

    /// Drops what the task holds, and what any task has held for too long.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub fn release(&self, runner: &Runner, _lock: &Lock) -> Result<(), Failure> {
        let task = runner.line.option("taskId");
        runner.log.verbose(&format!(
            "Releasing package locks for task {}",
            task.unwrap_or_default()
        ));
        let patience = time_span(runner.variables.text(EXPIRATION)?.trim()).unwrap_or(DEFAULT_EXPIRATION);
        let oldest = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .checked_sub(patience);
        let mut content = self.read(runner)?;
        for entry in &mut content.entries {
            entry.locks.retain(|lock| {
                let held_by_task = lock.task.is_some() && lock.task.as_deref() == task;
                let stale = oldest.is_some_and(|oldest| lock.seconds() < oldest.as_secs().cast_signed());
                if stale && !held_by_task {
                    runner.log.verbose(&format!(
                        "Releasing the lock of task {} on {}, which is older than {} hours",
                        lock.task.as_deref().unwrap_or_default(),
                        entry.path,
                        patience.as_secs() / 3600
                    ));
                }
                !held_by_task && !stale
            });
        }
        self.write(&content)
    }

    /// What the file holds. One that cannot be read is set aside, with a warning, and a new one begins.
    ///
    /// # Errors
    /// The file exists, but the system does not let it be read or set aside.
    pub(crate) fn read(&self, runner: &Runner) -> Result<Content, Failure> {
        let failed = |error| Failure::at(&self.path, "read the package retention journal", &error);
        let bytes = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(failed(error)),
            Ok(found) if found.len() > LARGEST => Vec::from(*b"too large"),
            Ok(_) => std::fs::read(&self.path).map_err(failed)?,
        };
        Content::parse(&bytes).or_else(|reason| {
            let aside = self.aside();
            runner.log.verbose(&format!(
                "Unable to deserialize entries in the package retention journal file. Error message: {reason}"
            ));
            std::fs::rename(&self.path, &aside)
                .map_err(|error| Failure::at(&self.path, "set aside the package retention journal", &error))?;
            runner.log.warning(&format!(
                "The existing package retention journal file {} could not be read. The file will be renamed to {}. A new journal will be created.",
                self.path.display(),
                aside.file_name().unwrap_or_default().to_string_lossy()
            ));
            Ok(Content::default())
        })
    }

    /// A new file, synced, then renamed.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub(crate) fn write(&self, content: &Content) -> Result<(), Failure> {
        let temporary = self
            .path
            .with_extension(format!("temp-{}.json", uuid::Uuid::new_v4()));
        let write = || -> std::io::Result<()> {
            let mut file = File::create_new(&temporary)?;
            file.write_all(content.to_text().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.path)?;
            File::open(self.folder())?.sync_all()
        };
        write().map_err(|error| {
            std::fs::remove_file(&temporary).ok();
            Failure::at(&self.path, "write the package retention journal", &error)
        })
    }

    fn folder(&self) -> &Path {
        self.path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    /// The name for a damaged file: that of the journal with the time in UTC, and a number when there is one already.
    fn aside(&self) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let stamp = calendar::format(crate::deployment::now())
            .replace(['-', ':'], "")
            .replace(' ', "T");
        let first = self.path.with_file_name(format!("{stem}_{stamp}.json"));
        if first.symlink_metadata().is_err() {
            return first;
        }
        let random = uuid::Uuid::new_v4().simple();
        self.path.with_file_name(format!("{stem}_{stamp}_{random}.json"))
    }
}
