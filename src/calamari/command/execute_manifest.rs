//! `execute-manifest`: runs a list of instructions, each a command with inputs (5, observed 9.12).

use super::inputs::Inputs;
use super::{change_files, extract_package};
use crate::failure::{Failure, SUCCESS};
use crate::lenient_json::Json;
use crate::runner::Runner;

const MANIFEST: &str = "Octopus.Steps.Manifest";

/// A command that has inputs.
type Instruction = fn(&mut Runner, &Inputs) -> Result<i32, Failure>;

/// The commands that a manifest may name, in any case.
pub const INSTRUCTIONS: [(&str, Instruction); 4] = [
    ("extract-package", extract_package::with_inputs),
    ("substitute-in-files", change_files::substitute_with),
    (
        "substitute-variables-in-files",
        change_files::substitute_here_with,
    ),
    ("structured-config-variables", change_files::structured_with),
];

/// What starts an instruction: the runner itself is the first one.
const LAUNCHERS: [&str; 2] = ["Calamari", "Node"];

/// Runs the instructions in order, up to the first that does not succeed or that asks to skip the rest.
///
/// # Errors
/// No manifest, one that cannot be read, or an instruction that fails.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let text = runner.variables.filled(MANIFEST)?.ok_or_else(|| {
        Failure::expected(format!(
            "The execution manifest was not found in the variables; set {MANIFEST}"
        ))
    })?;
    let manifest = Json::read(&text).map_err(|error| wrong(&format!("it is not readable JSON: {error}")))?;
    let Json::Array(entries) = manifest else {
        return Err(wrong("it is no list of instructions"));
    };
    if entries.is_empty() {
        return Err(Failure::expected(
            "The execution manifest must have at least one instruction.",
        ));
    }
    for entry in &entries {
        check_launcher(entry)?;
    }
    for entry in &entries {
        let (instruction, inputs) = instruction(entry)?;
        let code = instruction(runner, &inputs)?;
        if code != SUCCESS {
            return Ok(code);
        }
        if runner
            .variables
            .flag("Octopus.Action.SkipRemainingConventions", false)?
        {
            break;
        }
    }
    Ok(SUCCESS)
}

fn wrong(reason: &str) -> Failure {
    Failure::unexpected(format!(
        "The execution manifest in {MANIFEST} cannot be used: {reason}"
    ))
}

fn check_launcher(entry: &Json) -> Result<(), Failure> {
    let given = match entry.member("launcher") {
        None | Some(Json::Null) => return Ok(()),
        Some(value) => value.scalar().flatten().unwrap_or_default(),
    };
    let known = LAUNCHERS
        .iter()
        .enumerate()
        .find(|(number, name)| name.eq_ignore_ascii_case(given.trim()) || number.to_string() == given);
    match known {
        Some((0, _)) => Ok(()),
        Some((_, name)) => Err(wrong(&format!(
            "an instruction is for the launcher {name}, which runs step packages; this runner does not have it"
        ))),
        None => Err(wrong(&format!(
            "it names the launcher '{given}'; use {}",
            LAUNCHERS[0]
        ))),
    }
}

fn instruction(entry: &Json) -> Result<(Instruction, Inputs), Failure> {
    let details = entry.member("launcherInstructions").unwrap_or(&Json::Null);
    let name = details
        .member("command")
        .and_then(Json::scalar)
        .flatten()
        .ok_or_else(|| wrong("an instruction names no command"))?;
    let found = INSTRUCTIONS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name.trim()))
        .ok_or_else(|| {
            let known: Vec<&str> = INSTRUCTIONS.iter().map(|(name, _)| *name).collect();
            wrong(&format!(
                "it names the command '{name}'; use one of {}",
                known.join(", ")
            ))
        })?;
    let inputs = details.member("inputs").cloned().unwrap_or(Json::Null);
    Ok((found.1, Inputs::Manifest(inputs)))
}
