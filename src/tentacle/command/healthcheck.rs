//! `healthcheck`: whether the agent runs and can be given work (`containers.md` 2.6). Ours.

use std::time::{Duration, SystemTime};

use super::{Command, Context, INSTANCE_OPTIONS};
use crate::agent::{OLDEST_HEARTBEAT, read_heartbeat};
use crate::command_line::{OptionRow, Options};
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command {
    names: &["healthcheck", "livez"],
    meaning: "Tell whether the agent of an instance is healthy",
    options: &[
        INSTANCE_OPTIONS,
        &[
            OptionRow::flag(
                &["live"],
                "only whether it lives, not whether it can be given work",
            ),
            OptionRow::value(
                &["max-age"],
                "seconds after which a heartbeat is too old; 30 unless given",
            ),
        ],
    ],
    run,
};

fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    let configuration = context.configuration(options)?;
    let oldest = match options.text("max-age") {
        None => OLDEST_HEARTBEAT,
        Some(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs)
            .ok_or_else(|| Failure::controlled("--max-age must be a positive number of seconds."))?,
    };
    let health =
        read_heartbeat(&configuration.home(), SystemTime::now(), oldest).map_err(Failure::controlled)?;
    if options.flag("live") || health.is_ready {
        return Ok(());
    }
    Err(Failure::controlled(
        "The agent runs, but neither listens nor has been accepted by a Server that it polls.",
    ))
}
