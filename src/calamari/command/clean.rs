//! `clean`: removes old deployments of a policy set, and what downloads left behind (9).

use crate::deployment::now;
use crate::failure::{Failure, SUCCESS};
use crate::journal::Entry;
use crate::package_cache::PackageCache;
use crate::retention::Retention;
use crate::runner::Runner;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Downloads that did not end in this time will not.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(86_400);

/// Removes what the options say.
///
/// # Errors
/// Options that are missing or no numbers, or no journal.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let set = runner.line.option("retentionPolicySet").ok_or_else(|| {
        Failure::expected(
            "No retention-policy-set was specified. Please pass --retentionPolicySet \"Environments-2/projects-161/Step-Package B/machines-65/<default>\"",
        )
    })?;
    let retention = retention(runner)?;
    let journal = runner.journal.clone().ok_or_else(|| {
        Failure::unexpected(
            "JournalPath has not been set: the agent names the deployment journal in the environment variable TentacleJournal",
        )
    })?;
    let entries = journal.entries(&runner.log)?;
    let decision = retention.decide(
        entries
            .iter()
            .filter(|entry| entry.retention_policy_set == set)
            .cloned()
            .collect(),
        now(),
    );
    runner.log.verbose(&match retention {
        Retention::Days(days) => format!("Keeping deployments from the last {days} days"),
        Retention::Releases(releases) => {
            format!("Keeping this deployment and the previous {releases} successful deployments")
        }
    });
    for (entry, reason) in &decision.kept {
        runner
            .log
            .verbose(&format!("Keeping {} as {reason}", described(entry)));
    }
    if decision.gone.is_empty() {
        runner.log.info("Did not find any deployments to clean up");
    }
    let gone: Vec<&Entry> = decision.gone.iter().collect();
    let kept_folders: HashSet<PathBuf> = entries
        .iter()
        .filter(|entry| !gone.contains(entry))
        .map(|entry| plain(&entry.extracted_to))
        .collect();
    let mut removed = HashSet::new();
    for entry in &decision.gone {
        if kept_folders.contains(&plain(&entry.extracted_to)) || remove_folder(runner, entry) {
            removed.insert(entry.id.clone());
        }
    }
    // An entry without an id cannot be told from others; it stays.
    removed.remove("");
    journal.remove(&removed, &runner.log)?;
    remove_downloads(runner)?;
    Ok(SUCCESS)
}

fn retention(runner: &Runner) -> Result<Retention, Failure> {
    let number = |name: &str| -> Result<Option<u64>, Failure> {
        match runner.line.option(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<i64>() {
                Ok(number) => Ok(u64::try_from(number).ok().filter(|number| *number > 0)),
                Err(_) => Err(Failure::expected(format!(
                    "The option --{name} is '{text}'; a value must be provided for either --days or --releases: a whole number"
                ))),
            },
        }
    };
    match (number("days")?, number("releases")?) {
        (Some(days), _) => Ok(Retention::Days(days)),
        (None, Some(releases)) => Ok(Retention::Releases(
            usize::try_from(releases).unwrap_or(usize::MAX),
        )),
        (None, None) => Err(Failure::expected(
            "A value must be provided for either --days or --releases",
        )),
    }
}

/// A path in which two ways to write one folder are the same.
fn plain(path: &str) -> PathBuf {
    Path::new(path).components().collect()
}

fn described(entry: &Entry) -> String {
    let files: Vec<&str> = entry
        .packages
        .iter()
        .map(|package| package.deployed_from.as_str())
        .filter(|file| !file.is_empty())
        .collect();
    match files.as_slice() {
        [] => entry.extracted_to.clone(),
        files => format!("{} and {}", entry.extracted_to, files.join(", ")),
    }
}

/// Whether nothing of the folder is left.
fn remove_folder(runner: &Runner, entry: &Entry) -> bool {
    let folder = plain(&entry.extracted_to);
    if entry.extracted_to.trim().is_empty() {
        return true;
    }
    if !folder.is_absolute() || holds_more_than_an_application(runner, &folder) {
        runner.log.warning(&format!(
            "The folder {} of a deployment is not removed: it is no folder of an application; remove its entry from the \
             deployment journal",
            folder.display()
        ));
        return false;
    }
    if folder.symlink_metadata().is_err() {
        return true;
    }
    runner
        .log
        .info(&format!("Removing directory '{}'", folder.display()));
    match std::fs::remove_dir_all(&folder) {
        Ok(()) => true,
        Err(error) => {
            runner.log.verbose(&format!(
                "Could not remove the directory {}: {error}; it is tried again the next time",
                folder.display()
            ));
            false
        }
    }
}

/// Whether the folder also holds the home of the user or of the agent, or the work of this process.
fn holds_more_than_an_application(runner: &Runner, folder: &Path) -> bool {
    let homes = ["env:HOME", "env:TentacleHome"].map(|name| runner.variables.text(name).unwrap_or_default());
    folder.parent().is_none()
        || runner.working_directory.starts_with(folder)
        || homes
            .iter()
            .any(|home| !home.is_empty() && plain(home).starts_with(folder))
}

fn remove_downloads(runner: &Runner) -> Result<(), Failure> {
    for file in PackageCache::open(runner)?.files()? {
        let unfinished = file
            .extension()
            .is_some_and(|extension| extension == "downloading");
        let old = file
            .symlink_metadata()
            .and_then(|found| found.modified())
            .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > LONGEST_DOWNLOAD));
        if unfinished && old {
            runner.log.info(&format!(
                "Removing the failed to download file {}",
                file.display()
            ));
            if let Err(error) = std::fs::remove_file(&file) {
                runner
                    .log
                    .verbose(&format!("Could not remove {}: {error}", file.display()));
            }
        }
    }
    Ok(())
}
