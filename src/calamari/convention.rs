//! The parts that a deployment consists of. Each does one thing, or nothing when it is not asked for.

pub mod already_installed;
pub mod configured_script;
pub mod extract_package;
pub mod installation_folder;
pub mod packaged_script;
pub mod purge;
pub mod unbuilt_feature;

use crate::deployment::Deployment;
use crate::failure::Failure;

/// A part of a deployment.
pub type Convention = fn(&mut Deployment<'_>) -> Result<(), Failure>;

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before the files are changed for their place.
    PreDeploy,
    /// When they are in place.
    Deploy,
    /// After that.
    PostDeploy,
    /// When something failed.
    DeployFailed,
}

impl Stage {
    /// The name in file and variable names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreDeploy => "PreDeploy",
            Self::Deploy => "Deploy",
            Self::PostDeploy => "PostDeploy",
            Self::DeployFailed => "DeployFailed",
        }
    }
}
