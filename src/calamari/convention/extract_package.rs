//! Unpacks the package into the folder of the application (6.7, 7.1, 7.2).

use super::installation_folder::OUTPUTS;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::package::{self, ArchiveError, Limits};
use crate::runner::Runner;
use std::path::{Path, PathBuf};
use versioning::package_file_name::escape;

/// Bytes that must be free before a package is unpacked.
const FREE_BYTES: u64 = 500 << 20;

/// Makes the folder and fills it.
///
/// # Errors
/// No folder for applications, too little space, or a package that cannot be unpacked.
pub fn to_application_folder(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let runner = &mut *deployment.runner;
    let mut folder = application_root(runner)?;
    for name in ["Octopus.Deployment.Tenant.Name", "Octopus.Environment.Name"] {
        if let Some(value) = runner.variables.filled(name)? {
            folder.push(file_name(&value, name)?);
        }
    }
    check_free_space(runner, &folder)?;
    folder.push(escaped(&deployment.package.id, "package id")?);
    let version = escaped(&deployment.package.version, "package version")?;
    runner.log.verbose(&format!(
        "Extracting package to: {}",
        folder.join(&version).display()
    ));
    let package = &deployment.package;
    let extracted = package::extract(
        &package.path,
        package.archive,
        &folder,
        &version,
        limits(runner)?,
        &runner.interruption,
    )
    .map_err(|error| not_extracted(runner, &package.path, &error))?;
    runner
        .log
        .verbose(&format!("Extracted {} files", extracted.files));
    let path = extracted.folder.display().to_string();
    runner.variables.set("OctopusOriginalPackageDirectoryPath", &path);
    for name in OUTPUTS {
        runner.output(name, &path)?;
    }
    runner.output("Package.ExtractedFileCount", &extracted.files.to_string())?;
    deployment.extracted = Some(extracted.folder);
    Ok(())
}

/// What the log says of a package that could not be unpacked.
pub(crate) fn not_extracted(runner: &Runner, package: &Path, error: &ArchiveError) -> Failure {
    let failure = Failure::unexpected(format!("Could not extract {}: {error}", package.display()));
    match runner.interruption.signal() {
        Some(signal) => Failure {
            exit_code: 128 + signal,
            ..failure
        },
        None => failure,
    }
}

/// The limits of every package, and those that the step sets.
pub(crate) fn limits(runner: &Runner) -> Result<Limits, Failure> {
    const SET: &str = "Octopus.Calamari.ArchiveLimits";
    let mut limits = Limits::default();
    let variables = &runner.variables;
    if !variables.flag(&format!("{SET}.Enabled"), false)? {
        return Ok(limits);
    }
    let number = |name: &str| -> Result<Option<u64>, Failure> {
        Ok(variables
            .text(&format!("{SET}.{name}"))?
            .trim()
            .parse()
            .ok()
            .filter(|number| *number > 0))
    };
    if let Some(bytes) = number("MaximumUncompressedSize")? {
        limits.bytes = limits.bytes.min(bytes);
    }
    if let Some(ratio) = number("MaximumCompressionRatio")? {
        (limits.ratio, limits.free_bytes) = (limits.ratio.min(ratio), 0);
    }
    Ok(limits)
}

fn application_root(runner: &Runner) -> Result<PathBuf, Failure> {
    let variables = &runner.variables;
    for name in [
        "Octopus.Tentacle.Agent.ApplicationDirectoryPath",
        "env:TentacleApplications",
    ] {
        if let Some(root) = variables.filled(name)? {
            return absolute(runner, &root);
        }
    }
    match variables.filled("env:HOME")? {
        Some(home) => absolute(runner, &home).map(|home| home.join("Applications")),
        None => Err(Failure::expected(
            "No folder for applications is known; give the agent one (its setting ApplicationDirectory), or set the \
             variable Octopus.Tentacle.Agent.ApplicationDirectoryPath",
        )),
    }
}

fn absolute(runner: &Runner, path: &str) -> Result<PathBuf, Failure> {
    Ok(runner.working_directory.join(Path::new(path)))
}

/// A name with what no file name can hold left out.
fn file_name(value: &str, variable: &str) -> Result<String, Failure> {
    let name: String = value
        .chars()
        .filter(|character| !matches!(character, '/' | '\0'))
        .collect();
    part(name, variable)
}

fn escaped(value: &str, what: &str) -> Result<String, Failure> {
    part(escape(value), what)
}

fn part(name: String, what: &str) -> Result<String, Failure> {
    if matches!(name.as_str(), "" | "." | "..") || name.len() > 255 {
        return Err(Failure::expected(format!(
            "The {what} '{name}' cannot be the name of a folder; change it"
        )));
    }
    Ok(name)
}

fn check_free_space(runner: &Runner, folder: &Path) -> Result<(), Failure> {
    let variables = &runner.variables;
    if variables.flag("OctopusSkipFreeDiskSpaceCheck", false)? {
        runner.log.verbose(&format!(
            "OctopusSkipFreeDiskSpaceCheck is enabled. The check to ensure that the drive containing the directory '{}' has enough free space will be skipped.",
            folder.display()
        ));
        return Ok(());
    }
    let wanted = match variables
        .text("OctopusFreeDiskSpaceOverrideInMegaBytes")?
        .trim()
        .parse::<u64>()
    {
        Ok(megabytes) => {
            runner.log.verbose(&format!(
                "OctopusFreeDiskSpaceOverrideInMegaBytes has been specified. {megabytes} MB must be free."
            ));
            megabytes.saturating_mul(1 << 20)
        }
        Err(_) => FREE_BYTES,
    };
    // The nearest folder that exists is on the same disk.
    let Some(existing) = folder.ancestors().find(|ancestor| ancestor.exists()) else {
        return Ok(());
    };
    let Ok(space) = rustix::fs::statvfs(existing) else {
        return Ok(());
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < wanted {
        return Err(Failure::unexpected(format!(
            "The disk of '{}' has {} MB free, but {} MB are wanted before a package is unpacked; free some space, or set \
             OctopusFreeDiskSpaceOverrideInMegaBytes",
            existing.display(),
            free >> 20,
            wanted >> 20
        )));
    }
    Ok(())
}
