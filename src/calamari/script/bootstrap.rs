//! The file that an interpreter is started with: helper functions and values, then the script (12.3).
//!
//! Values are data in it; they are never in an argument or the environment. Only the user can read the file, and it deletes
//! itself before the script starts.

use crate::failure::Failure;
use crate::script::{Syntax, bash, file_name_of, python};
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
    program: &'static str,
    arguments: Vec<String>,
}

impl Bootstrap {
    /// Writes the bootstrap next to the script. `parameters` are what the user wrote after the script's name.
    ///
    /// # Errors
    /// The language is not supported, or the folder cannot be written to.
    pub fn write(
        script: &Path,
        syntax: Syntax,
        parameters: &str,
        variables: &Variables,
    ) -> Result<Self, Failure> {
        let folder = script.parent().unwrap_or(Path::new("."));
        let path = folder.join(format!(
            "Bootstrap.{}.{}",
            uuid::Uuid::new_v4().simple(),
            file_name_of(script)
        ));
        let (program, arguments, text) = match syntax {
            Syntax::Bash => (
                "bash",
                Vec::new(),
                bash::text(&path, script, parameters, variables)?,
            ),
            Syntax::Python => (
                "python3",
                python::words(parameters),
                python::text(script, variables),
            ),
            Syntax::CSharp | Syntax::PowerShell => {
                return Err(Failure::expected(format!(
                    "The script {} is written in {}, which this runner does not run yet; write it in Bash or Python",
                    script.display(),
                    syntax.name()
                )));
            }
        };
        let bootstrap = Self {
            path,
            program,
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

    /// The interpreter.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// The interpreter with its arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        if self.program == "python3" {
            command.arg("-u").env("PYTHONIOENCODING", "utf-8");
        }
        command.arg(&self.path).args(&self.arguments);
        command
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // It deleted itself when it started; this is for one that never did.
        std::fs::remove_file(&self.path).ok();
    }
}
