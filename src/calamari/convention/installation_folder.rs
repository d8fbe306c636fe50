//! Tells where the package is installed (6.8).

use crate::deployment::Deployment;
use crate::failure::Failure;

/// The names under which the folder is told; the second is the older one.
pub const OUTPUTS: [&str; 2] = [
    "Octopus.Action.Package.InstallationDirectoryPath",
    "Package.InstallationDirectoryPath",
];

/// The variable that names another folder to copy the package to.
pub const CUSTOM: &str = "Octopus.Action.Package.CustomInstallationDirectory";

/// The folder it was unpacked to is the one it is installed in.
///
/// # Errors
/// A custom folder was asked for in the middle of the deployment, by a script.
pub fn tell(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    super::unbuilt_feature::refuse_custom_folder(deployment)?;
    let folder = deployment.current_folder().display().to_string();
    let runner = &mut *deployment.runner;
    runner
        .log
        .verbose(&format!("The package has been installed to: {folder}"));
    runner.variables.set(CUSTOM, &folder);
    Ok(())
}
