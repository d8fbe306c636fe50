//! The file that an interpreter is started with: helper functions and values, then the script (12.3).
//!
//! Values are data in it; they are never in an argument or the environment. Only the user can read the file, and it deletes
//! itself before the script starts.

use crate::failure::Failure;
use crate::script::{Syntax, bash, file_name_of, powershell, python};
use crate::variables::Variables;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The bootstrap of one run. It is removed when this is dropped, whatever happened.
#[derive(Debug)]
pub struct Bootstrap {
    path: PathBuf,
    syntax: Syntax,
    arguments: Vec<String>,
}

impl Bootstrap {
    /// Writes the bootstrap next to the script. `parameters` are what the user wrote after the script's name, `modules` the
    /// script modules that are loaded by themselves.
    ///
    /// # Errors
    /// The language is not supported, or the folder cannot be written to.
    pub fn write(
        script: &Path,
        syntax: Syntax,
        parameters: &str,
        modules: &[PathBuf],
        variables: &Variables,
    ) -> Result<Self, Failure> {
        let folder = script.parent().unwrap_or(Path::new("."));
        let path = folder.join(format!(
            "Bootstrap.{}.{}",
            uuid::Uuid::new_v4().simple(),
            file_name_of(script)
        ));
        let named = || path.to_string_lossy().into_owned();
        let (arguments, text) = match syntax {
            Syntax::Bash => (
                vec![named()],
                bash::text(&path, script, parameters, modules, variables)?,
            ),
            Syntax::Python => {
                let mut arguments = vec!["-u".to_owned(), named()];
                arguments.extend(python::words(parameters));
                (arguments, python::text(script, variables))
            }
            Syntax::PowerShell => (
                powershell::arguments(&path, variables)?,
                powershell::text(&path, script, parameters, modules, variables)?,
            ),
            Syntax::CSharp => {
                return Err(Failure::expected(format!(
                    "The script {} is written in C#, which this runner does not run: no C# script runtime comes with it; write it \
                     in Bash, Python or PowerShell",
                    script.display(),
                )));
            }
        };
        let bootstrap = Self {
            path,
            syntax,
            arguments,
        };
        let failed = |error| Failure::at(&bootstrap.path, "write the bootstrap file", &error);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&bootstrap.path)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(bootstrap)
    }

    /// The interpreter with its arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.syntax.program());
        if self.syntax == Syntax::Python {
            command.env("PYTHONIOENCODING", "utf-8");
        }
        command.args(&self.arguments);
        command
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // It deleted itself when it started; this is for one that never did.
        std::fs::remove_file(&self.path).ok();
    }
}
