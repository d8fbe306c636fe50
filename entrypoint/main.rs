#![doc = include_str!("README.md")]

mod agent;
mod environment;
mod log;
mod registration;
mod server;
mod supervisor;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use settings::{Environment, ExitCode, LogFormat, Problems};

use crate::log::Log;
use crate::supervisor::{Supervisor, SupervisorError, Woken};

const USAGE: &str = "usage: entrypoint server | entrypoint agent | entrypoint PROGRAM [ARGUMENT ...]";
/// How long a container of a hopeless start lives on, so that a restart policy does not hammer the Server.
const SLOW_EXIT: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let code = match arguments.first().map(|word| word.to_str().unwrap_or_default()) {
        Some("server") => supervise(server::run),
        Some("agent") => supervise(agent::run),
        Some(_) => {
            let error = supervisor::replace(&arguments[0], &arguments[1..]);
            eprintln!("{} cannot be started: {error}", arguments[0].to_string_lossy());
            if error.kind() == std::io::ErrorKind::NotFound {
                127
            } else {
                126
            }
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::Configuration as i32
        }
    };
    std::process::exit(code);
}

fn supervise(run: fn(&mut Supervisor) -> Result<i32, SupervisorError>) -> i32 {
    let outcome = Supervisor::new().and_then(|mut supervisor| {
        let code = run(&mut supervisor)?;
        if ExitCode::is_slowed(code) && supervisor.stop().is_none() {
            wait(&mut supervisor, Instant::now() + SLOW_EXIT);
        }
        Ok(code)
    });
    outcome.unwrap_or_else(|error| {
        Log(LogFormat::Text).error(&error.to_string());
        ExitCode::Failure as i32
    })
}

/// True when the moment came, false when a signal to stop came before it.
fn wait(supervisor: &mut Supervisor, until: Instant) -> bool {
    loop {
        match supervisor.wait(Some(until)) {
            Woken::Timeout => return true,
            Woken::Stop => return false,
            Woken::Ended(..) => {}
        }
    }
}

/// Tells all problems of the settings at once, and the notes, which often hold the reason.
fn refuse(environment: &Environment, problems: &Problems) -> i32 {
    let log = Log(LogFormat::Text);
    environment.notes().iter().for_each(|note| log.note(note));
    problems.lines().iter().for_each(|line| log.error(line));
    ExitCode::Configuration as i32
}
