//! Refuses what this runner does not do yet, instead of leaving it out in silence.
//!
//! A feature that is only switched on, with nothing to do in this package, is no reason to fail: steps made by other tools
//! often have all of them on.

use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::runner::Runner;
use std::path::Path;

/// Features that always do something.
const REFUSED: [&str; 6] = [
    "Octopus.Features.Nginx",
    "Octopus.Features.IISWebSite",
    "Octopus.Features.WindowsService",
    "Octopus.Features.Vhd",
    "Octopus.Features.TomcatDeployManager",
    "Octopus.Features.WildflyDeployCLI",
];

/// Features that do something when a variable names files for them.
const REFUSED_WITH_TARGETS: [(&str, &str); 3] = [
    (
        "Octopus.Features.SubstituteInFiles",
        "Octopus.Action.SubstituteInFiles.TargetFiles",
    ),
    (
        "Octopus.Features.JsonConfigurationVariables",
        "Octopus.Action.Package.JsonConfigurationVariablesTargets",
    ),
    (
        "Octopus.Features.ConfigurationTransforms",
        "Octopus.Action.Package.AdditionalXmlConfigurationTransforms",
    ),
];

/// Features that do something to `*.config` files when a flag is set as well.
const REFUSED_WITH_CONFIG_FILES: [(&str, &str); 2] = [
    (
        "Octopus.Features.ConfigurationTransforms",
        "Octopus.Action.Package.AutomaticallyRunConfigurationTransformationFiles",
    ),
    (
        "Octopus.Features.ConfigurationVariables",
        "Octopus.Action.Package.AutomaticallyUpdateAppSettingsAndConnectionStrings",
    ),
];

/// Looks at what is asked for, before anything is done.
///
/// # Errors
/// A feature that is not built.
pub fn refuse(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    refuse_in(deployment.runner)
}

/// The same for a step without a deployment.
///
/// # Errors
/// A feature that is not built.
pub fn refuse_in(runner: &Runner) -> Result<(), Failure> {
    let variables = &runner.variables;
    for feature in REFUSED {
        if variables.feature(feature)? {
            return Err(refusal(&format!("The feature {feature}")));
        }
    }
    for (feature, targets) in REFUSED_WITH_TARGETS {
        if variables.feature(feature)? && variables.filled(targets)?.is_some() {
            return Err(refusal(&format!("The feature {feature} (files in {targets})")));
        }
    }
    Ok(())
}

/// Looks at the files, before any script runs.
///
/// # Errors
/// A `*.config` file that a feature is to change.
pub fn refuse_config_files(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let variables = &deployment.runner.variables;
    for (feature, flag) in REFUSED_WITH_CONFIG_FILES {
        if variables.feature(feature)?
            && variables.flag(flag, false)?
            && let Some(file) = config_file(deployment.current_folder())
        {
            return Err(refusal(&format!(
                "The feature {feature} (for the file {})",
                file.display()
            )));
        }
    }
    Ok(())
}

fn refusal(what: &str) -> Failure {
    Failure::expected(format!(
        "{what} is not supported by this runner yet; switch it off in the step, or do its work in a script"
    ))
}

fn config_file(folder: &Path) -> Option<std::path::PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && entry
                    .file_name()
                    .to_string_lossy()
                    .to_ascii_lowercase()
                    .ends_with(".config")
            {
                return Some(entry.path());
            }
        }
    }
    None
}
