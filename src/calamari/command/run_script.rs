//! `run-script`: runs the script of a step (12.1).

use crate::convention::{Convention, substitute_in_files};
use crate::deployment::{self, Deployment};
use crate::failure::Failure;
use crate::runner::Runner;
use crate::script::{self, Syntax, package_reference};
use std::path::PathBuf;

/// What is done with the files beside the script before it runs, in order (12.1).
pub const PREPARE: [Convention; 4] = [
    Convention::SUBSTITUTE_IN_FILES,
    Convention::TRANSFORM_CONFIGURATION,
    Convention::DOTNET_SETTINGS,
    Convention::STRUCTURED_CONFIGURATION,
];

/// Which script the step means.
struct Chosen {
    path: PathBuf,
    /// Whether variables in its text are replaced.
    substitute: bool,
}

/// Runs the script and answers with its exit code.
///
/// # Errors
/// There is no script, or it cannot be run.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let package = runner.line.option("package").map(str::to_owned);
    if let Some(package) = &package {
        package_reference::stage_script_package(runner, package)?;
    }
    package_reference::stage(runner)?;
    let chosen = choose(runner)?;
    let given = runner.line.option("scriptParameters").map(str::to_owned);
    let parameters = match runner
        .variables
        .filled("Octopus.Action.Script.ScriptParameters")?
    {
        Some(parameters) => parameters,
        None => given.unwrap_or_default(),
    };
    if chosen.substitute {
        substitute_in_files::substitute(runner, &chosen.path)?;
    }
    let mut deployment = Deployment::new(runner, PathBuf::from(package.as_deref().unwrap_or_default()));
    for convention in &PREPARE {
        convention.apply(&mut deployment)?;
    }
    let ended = script::run(runner, &chosen.path, &parameters)?;
    let fails_on_output = runner
        .variables
        .flag("Octopus.Action.FailScriptOnErrorOutput", false)?;
    let exit_code = match ended.exit_code {
        0 if ended.error_output && fails_on_output => -1,
        code => code,
    };
    runner.output("Octopus.Action.Script.ExitCode", &exit_code.to_string())?;
    if let Some(signal) = ended.signal {
        runner
            .log
            .error(&format!("The script was killed by signal {signal}"));
    }
    if let Some(package) = &package {
        let mut deployment = Deployment::new(runner, PathBuf::from(package));
        deployment.extracted = Some(deployment.runner.working_directory.clone());
        deployment.record(exit_code == 0, deployment::now())?;
    }
    Ok(exit_code)
}

fn choose(runner: &mut Runner) -> Result<Chosen, Failure> {
    if let Some((text, syntax)) = inline(runner)? {
        let path = runner
            .working_directory
            .join(format!("Script.{}", syntax.extension()));
        let mark = if syntax == Syntax::Bash { "" } else { "\u{feff}" };
        std::fs::write(&path, format!("{mark}{text}"))
            .map_err(|error| Failure::at(&path, "write the script", &error))?;
        runner.variables.set(
            "Octopus.Action.Script.ScriptFileName",
            &format!("Script.{}", syntax.extension()),
        );
        return Ok(Chosen {
            path,
            substitute: true,
        });
    }
    if let Some(name) = runner.variables.filled("Octopus.Action.Script.ScriptFileName")? {
        return existing(runner, &name, true);
    }
    if let Some(name) = runner.line.option("script").map(str::to_owned) {
        runner.log.warning(
            "The option --script is deprecated; name the script in Octopus.Action.Script.ScriptFileName",
        );
        let substitute = runner.line.option("package").is_some();
        return existing(runner, &name, substitute);
    }
    Err(Failure::expected(
        "No script was given; set Octopus.Action.Script.ScriptBody or Octopus.Action.Script.ScriptFileName",
    ))
}

/// The script that stands in the step, as it was written: what it means is up to the substitution in the file.
fn inline(runner: &Runner) -> Result<Option<(String, Syntax)>, Failure> {
    let body = |name: &str| {
        runner
            .variables
            .raw(name)
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
    };
    if let Some(text) = body("Octopus.Action.Script.ScriptBody") {
        let syntax = match runner.variables.get("Octopus.Action.Script.Syntax")? {
            Some(name) => Syntax::named(name.trim())?,
            None => {
                runner
                    .log
                    .warning("Octopus.Action.Script.Syntax is missing; the script is taken as Bash");
                Syntax::Bash
            }
        };
        return Ok(Some((text, syntax)));
    }
    let by_syntax = Syntax::PREFERENCE.into_iter().find_map(|syntax| {
        body(&format!("Octopus.Action.Script.ScriptBody[{}]", syntax.name())).map(|text| (text, syntax))
    });
    Ok(by_syntax)
}

fn existing(runner: &Runner, name: &str, substitute: bool) -> Result<Chosen, Failure> {
    let path = runner.working_directory.join(name);
    if !path.is_file() {
        return Err(Failure::unexpected(format!(
            "Could not find script file: {}",
            path.display()
        )));
    }
    Ok(Chosen { path, substitute })
}
