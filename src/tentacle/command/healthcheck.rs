//! `healthcheck`: whether the agent runs and can be given work (`containers.md` 2.6). Ours.

use std::time::SystemTime;

use super::{Command, Context, INSTANCE_OPTIONS};
use crate::agent::read_heartbeat;
use crate::command_line::{OptionRow, Options};
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command {
    names: &["healthcheck", "livez"],
    meaning: "Tell whether the agent of an instance is healthy",
    options: &[
        INSTANCE_OPTIONS,
        &[OptionRow::flag(
            &["live"],
            "only whether it lives, not whether it can be given work",
        )],
    ],
    run,
};

fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    let configuration = context.configuration(options)?;
    let health = read_heartbeat(&configuration.home(), SystemTime::now()).map_err(Failure::controlled)?;
    if options.flag("live") || health.is_ready {
        return Ok(());
    }
    Err(Failure::controlled(
        "The agent runs, but neither listens nor has been accepted by a Server that it polls.",
    ))
}
