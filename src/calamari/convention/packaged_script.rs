//! Scripts that lie in the package: `PreDeploy.sh` and so on (6.4).

use super::Stage;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::script::{self, Syntax};
use std::path::PathBuf;

/// Runs the script of this stage, then deletes all of them.
///
/// # Errors
/// The script fails.
pub fn run(deployment: &mut Deployment<'_>, stage: Stage) -> Result<(), Failure> {
    if stage != Stage::DeployFailed
        && !deployment
            .runner
            .variables
            .flag("Octopus.Action.Package.RunScripts", true)?
    {
        return Ok(());
    }
    let scripts = find(deployment, stage)?;
    let Some(script) = scripts.first().cloned() else {
        return Ok(());
    };
    if scripts.len() > 1 {
        deployment.runner.log.verbose(&format!(
            "Found {} {} scripts. Selected {} based on OS preferential ordering: Bash, Python, CSharp, PowerShell",
            scripts.len(),
            stage.name(),
            script.display()
        ));
    }
    let ended = script::run(deployment.runner, &script, "")?;
    if ended.exit_code != 0 {
        return Err(Failure::expected(format!(
            "Script '{}' returned non-zero exit code: {}. Deployment terminated.{}",
            script.display(),
            ended.exit_code,
            ended
                .signal
                .map(|signal| format!(" It was killed by signal {signal}."))
                .unwrap_or_default()
        )));
    }
    if ended.error_output
        && deployment
            .runner
            .variables
            .flag("Octopus.Action.FailScriptOnErrorOutput", false)?
    {
        return Err(Failure::expected(format!(
            "Script '{}' returned zero exit code but had error output. Deployment terminated.",
            script.display()
        )));
    }
    // Those of the roll-back go with the clean-up, which may be skipped.
    if stage == Stage::DeployFailed {
        Ok(())
    } else {
        delete(deployment, stage)
    }
}

/// Deletes the scripts of a stage, unless they are to stay.
///
/// # Errors
/// The folder cannot be read, or a script not deleted.
pub fn delete(deployment: &mut Deployment<'_>, stage: Stage) -> Result<(), Failure> {
    if !deployment
        .runner
        .variables
        .flag("OctopusDeleteScriptsOnCleanup", true)?
    {
        return Ok(());
    }
    for script in find(deployment, stage)? {
        match std::fs::remove_file(&script) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::at(&script, "delete the script", &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The scripts of a stage in the current folder, the preferred language first. Only the stage's name ignores case.
fn find(deployment: &Deployment<'_>, stage: Stage) -> Result<Vec<PathBuf>, Failure> {
    let folder = deployment.current_folder();
    if deployment.extracted.is_none() {
        return Ok(Vec::new());
    }
    let failed = |error| Failure::at(folder, "list the folder", &error);
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let (Some(name), Some(extension)) = (
            path.file_stem().and_then(|name| name.to_str()),
            path.extension().and_then(|name| name.to_str()),
        ) else {
            continue;
        };
        let rank = Syntax::PREFERENCE
            .iter()
            .position(|syntax| syntax.extension() == extension);
        if let Some(rank) = rank.filter(|_| name.eq_ignore_ascii_case(stage.name()) && path.is_file()) {
            found.push((rank, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
