//! Unpacks the package into the folder of the application (6.7, 7.1, 7.2).

use super::installation_folder::OUTPUTS;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::log::Log;
use crate::package::{self, ArchiveError, Extracted, Limits, PackageFile};
use crate::runner::Runner;
use contracts::ServiceMessage;
use std::path::{Path, PathBuf};
use std::time::Instant;
use versioning::package_file_name::escape;

/// Bytes that must be free before a package is unpacked.
const FREE_BYTES: u64 = 500 << 20;

/// Makes the folder and fills it.
///
/// # Errors
/// No folder for applications, too little space, or a package that cannot be unpacked.
pub fn to_application_folder(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let package = PackageFile::open(&deployment.package_path)?;
    let runner = &mut *deployment.runner;
    let (folder, version) = application_folder(runner, &package)?;
    runner.log.verbose(&format!(
        "Extracting package to: {}",
        folder.join(&version).display()
    ));
    let metrics = Metrics::begin(runner)?;
    let extracted = package::extract(
        &package.path,
        package.archive,
        &folder,
        &version,
        limits(runner)?,
        &runner.interruption,
    )
    .map_err(|error| not_extracted(runner, &package.path, &error));
    if let Some(metrics) = metrics {
        metrics.tell(&runner.log, &package.path, extracted.as_ref().ok());
    }
    let extracted = extracted?;
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
    deployment.package = Some(package);
    Ok(())
}

/// The folder for all versions of the application, and the name for this one.
///
/// # Errors
/// No folder for applications, a name that no folder can have, or too little space.
pub(super) fn application_folder(
    runner: &Runner,
    package: &PackageFile,
) -> Result<(PathBuf, String), Failure> {
    let mut folder = application_root(runner)?;
    for name in ["Octopus.Deployment.Tenant.Name", "Octopus.Environment.Name"] {
        if let Some(value) = runner.variables.filled(name)? {
            folder.push(file_name(&value, name)?);
        }
    }
    check_free_space(runner, &folder)?;
    folder.push(escaped(&package.id, "package id")?);
    Ok((folder, escaped(&package.version, "package version")?))
}

/// How large the package is and how long it takes, for who asked.
struct Metrics {
    operation: String,
    started: Instant,
}

impl Metrics {
    fn begin(runner: &Runner) -> Result<Option<Self>, Failure> {
        const SWITCH: &str = "Octopus.Calamari.ArchiveLimits.Metrics.Enabled";
        Ok(runner.variables.flag(SWITCH, false)?.then(|| Self {
            operation: uuid::Uuid::new_v4().simple().to_string(),
            started: Instant::now(),
        }))
    }

    fn tell(self, log: &Log, package: &Path, extracted: Option<&Extracted>) {
        // Sizes that cannot be found out are left out; that is no reason to stop.
        if let (Some(extracted), Ok(about)) = (extracted, package.metadata()) {
            let (packed, unpacked) = (about.len(), extracted.bytes);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a ratio needs no more digits than that"
            )]
            let ratio = unpacked as f64 / packed.max(1) as f64;
            for (metric, value) in [
                ("DeploymentPackageCompressedSize", packed.to_string()),
                ("DeploymentPackageUncompressedSize", unpacked.to_string()),
                ("DeploymentPackageCompressionRatio", ratio.to_string()),
            ] {
                log.message(&ServiceMessage::new(
                    "calamari-deployment-metric",
                    &[
                        ("operationId", &self.operation),
                        ("metric", metric),
                        ("value", &value),
                    ],
                ));
            }
        }
        let outcome = if extracted.is_some() {
            "Completed"
        } else {
            "Abandoned"
        };
        log.message(&ServiceMessage::new(
            "calamari-timed-operation",
            &[
                ("operationId", &self.operation),
                ("name", "Extract package"),
                (
                    "durationMilliseconds",
                    &self.started.elapsed().as_millis().to_string(),
                ),
                ("outcome", outcome),
            ],
        ));
    }
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
