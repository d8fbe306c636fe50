//! Templates in the files of a package are replaced by what they say (13).

use super::target_file;
use crate::charset::{Charset, Named};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::text_file::{self, Storage, TextFile};
use octostache::{Evaluation, Limits, Template, evaluate_template};
use std::borrow::Cow;
use std::path::Path;

/// Where the step names its files.
const TARGETS: &str = "Octopus.Action.SubstituteInFiles.TargetFiles";

/// Replaces the templates in the files that the step names, when it has the feature.
///
/// # Errors
/// See [`substitute_in`].
pub fn run(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let runner = &*deployment.runner;
    if !runner.variables.feature("Octopus.Features.SubstituteInFiles")? {
        return Ok(());
    }
    substitute_targets(runner, deployment.current_folder())
}

/// Replaces the templates in the files that the step names, below this folder.
///
/// # Errors
/// See [`substitute_in`].
pub fn substitute_targets(runner: &Runner, folder: &Path) -> Result<(), Failure> {
    substitute_in(runner, folder, &target_file::patterns(runner, TARGETS)?)
}

/// Replaces the templates in the files that these patterns find in the folder. A file that is found twice is done twice.
///
/// # Errors
/// A file that cannot be read or written, a circular variable, or (when the step asks for that) a template that cannot be
/// evaluated. That file is as it was; those before it are done.
pub fn substitute_in(runner: &Runner, folder: &Path, patterns: &[String]) -> Result<(), Failure> {
    let warns = runner
        .variables
        .flag("Octopus.Action.SubstituteInFiles.EnableNoMatchWarning", true)?;
    for pattern in patterns {
        let files = target_file::find(runner, folder, pattern)?;
        if files.is_empty() && warns {
            runner.log.warning(&format!(
                "No files were found in {} that match the substitution target pattern '{pattern}'",
                folder.display()
            ));
        }
        for file in files {
            substitute(runner, &file)?;
        }
    }
    Ok(())
}

/// Replaces the templates in one file.
///
/// # Errors
/// See [`substitute_in`].
pub fn substitute(runner: &Runner, path: &Path) -> Result<(), Failure> {
    let log = &runner.log;
    log.verbose(&format!(
        "Performing variable substitution on '{}'",
        path.display()
    ));
    let bytes = text_file::bytes_of(path)?;
    let TextFile { text, storage } = TextFile::decode(&bytes);
    if !storage.marked && text.contains('\0') {
        log.warning(&format!(
            "The file {} is no text (it has NUL bytes); it is left as it is",
            path.display()
        ));
        return Ok(());
    }
    let text = if text.contains("#{") {
        let template = Template::parse_keep_going(&text);
        let evaluation = evaluate_template(&template, runner.variables.collection(), Limits::default())
            .map_err(|error| {
                let failure = Failure::from(error);
                Failure {
                    message: format!(
                        "The templates in the file {} could not be replaced: {}",
                        path.display(),
                        failure.message
                    ),
                    ..failure
                }
            })?;
        check(runner, path, &evaluation)?;
        Cow::Owned(evaluation.value)
    } else {
        text
    };
    let content = match output_charset(runner)? {
        Some(charset) => {
            let storage = Storage {
                charset,
                marked: !charset.mark().is_empty(),
            };
            storage.encode(&text).unwrap_or_else(|error| {
                log.warning(&format!(
                    "In {} {error}; a similar character or '?' is written for it and others",
                    path.display()
                ));
                Cow::Owned(storage.encode_best(&text))
            })
        }
        None => encoded(runner, &text, storage),
    };
    if *content == *bytes {
        return Ok(());
    }
    text_file::replace(path, &content)
}

/// Tells of templates that could not be evaluated, or fails the step.
fn check(runner: &Runner, path: &Path, evaluation: &Evaluation) -> Result<(), Failure> {
    let Some(error) = evaluation.error() else {
        return Ok(());
    };
    let message = format!(
        "Parsing file '{}' with Octostache returned the following error: `{error}`",
        path.display()
    );
    if runner
        .variables
        .flag("OctopusShouldFailDeploymentOnSubstitutionFails", false)?
    {
        return Err(Failure::expected(message));
    }
    runner.log.verbose(&message);
    Ok(())
}

/// The encoding that the step asks for.
fn output_charset(runner: &Runner) -> Result<Option<Charset>, Failure> {
    const VARIABLE: &str = "Octopus.Action.SubstituteInFiles.OutputEncoding";
    let Some(name) = runner.variables.filled(VARIABLE)? else {
        return Ok(None);
    };
    match Charset::named(&name) {
        Named::Known(charset) => Ok(Some(charset)),
        Named::Disabled => Err(Failure::unexpected(format!(
            "{VARIABLE} is '{name}', which is not written any more because readers can be tricked with it; use utf-8"
        ))),
        Named::Unknown => {
            runner.log.verbose(&format!(
                "{VARIABLE} is '{name}', which is no known encoding; the file keeps its own"
            ));
            Ok(None)
        }
    }
}

/// The bytes of a text in the encoding that its file had, or in UTF-8 when that cannot hold it.
pub(super) fn encoded<'t>(runner: &Runner, text: &'t str, storage: Storage) -> Cow<'t, [u8]> {
    storage.encode(text).unwrap_or_else(|error| {
        runner.log.warning(&format!(
            "Unable to represent the output with encoding {}: {error}. Trying next the alternative: utf-8.",
            storage.charset
        ));
        Cow::Borrowed(text.as_bytes())
    })
}
