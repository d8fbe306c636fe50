//! `register-package` and `release-package-lock`: which task needs which package of the cache (11.5).

use crate::failure::{Failure, SUCCESS};
use crate::package_cache::version_of;
use crate::package_use::{self, PackageIdentity};
use crate::runner::Runner;

/// Notes that a task uses a package, and keeps it from being cleaned away until the task lets go of it.
///
/// # Errors
/// Options that are missing or wrong, or a package that is not there. What goes wrong with the journal is logged only.
pub fn register(runner: &mut Runner) -> Result<i32, Failure> {
    let option = |name: &str| {
        runner.line.option(name).map(str::to_owned).ok_or_else(|| {
            Failure::unexpected(format!(
                "Unable to register package use: the option --{name} is missing"
            ))
        })
    };
    let id = option("packageId")?;
    let version = version_of(runner, &option("packageVersion")?)?;
    let path = runner.working_directory.join(option("packagePath")?);
    if !path.is_file() {
        return Err(Failure::unexpected(format!(
            "Unable to register package use: could not find the package file {}",
            path.display()
        )));
    }
    let package = PackageIdentity { id, version, path };
    note_use(runner, &package);
    Ok(SUCCESS)
}

/// Notes the use in the journal; what goes wrong is logged only.
pub(crate) fn note_use(runner: &Runner, package: &PackageIdentity) {
    let registered = package_use::open(runner).and_then(|journal| {
        let lock = journal.lock()?;
        journal.register(runner, &lock, package)
    });
    package_use::log_only(
        runner,
        "Unable to register package use for retention.",
        registered,
    );
}

/// Lets go of the packages of a task, and of those that other tasks held for too long.
///
/// # Errors
/// None: what goes wrong with the journal is logged only, because the task is over.
pub fn release(runner: &mut Runner) -> Result<i32, Failure> {
    let released = package_use::open(runner).and_then(|journal| {
        let lock = journal.lock()?;
        journal.release(runner, &lock)
    });
    package_use::log_only(runner, "Unable to release package locks.", released);
    Ok(SUCCESS)
}
