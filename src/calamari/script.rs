//! Runs scripts: which language, in which folder, with which helpers (12).

mod bash;
pub mod bootstrap;
pub mod module;
pub mod package_reference;
mod powershell;
pub mod proxy;
mod python;

use crate::child::{self, Ended};
use crate::failure::Failure;
use crate::runner::Runner;
use bootstrap::Bootstrap;
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

    /// The program that runs it.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Python => "python3",
            Self::CSharp => "dotnet-script",
            Self::PowerShell => "pwsh",
        }
    }

    /// Whether that program is on the PATH.
    pub fn is_installed(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(self.program()).is_file())
    }

    /// The language of this name, with case, or of its number or several names in the original's list.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, Failure> {
        const NUMBERED: [Syntax; 4] = [Syntax::PowerShell, Syntax::CSharp, Syntax::Bash, Syntax::Python];
        let number = |word: &str| -> Option<usize> {
            let word = word.trim();
            let by_name = NUMBERED.iter().position(|syntax| syntax.name() == word);
            by_name.or_else(|| word.parse().ok())
        };
        // Several names count as the sum of their bits, as where the original reads an enumeration.
        name.split(',')
            .map(number)
            .try_fold(0, |bits, number| Some(bits | number?))
            .and_then(|number| NUMBERED.get(number).copied())
            .ok_or_else(|| {
                Failure::expected(format!(
                    "Octopus.Action.Script.Syntax is '{name}', which is no script language; use Bash, Python or PowerShell"
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
                let refused = match extension.as_deref() {
                    Some("fsx") => "is written in F#, which this runner does not run",
                    _ => "has an ending that belongs to no script language",
                };
                Failure::expected(format!(
                    "The script {} {refused}; write it in Bash, Python or PowerShell (.sh, .py or .ps1)",
                    path.display()
                ))
            })
    }
}

/// A help of the original for finding faults in a script, which leaves secrets behind.
const COPY_WITH_KEY: &str = "Octopus.Calamari.CopyWorkingDirectoryIncludingKeyTo";

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
    if runner.variables.filled(COPY_WITH_KEY)?.is_some() {
        runner.log.warning(&format!(
            "{COPY_WITH_KEY} is not followed: the copy would hold every sensitive value in clear"
        ));
    }
    rewrite(script)?;
    let folder = script.parent().unwrap_or(Path::new("."));
    let modules = module::write(runner, syntax, folder)?;
    runner.log.verbose(&format!("Executing '{}'", script.display()));
    let bootstrap = Bootstrap::write(script, syntax, parameters, &modules, &runner.variables)?;
    let mut command = bootstrap.command();
    command.current_dir(folder);
    command.env("OctopusCalamariWorkingDirectory", &runner.working_directory);
    command.envs(proxy::variables(&runner.variables)?);
    if syntax == Syntax::PowerShell
        && let Some(cache) = powershell::cache(&runner.variables, &runner.working_directory)?
    {
        command.env("XDG_CACHE_HOME", cache);
    }
    let ended = child::run(command, &runner.log, &runner.interruption).map_err(|error| Failure {
        message: format!(
            "Could not start {} for {}: {error}; install it on this machine, and see that its folder is on the PATH",
            syntax.program(),
            script.display()
        ),
        exit_code: -1,
    })?;
    drop(bootstrap);
    for (name, value, sensitive) in &ended.outputs {
        runner.variables.set_output(name, value, *sensitive)?;
    }
    runner
        .interruption
        .check(format_args!("{} ran", script.display()))?;
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

/// The last part of a path as text.
pub(crate) fn file_name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned())
        .unwrap_or_default()
}
