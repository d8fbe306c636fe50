//! The agent program.

use std::process::ExitCode;

use tentacle::{Output, Surroundings};

fn main() -> ExitCode {
    let output = Output::of_process();
    let surroundings = match Surroundings::of_process() {
        Ok(surroundings) => surroundings,
        Err(error) => {
            output.error(&format!(
                "The current folder cannot be used: {error}. Change to another one."
            ));
            return ExitCode::FAILURE;
        }
    };
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(tentacle::run(&words, surroundings, output))
}
