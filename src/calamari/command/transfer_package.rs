//! `transfer-package`: copies the package of a step to a folder, as it is (5).

use crate::convention::already_installed;
use crate::deployment::{self, now};
use crate::failure::{Failure, SUCCESS};
use crate::runner::Runner;
use std::path::Path;

const PACKAGE: &str = "Octopus.Tentacle.CurrentDeployment.PackageFilePath";
const FOLDER: &str = "Octopus.Action.Package.TransferPath";
const NAME: &str = "Octopus.Action.Package.OriginalFileName";

/// Copies the package, unless it was copied before and the step says that this is enough.
///
/// # Errors
/// No package or no folder is known, or the file cannot be written.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let given = runner.variables.filled(PACKAGE)?.ok_or_else(|| {
        Failure::expected(format!(
            "No package file was specified. Please set the variable {PACKAGE}"
        ))
    })?;
    let package = runner.working_directory.join(expanded(runner, &given)?);
    if !package.is_file() {
        return Err(Failure::expected(format!(
            "Could not find package file: {}",
            package.display()
        )));
    }
    already_installed::skip_installed(runner)?;
    if runner
        .variables
        .flag("Octopus.Action.SkipRemainingConventions", false)?
    {
        return Ok(SUCCESS);
    }
    let mut folder = String::new();
    let transferred = transfer(runner, &package, &mut folder);
    // There is no folder of an application that retention may remove.
    let recorded = deployment::record_in(runner, "", &folder, transferred.is_ok(), now());
    match (transferred, recorded) {
        (Ok(()), Ok(())) => Ok(SUCCESS),
        (Ok(()), Err(failure)) => Err(failure),
        (Err(failure), recorded) => {
            if let Err(second) = recorded {
                runner.log.error(&second.message);
            }
            Err(failure)
        }
    }
}

fn transfer(runner: &mut Runner, package: &Path, folder: &mut String) -> Result<(), Failure> {
    let given = runner.variables.filled(FOLDER)?.ok_or_else(|| {
        Failure::expected(format!(
            "No folder to copy the package to was specified. Please set the variable {FOLDER}"
        ))
    })?;
    *folder = expanded(runner, &given)?;
    let name = match runner.variables.filled(NAME)? {
        Some(name) if name.contains(['/', '\0']) || matches!(name.as_str(), "." | "..") => {
            return Err(Failure::expected(format!(
                "The package cannot be copied as '{name}': {NAME} must be the name of a file, without a folder"
            )));
        }
        Some(name) => name,
        None => package
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    let place = runner.working_directory.join(&folder);
    std::fs::create_dir_all(&place).map_err(|error| Failure::at(&place, "create the folder", &error))?;
    let target = place.join(&name);
    if target.exists() {
        runner.log.info(&format!(
            "File {} already exists so it will be attempted to be overwritten",
            target.display()
        ));
    }
    copy(package, &target)?;
    runner
        .log
        .info(&format!("Copied package '{name}' to directory '{folder}'"));
    let file = Path::new(folder).join(&name).display().to_string();
    runner.tell_output("Package.DirectoryPath", folder);
    runner.tell_output("Package.FileName", &name);
    runner.tell_output("Package.FilePath", &file);
    Ok(())
}

/// The copy is written beside its place and then renamed, so that nobody reads a half of it.
fn copy(package: &Path, target: &Path) -> Result<(), Failure> {
    let beside = target.with_file_name(format!(".copying-{}", uuid::Uuid::new_v4().simple()));
    std::fs::copy(package, &beside)
        .and_then(|_| std::fs::rename(&beside, target))
        .map_err(|error| {
            // The error that led here is the one to tell.
            std::fs::remove_file(&beside).ok();
            Failure::at(target, "copy the package to", &error)
        })
}

/// A path in which `~` at the beginning, `$NAME` and `%NAME%` are replaced by what the environment has; unknown names stay.
fn expanded(runner: &Runner, path: &str) -> Result<String, Failure> {
    let known = |name: &str| -> Result<Option<String>, Failure> {
        match name {
            "" => Ok(None),
            name => Ok(runner.variables.get(&format!("env:{name}"))?),
        }
    };
    let mut expanded = String::with_capacity(path.len());
    let mut rest = path;
    if let Some(after) = rest
        .strip_prefix('~')
        .filter(|after| after.is_empty() || after.starts_with('/'))
        && let Some(home) = known("HOME")?
    {
        expanded.push_str(&home);
        rest = after;
    }
    while let Some(start) = rest.find(['$', '%']) {
        expanded.push_str(&rest[..start]);
        let inside = &rest[start + 1..];
        let length = inside
            .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .unwrap_or(inside.len());
        let (name, after) = inside.split_at(length);
        let closed = match rest.as_bytes()[start] {
            b'%' => after.strip_prefix('%'),
            _ => Some(after),
        };
        match (known(name)?, closed) {
            (Some(value), Some(after)) => {
                expanded.push_str(&value);
                rest = after;
            }
            _ => {
                expanded.push_str(&rest[start..=start]);
                rest = inside;
            }
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}
