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

const COMMANDS: [(&str, Command, &str); 4] = [
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
    ("help", Command::Plain(help), "Lists the commands"),
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
            let names: Vec<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
            let asked = if name.is_empty() {
                "No command was given".to_owned()
            } else {
                format!("Unknown command '{name}'")
            };
            Failure::expected(format!("{asked}; use one of {}", names.join(", ")))
        })
}

fn help(log: &Log, line: &CommandLine) {
    let wanted = line.words.first().map(|word| word.to_ascii_lowercase());
    for (name, _, meaning) in COMMANDS
        .iter()
        .filter(|(name, ..)| wanted.as_deref().is_none_or(|wanted| wanted == *name))
    {
        log.info(&format!("{name:<16} {meaning}"));
    }
    log.info("Every command takes --variables=FILE and --sensitiveVariables=FILE with --sensitiveVariablesPassword=- (standard input)");
}
