//! `deploy-package`: unpacks a package into a folder of its own and runs the scripts around it (6).

use crate::convention::{
    Convention, Stage, already_installed, configured_script, extract_package, installation_folder,
    packaged_script, unbuilt_feature,
};
use crate::deployment::{Deployment, now};
use crate::failure::{EXPECTED, Failure, SUCCESS};
use crate::package::PackageFile;
use crate::runner::Runner;

/// What happens, in order.
const INSTALL: [Convention; 11] = [
    unbuilt_feature::refuse,
    already_installed::check,
    extract_package::to_application_folder,
    unbuilt_feature::refuse_config_files,
    |deployment| configured_script::run(deployment, Stage::PreDeploy),
    |deployment| packaged_script::run(deployment, Stage::PreDeploy),
    installation_folder::install,
    |deployment| packaged_script::run(deployment, Stage::Deploy),
    |deployment| configured_script::run(deployment, Stage::Deploy),
    |deployment| packaged_script::run(deployment, Stage::PostDeploy),
    |deployment| configured_script::run(deployment, Stage::PostDeploy),
];

/// What happens when one of them fails.
const ROLL_BACK: [Convention; 1] = [|deployment| packaged_script::run(deployment, Stage::DeployFailed)];

/// What is cleaned up in the end, however it went.
const CLEAN_UP: [Convention; 1] = [|deployment| packaged_script::delete(deployment, Stage::DeployFailed)];

/// Deploys the package that the command line names.
///
/// # Errors
/// The first failure, after the roll-back ran.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let given = runner.line.option("package").ok_or_else(|| {
        Failure::expected("No package file was specified. Please pass --package YourPackage.nupkg")
    })?;
    let path = runner.working_directory.join(given);
    if !path.is_file() {
        return Err(Failure::expected(format!(
            "Could not find package file: {}",
            path.display()
        )));
    }
    runner
        .log
        .info(&format!("Deploying package:    {}", path.display()));
    let package = PackageFile::open(&path)?;
    let mut deployment = Deployment::new(runner, package);
    let installed = all(&mut deployment, &INSTALL)
        .and_then(|()| all(&mut deployment, &CLEAN_UP))
        .and_then(|()| deployment.record(true, now()));
    match installed {
        Ok(()) => Ok(SUCCESS),
        Err(failure) => {
            roll_back(&mut deployment, &failure);
            Err(failure)
        }
    }
}

/// Runs conventions until one fails or the rest is to be skipped.
fn all(deployment: &mut Deployment<'_>, conventions: &[Convention]) -> Result<(), Failure> {
    for convention in conventions {
        if deployment.skips_the_rest()? {
            break;
        }
        convention(deployment)?;
        if let Some(signal) = deployment.runner.interruption.signal() {
            return Err(Failure {
                message: format!("The deployment was asked to stop (signal {signal})"),
                exit_code: 128 + signal,
            });
        }
    }
    Ok(())
}

fn roll_back(deployment: &mut Deployment<'_>, failure: &Failure) {
    let log = deployment.runner.log.clone();
    if failure.exit_code == EXPECTED {
        log.verbose(&failure.message);
    } else {
        log.error(&failure.message);
    }
    deployment
        .runner
        .variables
        .set("OctopusLastError", &failure.message);
    deployment
        .runner
        .variables
        .set("OctopusLastErrorMessage", &failure.message);
    log.error("Running rollback conventions...");
    // Who asked to stop does not want another script to start.
    let stopped = deployment.runner.interruption.signal().is_some();
    let rolled_back = ROLL_BACK
        .iter()
        .filter(|_| !stopped)
        .try_for_each(|convention| convention(deployment))
        .and_then(|()| all(deployment, &CLEAN_UP));
    for outcome in [rolled_back, deployment.record(false, now())] {
        if let Err(second) = outcome
            && second.message != failure.message
        {
            log.error(&second.message);
        }
    }
}
