//! The file that bash runs: the functions, the values, then the script itself (12.3 to 12.5).
//!
//! Values are data in it, quoted; they are never in an argument or the environment. Only the user can read the file, and it
//! deletes itself before the script starts.

use crate::failure::Failure;
use crate::script::file_name_of;
use crate::variables::Variables;
use octostache::fold;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTIONS: &str = include_str!("bootstrap.sh");

/// The bootstrap of one run. It is removed when this is dropped, whatever happened.
#[derive(Debug)]
pub struct Bootstrap {
    path: PathBuf,
}

impl Bootstrap {
    /// Writes the bootstrap next to the script. `parameters` is shell source that follows the script's name.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(script: &Path, parameters: &str, variables: &Variables) -> Result<Self, Failure> {
        let folder = script.parent().unwrap_or(Path::new("."));
        let name = format!(
            "Bootstrap.{}.{}",
            uuid::Uuid::new_v4().simple(),
            file_name_of(script)
        );
        let bootstrap = Self {
            path: folder.join(name),
        };
        let failed = |error| Failure::at(&bootstrap.path, "write the bootstrap file", &error);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&bootstrap.path)
            .map_err(failed)?;
        file.write_all(bootstrap.text(script, parameters, variables)?.as_bytes())
            .map_err(failed)?;
        Ok(bootstrap)
    }

    /// The program that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new("bash");
        command.arg(&self.path);
        command
    }

    fn text(&self, script: &Path, parameters: &str, variables: &Variables) -> Result<String, Failure> {
        let mut text = format!("#!/bin/bash\nrm -f -- {}\n", quoted(&self.path.to_string_lossy()));
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
        if toggled
            && std::fs::read_to_string(script).is_ok_and(|script| script.contains("octopus_parameters["))
        {
            text.push_str(&all);
            text.push_str(")\n");
        }
        // The script takes the shell as it is: `exit`, `set -e` and `$1` act as in a plain script.
        let name = quoted(&script.to_string_lossy());
        text.push_str(&format!("source {name} {}\n", parameters.replace("\r\n", "\n")));
        Ok(text)
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // It deleted itself when it started; this is for one that never did.
        std::fs::remove_file(&self.path).ok();
    }
}

/// A text as one word of bash. Bash has no way to hold NUL, which is left out.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "'\\''"))
}
