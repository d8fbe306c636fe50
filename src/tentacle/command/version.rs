//! `version`.

use serde_json::json;

use super::{Command, Context, FORMAT, is_json, pretty};
use crate::command_line::Options;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command {
    names: &["version"],
    meaning: "Show the version of this program",
    options: &[&[FORMAT]],
    run,
};

fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    let version = settings::product_version();
    if !is_json(options)? {
        context.output.answer(&version);
        return Ok(());
    }
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    context.output.answer(&pretty(&json!({
        "InformationalVersion": version,
        "MajorMinorPatch": plain,
        "NuGetVersion": version,
        "SourceBranchName": "main",
        "IsPrerelease": version.contains('-'),
    })));
    Ok(())
}
