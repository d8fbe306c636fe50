//! The bootstrap of PowerShell: the functions, the values, then the script (12.3 to 12.5).
//!
//! No key is on the command line: values stand in the file, which only this user can read and which deletes itself first.

use crate::failure::Failure;
use crate::variables::Variables;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};

const PROGRAM: &str = include_str!("powershell.ps1");
const SETTINGS: &str = "Octopus.Action.PowerShell";

/// The text of a bootstrap that lies at `path`. `parameters` is PowerShell source that follows the script's name. Circular
/// variables are left out.
///
/// # Errors
/// A circular definition in a switch.
pub(super) fn text(
    path: &Path,
    script: &Path,
    parameters: &str,
    modules: &[PathBuf],
    variables: &Variables,
) -> Result<String, Failure> {
    let encoded = |text: &str| STANDARD.encode(text);
    let values: Vec<String> = variables
        .collection()
        .iter()
        .filter_map(|(name, _)| {
            let value = variables.text(name).ok()?;
            Some(format!("{}:{}", encoded(name), encoded(&value)))
        })
        .collect();
    let modules: Vec<String> = modules
        .iter()
        .map(|module| encoded(&module.to_string_lossy()))
        .collect();
    Ok(PROGRAM
        .replace("@SELF@", &encoded(&path.to_string_lossy()))
        .replace("@SCRIPT@", &encoded(&script.to_string_lossy()))
        .replace("@MODULES@", &modules.join(" "))
        .replace("@DEBUG@", &debugging(variables)?)
        .replace("@VALUES@", &values.join(" "))
        // Last, so that nothing in it is taken for a mark.
        .replace("@PARAMETERS@", &parameters.replace("\r\n", "\n")))
}

/// The arguments that `pwsh` gets before the bootstrap is named.
///
/// # Errors
/// A circular definition in a switch.
pub(super) fn arguments(path: &Path, variables: &Variables) -> Result<Vec<String>, Failure> {
    let mut arguments = vec![
        "-NoLogo".to_owned(),
        "-NonInteractive".to_owned(),
        "-ExecutionPolicy".to_owned(),
        "Unrestricted".to_owned(),
    ];
    if variables.flag(&format!("{SETTINGS}.ExecuteWithoutProfile"), false)? {
        arguments.push("-NoProfile".to_owned());
    }
    let path = path.to_string_lossy().replace('\'', "''");
    arguments.push("-Command".to_owned());
    arguments.push(format!(
        "$ErrorActionPreference = 'Stop'; . {{. '{path}'; if ((Test-Path variable:global:LastExitCode)) {{ exit $LastExitCode }}}}"
    ));
    Ok(arguments)
}

/// A folder of its own for what PowerShell caches, when the step asks for one: two of them at once damage a shared one.
///
/// # Errors
/// A circular definition.
pub(super) fn cache(variables: &Variables, working_directory: &Path) -> Result<Option<PathBuf>, Failure> {
    let name = format!("{SETTINGS}.UniqueCachePath");
    let asked = variables.filled(&name)?;
    Ok(match asked.as_deref().map(str::trim) {
        None => None,
        Some(flag) if flag.eq_ignore_ascii_case("false") => None,
        Some(flag) if flag.eq_ignore_ascii_case("true") => Some(working_directory.join(".powershell-cache")),
        Some(path) => Some(working_directory.join(path)),
    })
}

fn debugging(variables: &Variables) -> Result<String, Failure> {
    let trace = variables.text(&format!("{SETTINGS}.PSDebug.Trace"))?;
    let trace = match trace.trim() {
        flag if flag.eq_ignore_ascii_case("true") => 2,
        number => number.parse::<u8>().unwrap_or(0).min(2),
    };
    let mut lines = Vec::new();
    if trace > 0 {
        lines.push(format!("Set-PSDebug -Trace {trace}"));
    }
    if variables.flag(&format!("{SETTINGS}.PSDebug.Strict"), false)? {
        lines.push("Set-PSDebug -Strict".to_owned());
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in pairs {
            variables.set(name, value);
        }
        variables
    }

    #[test]
    fn values_and_paths_are_data_in_the_text() {
        let variables = variables(&[
            ("A", "'; Remove-Item x #"),
            ("B", "#{A}"),
            ("Circle", "#{Circle}"),
        ]);
        let script = Path::new("/w/it's @VALUES@.ps1");
        let modules = [PathBuf::from("/w/Library_M_1.psm1")];
        let text = text(
            Path::new("/w/Bootstrap.ps1"),
            script,
            "-a 1",
            &modules,
            &variables,
        )
        .expect("text");
        assert!(!text.contains("Remove-Item x"), "{text}");
        let hostile = STANDARD.encode("'; Remove-Item x #");
        let values = format!("QQ==:{hostile} Qg==:{hostile}");
        assert!(
            text.contains(&format!("__OctopusReadVariables '{values}'")),
            "{text}"
        );
        let script = STANDARD.encode("/w/it's @VALUES@.ps1");
        assert!(
            text.contains(&format!("__OctopusText '{script}') -a 1\n")),
            "{text}"
        );
        for mark in [
            "@SELF@",
            "@SCRIPT@",
            "@MODULES@",
            "@DEBUG@",
            "@PARAMETERS@",
            "@VALUES@",
        ] {
            assert!(!text.contains(mark), "{mark}");
        }
    }

    #[test]
    fn the_step_chooses_how_it_is_started() {
        let given = variables(&[
            ("Octopus.Action.PowerShell.ExecuteWithoutProfile", "True"),
            ("Octopus.Action.PowerShell.PSDebug.Trace", "true"),
            ("Octopus.Action.PowerShell.PSDebug.Strict", "True"),
            ("Octopus.Action.PowerShell.UniqueCachePath", "True"),
        ]);
        let arguments = arguments(Path::new("/it's/b.ps1"), &given).expect("arguments");
        assert_eq!(arguments[4..6], ["-NoProfile", "-Command"]);
        assert!(arguments[6].contains(". '/it''s/b.ps1';"), "{}", arguments[6]);
        assert_eq!(
            debugging(&given).expect("lines"),
            "Set-PSDebug -Trace 2\nSet-PSDebug -Strict"
        );
        let cache_of = |given: &Variables| cache(given, Path::new("/w")).expect("a folder or none");
        assert_eq!(cache_of(&given), Some(PathBuf::from("/w/.powershell-cache")));
        assert_eq!(cache_of(&variables(&[])), None);
    }
}
