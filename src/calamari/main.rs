//! The program `calamari`.

use calamari::interruption::Interruption;
use calamari::log::Log;
use std::io::{BufWriter, stderr, stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    // What a panic says may quote the text at hand, and standard error is not masked.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("A fault in the runner, at {place}; please report it");
    }));
    let _scenario = fail::has_failpoints().then(fail::FailScenario::setup);
    let log = Log::new(BufWriter::new(stdout()), BufWriter::new(stderr()));
    let interruption = match Interruption::listen() {
        Ok(interruption) => interruption,
        Err(error) => {
            log.error(&format!("Could not listen for signals: {error}"));
            return ExitCode::from(calamari::failure::UNEXPECTED.to_le_bytes()[0]);
        }
    };
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let environment: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect();
    let code = calamari::run(&arguments, &environment, stdin().lock(), log, interruption);
    // A shell sees the lowest byte: -1 is 255.
    ExitCode::from(code.to_le_bytes()[0])
}
