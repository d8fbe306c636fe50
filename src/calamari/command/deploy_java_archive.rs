//! `deploy-java-archive`: unpacks a Java archive, changes its files, builds it again and puts it into its place (17.3).

use super::deploy_package;
use crate::convention::Convention;
use crate::failure::Failure;
use crate::runner::Runner;

/// What happens, in order: as for other packages, but for what concerns .NET.
pub const INSTALL: [Convention; 18] = [
    Convention::ALREADY_INSTALLED,
    Convention::EXTRACT_JAVA,
    Convention::FEATURES_BEFORE_PRE_DEPLOY,
    Convention::CONFIGURED_PRE_DEPLOY,
    Convention::PACKAGED_PRE_DEPLOY,
    Convention::FEATURES_AFTER_PRE_DEPLOY,
    Convention::SUBSTITUTE_IN_FILES,
    Convention::STRUCTURED_CONFIGURATION,
    Convention::PACK_JAVA,
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

/// Deploys the archive that the command line names.
///
/// # Errors
/// The first failure, after the roll-back ran.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let given = runner.line.option("archive").map(str::to_owned).ok_or_else(|| {
        Failure::expected("No archive file was specified. Please pass --archive YourPackage.jar")
    })?;
    deploy_package::deploy(runner, &given, &INSTALL)
}
