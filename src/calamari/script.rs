//! Runs scripts: which language, in which folder, with which helpers (12).

mod bash;
pub mod bootstrap;
pub mod module;
pub mod package_reference;
pub mod proxy;
mod python;

use crate::child::{self, Ended};
use crate::failure::Failure;
use crate::runner::Runner;
use bootstrap::Bootstrap;
use octostache::{Limits, Template, evaluate_template};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A language in which scripts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `sh`
    Bash,
    /// `py`
    Python,
    /// `csx`
    CSharp,
    /// `ps1`
    PowerShell,
}

impl Syntax {
    /// All of them, the preferred first (6.4).
    pub const PREFERENCE: [Self; 4] = [Self::Bash, Self::Python, Self::CSharp, Self::PowerShell];

    /// The ending of its files, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Bash => "sh",
            Self::Python => "py",
            Self::CSharp => "csx",
            Self::PowerShell => "ps1",
        }
    }

    /// Its name in `Octopus.Action.Script.Syntax`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bash => "Bash",
            Self::Python => "Python",
            Self::CSharp => "CSharp",
            Self::PowerShell => "PowerShell",
        }
    }

    /// The language of this name, with case.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, Failure> {
        Self::PREFERENCE.into_iter().find(|syntax| syntax.name() == name).ok_or_else(|| {
            Failure::expected(format!(
                "Octopus.Action.Script.Syntax is '{name}', which is no script language; use Bash, Python, CSharp or PowerShell"
            ))
        })
    }

    /// The language of a file, by its ending in any case.
    ///
    /// # Errors
    /// The ending belongs to no language.
    pub fn of_file(path: &Path) -> Result<Self, Failure> {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        Self::PREFERENCE
            .into_iter()
            .find(|syntax| Some(syntax.extension()) == extension.as_deref())
            .ok_or_else(|| {
                Failure::expected(format!(
                    "The script {} has an ending that belongs to no script language; name it .sh",
                    path.display()
                ))
            })
    }
}

/// Runs a script file in its own folder and takes over the output variables that it sets.
///
/// # Errors
/// The file is missing, its language is not supported, or its interpreter cannot be started. A script that fails is no
/// error here: its exit code is in the answer.
pub fn run(runner: &mut Runner, script: &Path, parameters: &str) -> Result<Ended, Failure> {
    let syntax = Syntax::of_file(script)?;
    if !script.is_file() {
        return Err(Failure::unexpected(format!(
            "The script {} does not exist; check its name",
            script.display()
        )));
    }
    rewrite(script)?;
    module::write(runner, syntax, script.parent().unwrap_or(Path::new(".")))?;
    runner.log.verbose(&format!("Executing '{}'", script.display()));
    let bootstrap = Bootstrap::write(script, syntax, parameters, &runner.variables)?;
    let (mut command, program) = (bootstrap.command(), bootstrap.program());
    command.current_dir(script.parent().unwrap_or(Path::new(".")));
    command.env("OctopusCalamariWorkingDirectory", &runner.working_directory);
    command.envs(proxy::variables(&runner.variables)?);
    let ended = child::run(command, &runner.log, &runner.interruption).map_err(|error| {
        Failure::unexpected(format!(
            "Could not start {program} for {}: {error}; install it on this machine, and see that its folder is on the PATH",
            script.display()
        ))
    })?;
    drop(bootstrap);
    for (name, value, sensitive) in &ended.outputs {
        runner.variables.set_output(name, value, *sensitive)?;
    }
    if let Some(signal) = runner.interruption.signal() {
        return Err(Failure {
            message: format!(
                "The step was asked to stop (signal {signal}) while {} ran",
                script.display()
            ),
            exit_code: 128 + signal,
        });
    }
    Ok(ended)
}

/// Puts a script into the form that is run: UTF-8 without byte order mark, lines ended by `\n`.
fn rewrite(script: &Path) -> Result<(), Failure> {
    let failed = |attempted| move |error| Failure::at(script, attempted, &error);
    let bytes = std::fs::read(script).map_err(failed("read the script"))?;
    let text = crate::variables::text_of_file(&bytes);
    let rewritten = text.replace("\r\n", "\n");
    if rewritten.as_bytes() != bytes {
        std::fs::write(script, rewritten).map_err(failed("write the script"))?;
    }
    Ok(())
}

/// Replaces the variables in a file; what does not parse stays as it is.
///
/// # Errors
/// The file cannot be read or written, or a variable in it is circular.
pub fn substitute_in(runner: &Runner, file: &Path) -> Result<(), Failure> {
    runner.log.verbose(&format!(
        "Performing variable substitution on '{}'",
        file.display()
    ));
    let bytes = std::fs::read(file).map_err(|error| Failure::at(file, "read", &error))?;
    let text = crate::variables::text_of_file(&bytes);
    let template = Template::parse_keep_going(&text);
    let evaluation = evaluate_template(&template, runner.variables.collection(), Limits::default())?;
    if let Some(error) = evaluation.error() {
        runner
            .log
            .verbose(&format!("Parsing file '{}': {error}", file.display()));
    }
    if evaluation.value.as_bytes() != bytes {
        std::fs::write(file, evaluation.value).map_err(|error| Failure::at(file, "write", &error))?;
    }
    Ok(())
}

/// The last part of a path as text.
pub(crate) fn file_name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned())
        .unwrap_or_default()
}
