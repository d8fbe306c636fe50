//! Skips a package that is installed already (6.2).

use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::runner::Runner;
use octostache::fold;

/// Looks for the latest deployment of the same package, version and policy set.
///
/// # Errors
/// The journal cannot be read.
pub fn check(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    skip_installed(deployment.runner)
}

/// The same for a step that copies a package as it is.
///
/// # Errors
/// The journal cannot be read.
pub fn skip_installed(runner: &mut Runner) -> Result<(), Failure> {
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
    // A package that was only copied was never extracted.
    let folder = match entry.extracted_to.as_str() {
        "" => &entry.custom_installation_directory,
        folder => folder,
    };
    if !runner.working_directory.join(folder).is_dir() {
        runner.log.info(&format!(
            "The folder {folder} of the installed package is gone; re-deploying."
        ));
        return Ok(());
    }
    runner
        .log
        .info("The package has already been installed on this machine, so installation will be skipped.");
    for name in super::installation_folder::OUTPUTS {
        runner.tell_output(name, folder);
    }
    runner
        .variables
        .set("Octopus.Action.SkipRemainingConventions", "true");
    runner.variables.set("Octopus.Action.SkipJournal", "true");
    Ok(())
}
