//! Settings in the `*.config` files of .NET programs (16).

use super::transform_configuration::{APPLIED, folders, name_below};
use crate::deployment::Deployment;
use crate::dotnet_settings;
use crate::failure::{CIRCULAR, Failure};
use crate::runner::Runner;
use crate::text_file;
use crate::transformation::Level;
use crate::transformation::candidate::files_below;
use crate::variables::Variables;
use std::path::Path;

/// The feature that switches this on, together with the flag.
pub const FEATURE: &str = "Octopus.Features.ConfigurationVariables";

const FLAG: &str = "Octopus.Action.Package.AutomaticallyUpdateAppSettingsAndConnectionStrings";
const IGNORE: &str = "Octopus.Action.Package.IgnoreVariableReplacementErrors";

/// Sets what the step asks for below the current folder.
///
/// # Errors
/// A file cannot be read or written, and errors are not ignored.
pub fn run(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let folder = deployment.current_folder().to_owned();
    run_in(deployment.runner, &folder)
}

/// The same for a step without a deployment.
///
/// # Errors
/// A file cannot be read or written, and errors are not ignored.
pub fn run_in(runner: &Runner, folder: &Path) -> Result<(), Failure> {
    if !runner.variables.feature(FEATURE)? || !runner.variables.flag(FLAG, false)? {
        return Ok(());
    }
    replace(folder, &runner.variables, &mut |level, text| match level {
        Level::Verbose => runner.log.verbose(text),
        Level::Information => runner.log.info(text),
        Level::Warning => runner.log.warning(text),
        Level::Error => runner.log.error(text),
    })
}

/// Sets the variables in all `*.config` files below a folder that were not used as transforms.
///
/// # Errors
/// A file cannot be read or written, and errors are not ignored; files before it stay changed.
pub fn replace(
    folder: &Path,
    variables: &Variables,
    tell: &mut dyn FnMut(Level, &str),
) -> Result<(), Failure> {
    let ignores = variables.flag(IGNORE, false)?;
    if ignores {
        tell(
            Level::Information,
            &format!(
                "Variable replacement errors are suppressed because the variable {IGNORE} has been set."
            ),
        );
    }
    let applied = variables.text(APPLIED)?;
    let applied: Vec<&Path> = applied.split('|').map(Path::new).collect();
    for top in folders(folder, variables)? {
        for file in files_below(&top, &|name| name.ends_with(".config"))? {
            let name = name_below(folder, &file);
            if applied.contains(&file.as_path()) {
                tell(
                    Level::Verbose,
                    &format!(
                        "File '{name}' was interpreted as an XML configuration transform; variable substitution won't be \
                         attempted."
                    ),
                );
                continue;
            }
            match replace_in(&file, &name, variables, tell) {
                Ok(()) => {}
                Err(failure) if ignores && failure.exit_code != CIRCULAR => tell(
                    Level::Information,
                    &format!("Ignoring variable replacement error: {failure}"),
                ),
                Err(failure) => {
                    tell(
                        Level::Error,
                        &format!("Exception while replacing configuration-variables in: {name}"),
                    );
                    return Err(failure);
                }
            }
        }
    }
    Ok(())
}

fn replace_in(
    file: &Path,
    name: &str,
    variables: &Variables,
    tell: &mut dyn FnMut(Level, &str),
) -> Result<(), Failure> {
    let replaced = dotnet_settings::replace(name, &text_file::bytes_of(file)?, variables)?;
    if replaced.used.is_empty() {
        tell(
            Level::Information,
            &format!(
                "No matching appSetting, applicationSetting, nor connectionString names were found in: {name}"
            ),
        );
        return Ok(());
    }
    tell(
        Level::Information,
        &format!("Updating appSettings, applicationSettings, and connectionStrings in: {name}"),
    );
    for variable in &replaced.used {
        tell(Level::Verbose, &dotnet_settings::line(variables, variable)?);
    }
    match replaced.bytes {
        Some(bytes) => text_file::replace(file, &bytes),
        None => Ok(()),
    }
}
