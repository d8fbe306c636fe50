//! XML configuration transforms of the files of a package (15).

use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::text_file;
use crate::transformation::candidate::{Selection, select};
use crate::transformation::{self, Application, Definition, File, Level, Options};
use crate::variables::Variables;
use std::path::{Path, PathBuf};

/// The feature that switches this on.
pub const FEATURE: &str = "Octopus.Features.ConfigurationTransforms";

/// Where the transforms that were used are written down, joined by `|`.
pub const APPLIED: &str = "OctopusAppliedXmlConfigTransforms";

const AUTOMATIC: &str = "Octopus.Action.Package.AutomaticallyRunConfigurationTransformationFiles";
const ADDITIONAL: &str = "Octopus.Action.Package.AdditionalXmlConfigurationTransforms";
const DIAGNOSTICS: &str = "Octopus.Action.Package.EnableDiagnosticsConfigTransformationLogging";

/// Transforms what the step asks for below the current folder.
///
/// # Errors
/// A transform fails.
pub fn run(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let folder = deployment.current_folder().to_owned();
    run_in(deployment.runner, &folder)
}

/// The same for a step without a deployment.
///
/// # Errors
/// A transform fails.
pub fn run_in(runner: &mut Runner, folder: &Path) -> Result<(), Failure> {
    if !runner.variables.feature(FEATURE)? {
        return Ok(());
    }
    let log = runner.log.clone();
    transform(folder, &mut runner.variables, &mut |level, text| match level {
        Level::Verbose => log.verbose(text),
        Level::Information => log.info(text),
        Level::Warning => log.warning(text),
        Level::Error => log.error(text),
    })
}

/// Finds the transforms of the files below a folder, applies them, and writes down which they were.
///
/// # Errors
/// A transform fails; files before it stay transformed.
pub fn transform(
    folder: &Path,
    variables: &mut Variables,
    tell: &mut dyn FnMut(Level, &str),
) -> Result<(), Failure> {
    let options = Options::read(variables)?;
    let selection = choose(folder, variables)?;
    if selection.applications.is_empty() && selection.lines.is_empty() {
        return Ok(());
    }
    for line in selection.lines.iter().chain(&options.lines()) {
        tell(line.level, &line.text);
    }
    for application in &selection.applications {
        apply(folder, application, options, tell)?;
    }
    let applied: Vec<String> = selection
        .applications
        .iter()
        .map(|application| application.transform.display().to_string())
        .collect();
    variables.set(APPLIED, &applied.join("|"));
    Ok(())
}

/// Which transforms the step asks for, and what they apply to.
///
/// # Errors
/// A pattern that is none, or a folder that cannot be read.
pub fn choose(folder: &Path, variables: &Variables) -> Result<Selection, Failure> {
    let mut definitions = Definition::explicit(&variables.text(ADDITIONAL)?)?;
    let automatic = variables.flag(AUTOMATIC, false)?;
    if automatic {
        definitions.push(Definition::automatic("Release"));
        for name in ["Octopus.Environment.Name", "Octopus.Deployment.Tenant.Name"] {
            if let Some(suffix) = variables.filled(name)? {
                definitions.push(Definition::automatic(&suffix));
            }
        }
    }
    if definitions.is_empty() {
        return Ok(Selection::default());
    }
    let diagnostics = variables.flag(DIAGNOSTICS, false)?;
    select(&folders(folder, variables)?, &definitions, automatic, diagnostics)
}

/// The folder, and those that the step names besides.
///
/// # Errors
/// A circular definition.
pub(super) fn folders(folder: &Path, variables: &Variables) -> Result<Vec<PathBuf>, Failure> {
    let additional = variables.collection().paths("Octopus.Action.AdditionalPaths")?;
    let mut folders = vec![folder.to_owned()];
    for path in additional {
        let path = folder.join(path);
        if path.is_dir() && !folders.contains(&path) {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// What messages call a file: its path below the folder, where it is there.
pub(super) fn name_below(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

fn apply(
    folder: &Path,
    application: &Application,
    options: Options,
    tell: &mut dyn FnMut(Level, &str),
) -> Result<(), Failure> {
    let source = name_below(folder, &application.source);
    let transform = name_below(folder, &application.transform);
    tell(
        Level::Information,
        &format!("Transforming '{source}' using '{transform}'."),
    );
    let outcome = read_and_apply(application, options, tell);
    if outcome.is_err() {
        tell(
            Level::Error,
            &format!(
                "Could not transform the file '{source}' using the {}.",
                application.pattern
            ),
        );
    }
    outcome
}

fn read_and_apply(
    application: &Application,
    options: Options,
    tell: &mut dyn FnMut(Level, &str),
) -> Result<(), Failure> {
    let source_bytes = text_file::bytes_of(&application.source)?;
    let transform_bytes = text_file::bytes_of(&application.transform)?;
    let outcome = transformation::apply(
        File {
            name: &application.source.to_string_lossy(),
            bytes: &source_bytes,
        },
        File {
            name: &application.transform.to_string_lossy(),
            bytes: &transform_bytes,
        },
        options,
    );
    for line in &outcome.lines {
        tell(line.level, &line.text);
    }
    match outcome.result? {
        Some(bytes) => text_file::replace(&application.source, &bytes),
        None => Ok(()),
    }
}
