//! The program `calamari`.

use calamari::interruption::Interruption;
use calamari::log::Log;
use std::io::{BufWriter, stderr, stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
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
