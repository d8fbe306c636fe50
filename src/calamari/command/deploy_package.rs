//! `deploy-package`: unpacks a package into a folder of its own and runs the scripts around it (6).

use crate::convention::feature::{self, Turn};
use crate::convention::{
    Convention, Stage, already_installed, configured_script, extract_package, foreign_feature,
    installation_folder, packaged_script, structured_configuration, substitute_in_files,
};
use crate::deployment::{Deployment, now};
use crate::failure::{EXPECTED, Failure, SUCCESS};
use crate::runner::Runner;

/// What happens, in order (6.1).
pub const INSTALL: [Convention; 17] = [
    Convention::new("already installed check", already_installed::check),
    Convention::new("extract package", extract_package::to_application_folder),
    Convention::new("features BeforePreDeploy", |deployment| {
        feature::run(deployment, Turn::BeforePreDeploy)
    }),
    Convention::new("configured scripts PreDeploy", |deployment| {
        configured_script::run(deployment, Stage::PreDeploy)
    }),
    Convention::new("packaged script PreDeploy", |deployment| {
        packaged_script::run(deployment, Stage::PreDeploy)
    }),
    Convention::new("features AfterPreDeploy", |deployment| {
        feature::run(deployment, Turn::AfterPreDeploy)
    }),
    Convention::new("substitute variables in files", substitute_in_files::run),
    Convention::new(
        "structured configuration variables",
        structured_configuration::run,
    ),
    Convention::new("copy to custom installation folder", installation_folder::install),
    Convention::new("features BeforeDeploy", |deployment| {
        feature::run(deployment, Turn::BeforeDeploy)
    }),
    Convention::new("packaged script Deploy", |deployment| {
        packaged_script::run(deployment, Stage::Deploy)
    }),
    Convention::new("configured scripts Deploy", |deployment| {
        configured_script::run(deployment, Stage::Deploy)
    }),
    Convention::new("features AfterDeploy", |deployment| {
        feature::run(deployment, Turn::AfterDeploy)
    }),
    Convention::new("features BeforePostDeploy", |deployment| {
        feature::run(deployment, Turn::BeforePostDeploy)
    }),
    Convention::new("packaged script PostDeploy", |deployment| {
        packaged_script::run(deployment, Stage::PostDeploy)
    }),
    Convention::new("configured scripts PostDeploy", |deployment| {
        configured_script::run(deployment, Stage::PostDeploy)
    }),
    Convention::new("features AfterPostDeploy", |deployment| {
        feature::run(deployment, Turn::AfterPostDeploy)
    }),
];

/// What happens when one of them fails.
pub const ROLL_BACK: [Convention; 2] = [
    Convention::new("packaged script DeployFailed", |deployment| {
        packaged_script::run(deployment, Stage::DeployFailed)
    }),
    Convention::new("features DeployFailed", |deployment| {
        feature::run(deployment, Turn::DeployFailed)
    }),
];

/// What is cleaned up in the end, however it went.
pub const CLEAN_UP: [Convention; 1] = [Convention::new("clean up DeployFailed", |deployment| {
    packaged_script::delete(deployment, Stage::DeployFailed)
})];

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
    foreign_feature::refuse(&runner.variables)?;
    runner
        .log
        .info(&format!("Deploying package:    {}", path.display()));
    let mut deployment = Deployment::new(runner, path);
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
        convention.apply(deployment)?;
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
        .try_for_each(|convention| convention.apply(deployment))
        .and_then(|()| all(deployment, &CLEAN_UP));
    for outcome in [rolled_back, deployment.record(false, now())] {
        if let Err(second) = outcome
            && second.message != failure.message
        {
            log.error(&second.message);
        }
    }
}
