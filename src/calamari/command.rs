//! The commands and what each is called (5).

pub mod deploy_package;
pub mod run_script;

use crate::command_line::CommandLine;
use crate::failure::Failure;
use crate::log::Log;
use crate::runner::Runner;

/// What a command does.
#[derive(Clone, Copy)]
pub enum Command {
    /// Needs nothing and cannot fail.
    Plain(fn(&Log, &CommandLine)),
    /// A step, with variables; the answer is the exit code.
    Step(fn(&mut Runner) -> Result<i32, Failure>),
}

const COMMANDS: [(&str, Command, &str); 3] = [
    (
        "deploy-package",
        Command::Step(deploy_package::run),
        "Unpacks a package and runs its scripts: --package=FILE",
    ),
    (
        "run-script",
        Command::Step(run_script::run),
        "Runs a script: --package=FILE, --script=FILE, --scriptParameters=TEXT",
    ),
    ("version", Command::Plain(|_, _| {}), "Prints the version"),
];

/// The command of this name.
///
/// # Errors
/// There is none.
pub fn named(name: &str) -> Result<Command, Failure> {
    COMMANDS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, command, _)| *command)
        .ok_or_else(|| {
            let asked = match name {
                "" => "No command was given".to_owned(),
                _ => format!("Could not find the command {name}"),
            };
            let list: String = COMMANDS
                .iter()
                .map(|(name, _, meaning)| format!("\n  {name:<16} {meaning}"))
                .collect();
            Failure::expected(format!(
                "{asked}; the commands are{list}\nEach takes --variables=FILE and --sensitiveVariables=FILE with \
                 --sensitiveVariablesPassword=- (standard input)"
            ))
        })
}
