//! The server image: prepare, then serve (`containers.md` 2.2).

use rustix::fs::Mode;
use settings::{Environment, ExitCode, Program};

use crate::environment::of_child;
use crate::log::Log;
use crate::supervisor::{Supervisor, SupervisorError};

/// The product's program.
const MANTLE: &str = "mantle";
/// What only `prepare` needs: `serve` runs for long, and what it does not know it cannot lose.
const ONLY_FOR_PREPARE: &[&str] = &[
    "ADMIN_USERNAME",
    "ADMIN_PASSWORD",
    "ADMIN_PASSWORD_RESET",
    "ADMIN_EMAIL",
    "ADMIN_API_KEY",
    "CREATE_ENVIRONMENTS",
];

/// Runs the Server until it ends; the exit code of the last program is that of the container.
pub(crate) fn run(supervisor: &mut Supervisor) -> Result<i32, SupervisorError> {
    let environment = Environment::of_process(Program::Server);
    let settings = match environment.server() {
        Ok(settings) => settings,
        Err(problems) => return Ok(crate::refuse(&environment, &problems)),
    };
    let log = Log(settings.log_format);
    environment.notes().iter().for_each(|note| log.note(note));

    // The image belongs to group 0: whichever uid the next container has, it may go on with the volumes.
    rustix::process::umask(Mode::WOTH);
    let everything = of_child(&environment, environment.canonical());
    let prepare = supervisor.start(MANTLE, &["prepare".to_owned()], &everything)?;
    let code = supervisor.finish(prepare);
    if let Some(stop) = supervisor.stop() {
        return Ok(stop.at_once.unwrap_or(ExitCode::Success as i32));
    }
    if code != ExitCode::Success as i32 {
        return Ok(code);
    }

    let needed = environment.canonical().into_iter().filter(|(name, _)| {
        !ONLY_FOR_PREPARE
            .iter()
            .any(|only| name == only || *name == format!("{only}_FILE"))
    });
    let needed = of_child(&environment, needed.collect());
    let serve = supervisor.start(MANTLE, &["serve".to_owned()], &needed)?;
    Ok(supervisor.finish(serve))
}
