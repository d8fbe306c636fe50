//! Packages that a script asks for, put beside it (12.6), and the package that the script itself lies in (12.1).

use crate::convention::extract_package::{limits, not_extracted};
use crate::failure::Failure;
use crate::package::{self, Extracted, PackageFile};
use crate::runner::Runner;
use std::path::{Path, PathBuf};

/// Unpacks the package of the script into the working folder; files of the same name are replaced.
///
/// # Errors
/// The package is missing or cannot be unpacked.
pub fn stage_script_package(runner: &mut Runner, package: &str) -> Result<(), Failure> {
    let path = runner.working_directory.join(package);
    if !path.is_file() {
        return Err(Failure::expected(format!(
            "Could not find package file: {}",
            path.display()
        )));
    }
    runner.log.info(&format!(
        "Extracting dependency '{}' to '{}'",
        path.display(),
        runner.working_directory.display()
    ));
    let staged = unpack(runner, &path, ".package")?;
    move_over(&staged, &runner.working_directory)?;
    let folder = runner.working_directory.display().to_string();
    runner
        .variables
        .set("OctopusOriginalPackageDirectoryPath", &folder);
    Ok(())
}

/// A kind of thing that a script refers to, by the variables that name it.
struct Kind {
    variable: &'static str,
    word: &'static str,
    /// Whether it is unpacked in any case.
    always_unpacked: bool,
}

const PACKAGE: Kind = Kind {
    variable: "Octopus.Action.Package",
    word: "Package",
    always_unpacked: false,
};

const GIT: Kind = Kind {
    variable: "Octopus.Action.GitResource",
    word: "Git resource",
    always_unpacked: true,
};

/// The toggle under which git references are staged.
const GIT_TOGGLE: &str = "git-dependencies-for-scripts";

/// Unpacks or copies each package reference, then, where that is switched on, each git reference.
///
/// # Errors
/// A package is missing or cannot be unpacked.
pub fn stage(runner: &mut Runner) -> Result<(), Failure> {
    stage_kind(runner, &PACKAGE)?;
    let toggles = runner
        .variables
        .collection()
        .strings("OctopusEnabledFeatureToggles")?;
    if toggles
        .iter()
        .any(|toggle| toggle.eq_ignore_ascii_case(GIT_TOGGLE))
    {
        stage_kind(runner, &GIT)?;
    }
    Ok(())
}

fn stage_kind(runner: &mut Runner, kind: &Kind) -> Result<(), Failure> {
    let word = kind.word;
    for index in runner.variables.collection().indexes(kind.variable)? {
        if index.trim().is_empty() {
            continue;
        }
        let variable = |name: &str| format!("{}[{index}].{name}", kind.variable);
        let Some(original) = runner.variables.filled(&variable("OriginalPath"))? else {
            runner.log.info(&format!(
                "{word} '{index}' was not acquired or does not require staging"
            ));
            continue;
        };
        let original = runner.working_directory.join(original);
        if !original.is_file() {
            runner.log.verbose(&format!(
                "{word} '{index}' was not found at '{}', skipping staging",
                original.display()
            ));
            continue;
        }
        let name: String = index
            .chars()
            .filter(|character| !matches!(character, '/' | '\0'))
            .collect();
        if matches!(name.as_str(), "" | "." | "..") {
            return Err(Failure::expected(format!(
                "The reference '{index}' cannot be the name of a folder; rename it"
            )));
        }
        if kind.always_unpacked || runner.variables.flag(&variable("Extract"), false)? {
            let folder = runner.working_directory.join(&name);
            runner.log.info(&format!(
                "Extracting dependency '{}' to '{}'",
                original.display(),
                folder.display()
            ));
            let staged = unpack(runner, &original, &format!(".package-{name}"))?;
            move_over(&staged, &folder)?;
            runner.output(&variable("ExtractedPath"), &folder.display().to_string())?;
        } else {
            let ending = original
                .extension()
                .map(|ending| format!(".{}", ending.to_string_lossy()))
                .unwrap_or_default();
            let file_name = format!("{name}{ending}");
            let file = runner.working_directory.join(&file_name);
            runner.log.verbose(&format!(
                "Copying package: '{}' -> '{}'",
                original.display(),
                file.display()
            ));
            std::fs::copy(&original, &file)
                .map_err(|error| Failure::at(&file, "copy the package to", &error))?;
            runner.output(&variable("PackageFilePath"), &file.display().to_string())?;
            runner.output(&variable("PackageFileName"), &file_name)?;
        }
    }
    Ok(())
}

/// Unpacks a package into a folder below the working folder; files that are there already are replaced. The answer is the
/// number of files.
///
/// # Errors
/// The package cannot be unpacked.
pub(crate) fn unpack_over(runner: &Runner, package: &Path, folder: &Path) -> Result<u64, Failure> {
    let extracted = extracted(runner, package, ".package-staging")?;
    move_over(&extracted.folder, folder)?;
    Ok(extracted.files)
}

fn unpack(runner: &Runner, path: &Path, name: &str) -> Result<PathBuf, Failure> {
    extracted(runner, path, name).map(|extracted| extracted.folder)
}

fn extracted(runner: &Runner, path: &Path, name: &str) -> Result<Extracted, Failure> {
    let package = PackageFile::open(path)?;
    let (folder, limits) = (&runner.working_directory, limits(runner)?);
    package::extract(path, package.archive, folder, name, limits, &runner.interruption)
        .map_err(|error| not_extracted(runner, path, &error))
}

/// Moves what a folder holds into another one, replacing files there, and removes it. Links are moved, not followed.
fn move_over(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| Failure::at(path, "move the package to", &error);
    if !to.is_dir() {
        return std::fs::rename(from, to).map_err(|error| failed(to, error));
    }
    for entry in std::fs::read_dir(from).map_err(|error| failed(from, error))? {
        let entry = entry.map_err(|error| failed(from, error))?;
        let target = to.join(entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match target.symlink_metadata() {
            Ok(there) if there.is_dir() && is_folder => move_over(&entry.path(), &target)?,
            Ok(there) if there.is_dir() => {
                return Err(Failure::unexpected(format!(
                    "Could not move the package to {}: a folder stands where the package has a file",
                    target.display()
                )));
            }
            _ if is_folder => {
                if target.symlink_metadata().is_ok() {
                    std::fs::remove_file(&target).map_err(|error| failed(&target, error))?;
                }
                std::fs::rename(entry.path(), &target).map_err(|error| failed(&target, error))?;
            }
            _ => std::fs::rename(entry.path(), &target).map_err(|error| failed(&target, error))?,
        }
    }
    std::fs::remove_dir_all(from).map_err(|error| failed(from, error))
}
