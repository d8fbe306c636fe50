//! The bootstrap of bash: the functions, the values, then the script in the same shell (12.3 to 12.5).

use crate::failure::Failure;
use crate::variables::Variables;
use octostache::fold;
use std::path::{Path, PathBuf};

const FUNCTIONS: &str = include_str!("bash.sh");

/// The text of a bootstrap that lies at `path`. `parameters` is shell source that follows the script's name.
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
    let mut text = format!("#!/bin/bash\nrm -f -- {}\n", quoted(&path.to_string_lossy()));
    text.push_str(FUNCTIONS);
    let mut values = String::from("declare -A __octopus_values=(\n");
    let mut circles = String::from("declare -A __octopus_circles=(\n");
    let mut all = String::from("declare -A octopus_parameters=(\n");
    for (name, _) in variables.collection().iter() {
        let key = quoted(&format!("={}", name.to_ascii_uppercase()));
        match variables.get(name) {
            Ok(value) => {
                let value = quoted(&value.unwrap_or_default());
                values.push_str(&format!("[{key}]={value}\n"));
                let listed = !name.is_empty() && !fold(name).starts_with("OCTOPUS.SCRIPT.MODULE");
                if listed {
                    all.push_str(&format!("[{}]={value}\n", quoted(name)));
                }
            }
            Err(error) => circles.push_str(&format!("[{key}]={}\n", quoted(&error.to_string()))),
        }
    }
    for list in [&values, &circles] {
        text.push_str(list);
        text.push_str(")\n");
    }
    let toggled = variables
        .text("OctopusEnabledFeatureToggles")?
        .contains("BashParametersArrayFeatureToggle");
    let used =
        |file: &Path| std::fs::read_to_string(file).is_ok_and(|text| text.contains("octopus_parameters["));
    if toggled && (used(script) || modules.iter().any(|module| used(module))) {
        text.push_str(&all);
        text.push_str(")\n");
    }
    // With case, as in the original.
    if variables.text("Octopus.Action.Script.SuppressEnvironmentLogging")? != "True" {
        text.push_str(&environment());
    }
    // The script takes the shell as it is: `exit`, `set -e` and `$1` act as in a plain script.
    let name = quoted(&script.to_string_lossy());
    text.push_str(&format!("source {name} {}\n", parameters.replace("\r\n", "\n")));
    Ok(text)
}

/// Prints what is told of the machine.
fn environment() -> String {
    let system = rustix::system::uname();
    let names = [
        system.sysname(),
        system.nodename(),
        system.release(),
        system.version(),
        system.machine(),
    ];
    let names = names.map(|name| name.to_string_lossy());
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let host = quoted(&system.nodename().to_string_lossy());
    let system = quoted(&format!("{} GNU/Linux", names.join(" ")));
    format!("__octopus_environment {system} {host} {processors}\n")
}

/// A text as one word of bash. Bash has no way to hold NUL, which is left out.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "'\\''"))
}
