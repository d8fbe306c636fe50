//! `substitute-in-files`, `substitute-variables-in-files` and `structured-config-variables`: what a deployment does to files,
//! as commands of their own (5).

use super::inputs::Inputs;
use crate::convention::{structured_configuration, substitute_in_files};
use crate::failure::{Failure, SUCCESS};
use crate::runner::Runner;
use std::path::PathBuf;

/// Replaces templates in files below a folder, as the options say.
///
/// # Errors
/// No folder is named, or a file cannot be read, evaluated or written.
pub fn substitute(runner: &mut Runner) -> Result<i32, Failure> {
    let inputs = Inputs::Line(runner.line.clone());
    substitute_with(runner, &inputs)
}

/// Replaces templates in files below the folder that a variable names.
///
/// # Errors
/// No folder is named, or a file cannot be read, evaluated or written.
pub fn substitute_with(runner: &mut Runner, inputs: &Inputs) -> Result<i32, Failure> {
    let folder = folder(runner, inputs, "SubstituteInFilesCommand")?;
    substitute_in_files::substitute_in(runner, &folder, &inputs.list("filesToTarget"))?;
    Ok(SUCCESS)
}

/// Replaces templates in files of the working folder, as the options say.
///
/// # Errors
/// A file cannot be read, evaluated or written.
pub fn substitute_here(runner: &mut Runner) -> Result<i32, Failure> {
    let inputs = Inputs::Line(runner.line.clone());
    substitute_here_with(runner, &inputs)
}

/// Replaces templates in files of the working folder; the patterns stand in one text, one in a line or between semicolons.
///
/// # Errors
/// No file is named, or one cannot be read, evaluated or written.
pub fn substitute_here_with(runner: &mut Runner, inputs: &Inputs) -> Result<i32, Failure> {
    let patterns: Vec<String> = inputs
        .list("filesToTarget")
        .iter()
        .flat_map(|text| text.split(['\r', '\n', ';']))
        .map(|pattern| pattern.trim().to_owned())
        .filter(|pattern| !pattern.is_empty())
        .collect();
    if patterns.is_empty() {
        return Err(Failure::expected(
            "No files were specified. Please pass --filesToTarget \"**/*.config\"",
        ));
    }
    substitute_in_files::substitute_in(runner, &runner.working_directory, &patterns)?;
    Ok(SUCCESS)
}

/// Puts variables into configuration files below a folder, as the options say.
///
/// # Errors
/// No folder is named, or a file cannot be read, parsed or written.
pub fn structured(runner: &mut Runner) -> Result<i32, Failure> {
    let inputs = Inputs::Line(runner.line.clone());
    structured_with(runner, &inputs)
}

/// Puts variables into configuration files below the folder that a variable names.
///
/// # Errors
/// No folder is named, or a file cannot be read, parsed or written.
pub fn structured_with(runner: &mut Runner, inputs: &Inputs) -> Result<i32, Failure> {
    let folder = folder(runner, inputs, "StructuredConfigVariablesCommand")?;
    structured_configuration::replace_in(runner, &folder)?;
    Ok(SUCCESS)
}

/// The folder: as it was set in the variable, without evaluation, or as the option gives it.
fn folder(runner: &Runner, inputs: &Inputs, command: &str) -> Result<PathBuf, Failure> {
    let folder = match (inputs, inputs.text("targetPathVariable")) {
        (_, Some(name)) => runner
            .variables
            .raw(&name)
            .filter(|folder| !folder.trim().is_empty())
            .map(str::to_owned)
            .ok_or_else(|| {
                Failure::expected(format!(
                    "Could not locate target path from variable {name} for {command}"
                ))
            })?,
        (Inputs::Line(line), None) => line.option("targetPath").map(str::to_owned).ok_or_else(|| {
            Failure::expected(
                "No folder was specified. Please pass --targetPath FOLDER or --targetPathVariable NAME",
            )
        })?,
        (Inputs::Manifest(_), None) => {
            return Err(Failure::expected(format!(
                "Could not locate target path from variable for {command}: TargetPathVariable is missing"
            )));
        }
    };
    Ok(runner.working_directory.join(folder))
}
