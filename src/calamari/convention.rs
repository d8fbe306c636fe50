//! The parts that a deployment consists of. Each does one thing, or nothing when it is not asked for.

pub mod already_installed;
pub mod configured_script;
pub mod extract_package;
pub mod feature;
pub mod foreign_feature;
pub mod installation_folder;
pub mod nginx;
pub mod packaged_script;
pub mod purge;
pub mod structured_configuration;
pub mod substitute_in_files;
mod target_file;

use crate::deployment::Deployment;
use crate::failure::Failure;

/// A part of a deployment. Its name stands in the log when its turn comes.
#[derive(Clone, Copy)]
pub struct Convention {
    /// What it is called in the log.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut Deployment<'_>) -> Result<(), Failure>,
}

impl Convention {
    /// A convention of this name.
    pub const fn new(name: &'static str, run: fn(&mut Deployment<'_>) -> Result<(), Failure>) -> Self {
        Self { name, run }
    }

    /// Does it, and says so.
    ///
    /// # Errors
    /// Those of the convention.
    pub fn apply(&self, deployment: &mut Deployment<'_>) -> Result<(), Failure> {
        deployment.runner.log.verbose(&format!("Stage: {}", self.name));
        (self.run)(deployment)
    }
}

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
