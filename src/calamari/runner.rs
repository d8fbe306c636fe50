//! What every step has: the log, the variables, the folder it was started in (1).

use crate::command_line::CommandLine;
use crate::failure::Failure;
use crate::interruption::Interruption;
use crate::isolation::Isolation;
use crate::journal::{Entry, Journal};
use crate::log::Log;
use crate::variables::Variables;
use contracts::ServiceMessage;
use octostache::EvaluationError;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// One run of the program.
#[derive(Debug)]
pub struct Runner {
    /// What was asked for.
    pub line: CommandLine,
    /// Where everything is printed.
    pub log: Log,
    /// The variables of the step.
    pub variables: Variables,
    /// Whether to stop.
    pub interruption: Interruption,
    /// The folder in which the program was started.
    pub working_directory: PathBuf,
    /// What was deployed here before; none when the agent names no file for it.
    pub journal: Option<Journal>,
    /// The lock that keeps other scripts of the agent away until the end.
    pub isolation: Option<Isolation>,
}

impl Runner {
    /// Loads the variables, hides the sensitive ones, and looks up what was installed before.
    ///
    /// # Errors
    /// Variables that cannot be loaded.
    pub fn start(
        line: CommandLine,
        environment: &[(String, String)],
        input: impl BufRead,
        log: Log,
        interruption: Interruption,
    ) -> Result<Self, Failure> {
        let working_directory = std::env::current_dir()
            .map_err(|error| Failure::at(Path::new("."), "find the working folder", &error))?;
        log.verbose(&environment_text(&working_directory));
        let variables = Variables::load(&line, environment, input)?;
        log.hide(variables.secrets().iter().map(String::as_str));
        let journal = variables.filled("env:TentacleJournal")?.map(Journal::at);
        let mut runner = Self {
            line,
            log,
            variables,
            interruption,
            working_directory,
            journal,
            isolation: None,
        };
        runner.set_previous_installation()?;
        let home = runner.variables.filled("env:TentacleHome")?;
        runner.isolation = Isolation::take(&runner.line, home.as_deref(), &runner.log, &runner.interruption)?;
        runner.print_variables()?;
        Ok(runner)
    }

    /// Sets an output variable and tells the Server.
    ///
    /// # Errors
    /// A circular definition.
    pub fn output(&mut self, name: &str, value: &str) -> Result<(), EvaluationError> {
        self.variables.set_output(name, value, false)?;
        self.tell_output(name, value);
        Ok(())
    }

    /// Tells the Server of an output variable that later parts of this step do not see.
    pub fn tell_output(&self, name: &str, value: &str) {
        self.log.message(&ServiceMessage::set_variable(name, value));
    }

    /// The latest entry that fits; among entries of the same second the last one written.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn latest_entry(&self, fits: impl Fn(&Entry) -> bool) -> Result<Option<Entry>, Failure> {
        let Some(journal) = &self.journal else {
            return Ok(None);
        };
        let entries = journal.entries(&self.log)?;
        Ok(entries
            .into_iter()
            .filter(|entry| fits(entry))
            .max_by(|a, b| a.installed_on.cmp(&b.installed_on)))
    }

    /// Variables about the latest deployments of the same policy set (8.3).
    fn set_previous_installation(&mut self) -> Result<(), Failure> {
        let Some(set) = self.variables.filled("OctopusRetentionPolicySet")? else {
            return Ok(());
        };
        let same_set =
            |entry: &Entry| octostache::fold(&entry.retention_policy_set) == octostache::fold(&set);
        let latest = self.latest_entry(same_set)?.unwrap_or_default();
        let successful = self
            .latest_entry(|entry| entry.was_successful && same_set(entry))?
            .unwrap_or_default();
        for (prefix, entry) in [
            ("PreviousInstallation", latest),
            ("PreviousSuccessfulInstallation", successful),
        ] {
            let package = entry.packages.first().cloned().unwrap_or_default();
            for (name, value) in [
                ("OriginalInstalledPath", &entry.extracted_to),
                (
                    "CustomInstallationDirectory",
                    &entry.custom_installation_directory,
                ),
                ("PackageFilePath", &package.deployed_from),
                ("PackageVersion", &package.version),
            ] {
                self.variables
                    .set(&format!("Octopus.Tentacle.{prefix}.{name}"), value);
            }
        }
        Ok(())
    }

    /// Prints all variables where two switches ask for it (2.5). Values marked sensitive are not shown, whatever their length.
    fn print_variables(&self) -> Result<(), Failure> {
        for (switch, evaluated) in [
            ("OctopusPrintVariables", false),
            ("OctopusPrintEvaluatedVariables", true),
        ] {
            if !self.variables.flag(switch, false)? {
                continue;
            }
            self.log.warning(&format!("{switch} is enabled. This should only be used for debugging problems with variables, and then disabled again for normal deployments."));
            let mut lines: Vec<(String, String)> = Vec::new();
            for (name, raw) in self.variables.collection().iter() {
                if name.contains("CustomScripts.") {
                    continue;
                }
                let value = match (self.variables.is_sensitive(name), evaluated) {
                    (true, _) => security::masking::MASK.to_owned(),
                    (false, false) => raw.unwrap_or_default().to_owned(),
                    (false, true) => self
                        .variables
                        .text(name)
                        .unwrap_or_else(|error| error.to_string()),
                };
                lines.push((octostache::fold(name), format!("[{name}] = '{value}'")));
            }
            lines.sort();
            let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
            let heading = if evaluated {
                "The following evaluated variables are available:"
            } else {
                "The following variables are available:"
            };
            self.log.verbose(&format!("{heading}\n{}", lines.join("\n")));
        }
        Ok(())
    }
}

fn environment_text(working_directory: &Path) -> String {
    let system = rustix::system::uname();
    let user = std::env::var("USER").unwrap_or_else(|_| rustix::process::getuid().as_raw().to_string());
    format!(
        "Environment Information:\n  OperatingSystem: {} {}\n  OsArchitecture: {}\n  CurrentUser: {user}\n  MachineName: {}\n  \
         ProcessorCount: {}\n  CurrentDirectory: {}\n  TempDirectory: {}\n  HostProcess: calamari ({})",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
        system.nodename().to_string_lossy(),
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        working_directory.display(),
        std::env::temp_dir().display(),
        std::process::id(),
    )
}
