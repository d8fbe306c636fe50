//! Script modules: pieces of script that a project shares, written beside the script (12.7).

use crate::failure::Failure;
use crate::runner::Runner;
use crate::script::Syntax;
use std::path::Path;

/// Writes the modules of this language into the folder. The script loads them itself.
///
/// # Errors
/// The folder cannot be written to.
pub fn write(runner: &Runner, syntax: Syntax, folder: &Path) -> Result<(), Failure> {
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
    for name in names {
        let language = runner
            .variables
            .text(&format!("Octopus.Script.Module.Language[{name}]"))?;
        if language != syntax.name() {
            continue;
        }
        let text = runner.variables.text(&format!("Octopus.Script.Module[{name}]"))?;
        let plain: String = name
            .chars()
            .filter(|character| character.is_alphanumeric() || *character == '_')
            .collect();
        let file = folder.join(format!("{plain}.{}", syntax.extension()));
        runner.log.verbose(&format!(
            "Writing script module '{name}' as {syntax:?} module to '{}'",
            file.display()
        ));
        let mark = if syntax == Syntax::Bash { "" } else { "\u{feff}" };
        std::fs::write(&file, format!("{mark}{}", text.replace("\r\n", "\n")))
            .map_err(|error| Failure::at(&file, "write the script module", &error))?;
    }
    Ok(())
}
