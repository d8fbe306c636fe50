//! `extract-package`: unpacks a package into the folder `staging` of the working folder (5, observed 9.11).

use super::inputs::Inputs;
use crate::failure::{Failure, SUCCESS};
use crate::runner::Runner;
use crate::script::package_reference;

/// Unpacks the package that the options name.
///
/// # Errors
/// No package is named, or it cannot be unpacked.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let inputs = Inputs::Line(runner.line.clone());
    if inputs.text("pathToPackage").is_none() {
        return Err(Failure::expected(
            "No package file was specified. Please pass --pathToPackage YourPackage.nupkg",
        ));
    }
    with_inputs(runner, &inputs)
}

/// Unpacks the package that the inputs name; without one, nothing is to be done. Files that are there already are replaced.
///
/// # Errors
/// The package cannot be unpacked.
pub fn with_inputs(runner: &mut Runner, inputs: &Inputs) -> Result<i32, Failure> {
    let Some(package) = inputs.text("pathToPackage") else {
        runner
            .log
            .verbose("No package path defined. Skipping package extraction.");
        return Ok(SUCCESS);
    };
    let package = runner.working_directory.join(package);
    let staging = runner.working_directory.join("staging");
    runner
        .log
        .verbose(&format!("Extracting package to: {}", staging.display()));
    if !package.is_file() {
        return Err(Failure::unexpected(format!(
            "Could not find file '{}'.",
            package.display()
        )));
    }
    let files = package_reference::unpack_over(runner, &package, &staging)?;
    runner.log.verbose(&format!("Extracted {files} files"));
    let folder = staging.display().to_string();
    let named = inputs.text("extractedToPathOutputVariableName");
    for name in named
        .iter()
        .map(String::as_str)
        .chain(["Package.InstallationDirectoryPath"])
    {
        runner.output(name, &folder)?;
    }
    runner.output("Package.ExtractedFileCount", &files.to_string())?;
    Ok(SUCCESS)
}
