//! Scripts that stand in the step itself (6.5).

use super::Stage;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::script::{self, Syntax};

/// All languages run that are set, in this order.
const ORDER: [Syntax; 4] = [Syntax::PowerShell, Syntax::CSharp, Syntax::Bash, Syntax::Python];

/// Runs the scripts of this stage, each from a file in the current folder that is deleted when it succeeded.
///
/// # Errors
/// A script fails.
pub fn run(deployment: &mut Deployment<'_>, stage: Stage) -> Result<(), Failure> {
    if !deployment
        .runner
        .variables
        .feature("Octopus.Features.CustomScripts")?
    {
        return Ok(());
    }
    for syntax in ORDER {
        let name = format!(
            "Octopus.Action.CustomScripts.{}.{}",
            stage.name(),
            syntax.extension()
        );
        let Some(text) = deployment.runner.variables.filled(&name)? else {
            continue;
        };
        let file = deployment.current_folder().join(&name);
        let mark = if syntax == Syntax::Bash { "" } else { "\u{feff}" };
        std::fs::write(&file, format!("{mark}{text}"))
            .map_err(|error| Failure::at(&file, "write the script", &error))?;
        let ended = script::run(deployment.runner, &file, "")?;
        if ended.exit_code != 0 {
            return Err(Failure::expected(format!(
                "{} script returned non-zero exit code: {}",
                stage.name(),
                ended.exit_code
            )));
        }
        if ended.error_output
            && deployment
                .runner
                .variables
                .flag("Octopus.Action.FailScriptOnErrorOutput", false)?
        {
            return Err(Failure::expected(format!(
                "{} script returned zero exit code but had error output.",
                stage.name()
            )));
        }
        if deployment
            .runner
            .variables
            .flag("OctopusDeleteScriptsOnCleanup", true)?
        {
            std::fs::remove_file(&file).map_err(|error| Failure::at(&file, "delete the script", &error))?;
        }
    }
    Ok(())
}
