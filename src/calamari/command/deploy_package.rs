//! `deploy-package`: unpacks a package into a folder of its own and runs the scripts around it (6).

use crate::convention::{Convention, foreign_feature};
use crate::deployment::{Deployment, now};
use crate::failure::{EXPECTED, Failure, SUCCESS};
use crate::runner::Runner;

/// What happens, in order (6.1).
pub const INSTALL: [Convention; 19] = [
    Convention::ALREADY_INSTALLED,
    Convention::EXTRACT,
    Convention::FEATURES_BEFORE_PRE_DEPLOY,
    Convention::CONFIGURED_PRE_DEPLOY,
    Convention::PACKAGED_PRE_DEPLOY,
    Convention::FEATURES_AFTER_PRE_DEPLOY,
    Convention::SUBSTITUTE_IN_FILES,
    Convention::TRANSFORM_CONFIGURATION,
    Convention::DOTNET_SETTINGS,
    Convention::STRUCTURED_CONFIGURATION,
    Convention::COPY,
    Convention::FEATURES_BEFORE_DEPLOY,
    Convention::PACKAGED_DEPLOY,
    Convention::CONFIGURED_DEPLOY,
    Convention::FEATURES_AFTER_DEPLOY,
    Convention::FEATURES_BEFORE_POST_DEPLOY,
    Convention::PACKAGED_POST_DEPLOY,
    Convention::CONFIGURED_POST_DEPLOY,
    Convention::FEATURES_AFTER_POST_DEPLOY,
];

/// What happens when one of them fails.
pub const ROLL_BACK: [Convention; 2] = [
    Convention::PACKAGED_DEPLOY_FAILED,
    Convention::FEATURES_DEPLOY_FAILED,
];

/// What is cleaned up in the end, however it went.
pub const CLEAN_UP: [Convention; 1] = [Convention::CLEAN_UP_DEPLOY_FAILED];

/// Deploys the package that the command line names.
///
/// # Errors
/// The first failure, after the roll-back ran.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let given = runner.line.option("package").map(str::to_owned).ok_or_else(|| {
        Failure::expected("No package file was specified. Please pass --package YourPackage.nupkg")
    })?;
    deploy(runner, &given, &INSTALL)
}

/// Deploys a package with these conventions.
///
/// # Errors
/// The first failure, after the roll-back ran.
pub(super) fn deploy(runner: &mut Runner, package: &str, install: &[Convention]) -> Result<i32, Failure> {
    let path = runner.working_directory.join(package);
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
    let installed = all(&mut deployment, install)
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
        deployment.runner.interruption.check("the package was deployed")?;
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
