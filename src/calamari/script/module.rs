//! Script modules: pieces of script that a project shares, written beside the script (12.7).

use crate::failure::Failure;
use crate::runner::Runner;
use crate::script::Syntax;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the modules of this language into the folder and answers with their files. PowerShell loads them by itself, the
/// others when the script asks for them.
///
/// # Errors
/// The folder cannot be written to.
pub fn write(runner: &Runner, syntax: Syntax, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    const BEFORE: &str = "Octopus.Script.Module[";
    let names: Vec<String> = runner
        .variables
        .collection()
        .iter()
        .filter(|(name, _)| {
            name.get(..BEFORE.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(BEFORE))
        })
        .filter_map(|(name, _)| name[BEFORE.len()..].strip_suffix(']').map(str::to_owned))
        .collect();
    let mut files = Vec::new();
    for name in names {
        let language = runner
            .variables
            .filled(&format!("Octopus.Script.Module.Language[{name}]"))?;
        if language.as_deref().unwrap_or(Syntax::PowerShell.name()) != syntax.name() {
            continue;
        }
        let text = runner.variables.text(&format!("Octopus.Script.Module[{name}]"))?;
        let plain: String = name
            .chars()
            .filter(|character| character.is_alphanumeric() || *character == '_')
            .collect();
        let file = match syntax {
            Syntax::PowerShell => format!("Library_{plain}_{}.psm1", ticks()),
            _ => format!("{plain}.{}", syntax.extension()),
        };
        runner.log.verbose(&match syntax {
            Syntax::Python => format!(
                "Writing script module '{name}' as python module {file}. Import this module via `import {plain}`."
            ),
            Syntax::Bash => {
                format!("Writing script module '{name}' as bash script {file}. Import this via `source {file}`.")
            }
            _ => format!(
                "Writing script module '{name}' as {} module {file}.",
                syntax.name()
            ),
        });
        let file = folder.join(file);
        let mark = if syntax == Syntax::Bash { "" } else { "\u{feff}" };
        std::fs::write(&file, format!("{mark}{}", text.replace("\r\n", "\n")))
            .map_err(|error| Failure::at(&file, "write the script module", &error))?;
        files.push(file);
    }
    Ok(files)
}

/// Tells files of several runs apart.
fn ticks() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
        / 100
}
