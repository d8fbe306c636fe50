//! The files that a step names by patterns: below its folder and below those that it names besides.

use crate::failure::Failure;
use crate::glob;
use crate::runner::Runner;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The patterns in a variable, one a line.
///
/// # Errors
/// A circular definition.
pub(super) fn patterns(runner: &Runner, variable: &str) -> Result<Vec<String>, Failure> {
    let text = runner.variables.text(variable)?;
    Ok(text
        .split(['\r', '\n'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The files that a pattern finds in the folder, then in each of `Octopus.Action.AdditionalPaths`.
///
/// # Errors
/// The pattern means nothing, or a folder cannot be listed.
pub(super) fn find(runner: &Runner, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let additional = runner.variables.text("Octopus.Action.AdditionalPaths")?;
    let additional = additional
        .split(',')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .map(|path| folder.join(path));
    let (mut files, mut known) = (Vec::new(), HashSet::new());
    for folder in std::iter::once(folder.to_owned()).chain(additional) {
        let found = glob::find(&folder, pattern)?;
        if found.left_the_folder {
            runner.log.warning(&format!(
                "The pattern '{pattern}' leads out of {}; files there are not touched. Name them by an absolute path, or name their folder in Octopus.Action.AdditionalPaths",
                folder.display()
            ));
        }
        for file in found.files {
            // An absolute pattern finds the same from everywhere.
            if known.insert(file.clone()) {
                files.push(file);
            }
        }
    }
    Ok(files)
}
