#![doc = include_str!("README.md")]

pub mod calendar;
pub mod charset;
pub mod child;
pub mod chunk_store;
pub mod command;
pub mod command_line;
pub mod configuration;
pub mod convention;
pub mod deployment;
pub mod dotnet_settings;
pub mod failure;
pub mod fresh_file;
pub mod glob;
pub mod interruption;
pub mod isolation;
pub mod journal;
pub mod lenient_json;
pub mod log;
pub mod package;
pub mod package_cache;
pub mod package_use;
pub mod retention;
pub mod runner;
pub mod script;
pub mod text_file;
pub mod transformation;
pub mod variables;
pub mod xml;

use command::{evaluate, octodiff};
use command_line::CommandLine;
use failure::Failure;
use interruption::Interruption;
use log::Log;
use runner::Runner;
use std::io::{BufRead, stderr, stdout};
use std::path::Path;

/// Runs one command and answers with the exit code (4). `input` is read only when an option asks for a password there.
pub fn run(
    arguments: &[String],
    environment: &[(String, String)],
    mut input: impl BufRead,
    log: Log,
    interruption: Interruption,
) -> i32 {
    // A tool of its own, with its own options, exit codes and texts.
    if let [command, rest @ ..] = arguments
        && command.eq_ignore_ascii_case(octodiff::NAME)
    {
        return octodiff::run(rest, Path::new(""), &mut stdout().lock(), &mut stderr().lock());
    }
    if let [command, rest @ ..] = arguments
        && command.eq_ignore_ascii_case(evaluate::NAME)
    {
        return evaluate::run(rest, &mut input, &mut stdout().lock(), &mut stderr().lock());
    }
    let outcome = CommandLine::read(arguments).and_then(|line| {
        let command = command::named(&line.command)?;
        log.verbose(&format!("Calamari Version: {}", env!("CARGO_PKG_VERSION")));
        match command {
            command::Command::Plain(plain) => {
                plain(&log, &line);
                Ok(failure::SUCCESS)
            }
            command::Command::Step(step) => {
                let mut runner = Runner::start(line, environment, input, log.clone(), interruption)?;
                step(&mut runner)
            }
        }
    });
    match outcome {
        Ok(code) => code,
        Err(Failure { message, exit_code }) => {
            log.error(&message);
            exit_code
        }
    }
}
