//! Skips a package that is installed already (6.2).

use crate::deployment::Deployment;
use crate::failure::Failure;
use octostache::fold;
use std::path::Path;

/// Looks for the latest deployment of the same package, version and policy set.
///
/// # Errors
/// The journal cannot be read.
pub fn check(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let runner = &mut *deployment.runner;
    if !runner
        .variables
        .flag("Octopus.Action.Package.SkipIfAlreadyInstalled", false)?
    {
        return Ok(());
    }
    let set = fold(&runner.variables.text("OctopusRetentionPolicySet")?);
    let id = fold(&runner.variables.text("Octopus.Action.Package[].PackageId")?);
    let version = fold(&runner.variables.text("Octopus.Action.Package[].PackageVersion")?);
    let latest = runner.latest_entry(|entry| {
        fold(&entry.retention_policy_set) == set
            && entry
                .packages
                .iter()
                .any(|package| fold(&package.id) == id && fold(&package.version) == version)
    })?;
    let Some(entry) = latest else { return Ok(()) };
    if !entry.was_successful {
        runner
            .log
            .info("The previous attempt to deploy this package was not successful; re-deploying.");
        return Ok(());
    }
    if !Path::new(&entry.extracted_to).is_dir() {
        runner.log.info(&format!(
            "The folder {} of the installed package is gone; re-deploying.",
            entry.extracted_to
        ));
        return Ok(());
    }
    runner
        .log
        .info("The package has already been installed on this machine, so installation will be skipped.");
    for name in super::installation_folder::OUTPUTS {
        runner.tell_output(name, &entry.extracted_to);
    }
    runner
        .variables
        .set("Octopus.Action.SkipRemainingConventions", "true");
    runner.variables.set("Octopus.Action.SkipJournal", "true");
    Ok(())
}
