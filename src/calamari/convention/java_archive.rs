//! Java archives are unpacked beside the step, changed there, and built again (17.3).

use super::extract_package;
use super::installation_folder::OUTPUTS;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::package::{PackageFile, zip_writer};
use crate::runner::Runner;
use crate::script::{file_name_of, package_reference};
use std::path::{Path, PathBuf};

/// Leaves the archive unpacked in the folder of the application.
const EXPLODED: &str = "Octopus.Action.JavaArchive.DeployExploded";
/// Deploys the archive as it is.
const UNCHANGED: &str = "Octopus.Action.Java.JavaArchiveExtractionDisabled";
const NAME: &str = "Octopus.Action.Package.CustomPackageFileName";
const COMPRESSED: &str = "Octopus.Action.Package.JavaArchiveCompression";
const ARCHIVE: &str = "Octopus.Action.Package.InstallationPackagePath";

/// Unpacks into `staging` in the working folder; into the folder of the application when it stays unpacked there.
///
/// # Errors
/// The archive cannot be unpacked.
pub fn extract(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let variables = &deployment.runner.variables;
    if variables.flag(EXPLODED, false)? {
        return extract_package::to_application_folder(deployment);
    }
    let unchanged = variables.flag(UNCHANGED, false)?;
    let package = PackageFile::open(&deployment.package_path)?;
    let runner = &mut *deployment.runner;
    if !unchanged {
        let staging = runner.working_directory.join("staging");
        runner
            .log
            .verbose(&format!("Extracting package to: {}", staging.display()));
        let files = package_reference::unpack_over(runner, &package.path, &staging)?;
        runner.log.verbose(&format!("Extracted {files} files"));
        runner.variables.set(
            "OctopusOriginalPackageDirectoryPath",
            &staging.display().to_string(),
        );
        runner.output("Package.ExtractedFileCount", &files.to_string())?;
        deployment.extracted = Some(staging);
    }
    deployment.package = Some(package);
    Ok(())
}

/// Builds the archive, or copies the one that was not unpacked, into a new folder of the application.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn pack(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let runner = &mut *deployment.runner;
    let Some(package) = deployment
        .package
        .as_ref()
        .filter(|package| package.path.is_file())
    else {
        return Ok(());
    };
    if runner.variables.flag(EXPLODED, false)? {
        return Ok(());
    }
    let name = match runner.variables.filled(NAME)? {
        Some(name) => name,
        None => file_name_of(&package.path),
    };
    if name.contains(['/', '\0']) || matches!(name.as_str(), "." | "..") {
        return Err(Failure::expected(format!(
            "{NAME} is '{name}', which cannot be the name of a file; write a name without a folder"
        )));
    }
    let folder = free_folder(runner, package)?;
    let archive = folder.join(name);
    match &deployment.extracted {
        Some(staging) => {
            let compressed = runner.variables.flag(COMPRESSED, true)?;
            let files = zip_writer::write(staging, &archive, compressed)
                .map_err(|error| Failure::at(&archive, "build the archive", &error))?;
            runner
                .log
                .info(&format!("Packed {files} files into '{}'", archive.display()));
        }
        None => {
            std::fs::copy(&package.path, &archive)
                .map_err(|error| Failure::at(&archive, "copy the archive to", &error))?;
            runner
                .log
                .info(&format!("Copied the archive to '{}'", archive.display()));
        }
    }
    runner.output(ARCHIVE, &archive.display().to_string())?;
    for name in OUTPUTS {
        runner.output(name, &folder.display().to_string())?;
    }
    deployment.extracted = Some(folder);
    Ok(())
}

/// A new folder of the application for this version.
fn free_folder(runner: &Runner, package: &PackageFile) -> Result<PathBuf, Failure> {
    let (parent, version) = extract_package::application_folder(runner, package)?;
    std::fs::create_dir_all(&parent).map_err(|error| Failure::at(&parent, "create the folder", &error))?;
    for number in 0_u32.. {
        let name = match number {
            0 => version.clone(),
            number => format!("{version}_{number}"),
        };
        let folder: PathBuf = Path::new(&parent).join(name);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::at(&folder, "create the folder", &error)),
        }
    }
    Err(Failure::unexpected(format!(
        "There is no free folder for the application below {}",
        parent.display()
    )))
}
