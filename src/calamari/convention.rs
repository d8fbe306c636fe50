//! The parts that a deployment consists of. Each does one thing, or nothing when it is not asked for.

pub mod already_installed;
pub mod configured_script;
pub mod dotnet_configuration;
pub mod extract_package;
pub mod feature;
pub mod foreign_feature;
pub mod installation_folder;
pub mod java_archive;
pub mod nginx;
pub mod packaged_script;
pub mod purge;
pub mod structured_configuration;
pub mod substitute_in_files;
mod target_file;
pub mod transform_configuration;

use crate::deployment::Deployment;
use crate::failure::Failure;
use feature::Turn;

/// What a convention does.
type Work = fn(&mut Deployment<'_>) -> Result<(), Failure>;

/// A part of a deployment. Its name stands in the log when its turn comes.
#[derive(Clone, Copy)]
pub struct Convention {
    /// What it is called in the log.
    pub name: &'static str,
    run: Work,
}

impl Convention {
    /// Looks whether the package is installed already (6.2).
    pub const ALREADY_INSTALLED: Self = Self::new("already installed check", already_installed::check);
    /// Unpacks the package into the folder of the application (6.7).
    pub const EXTRACT: Self = Self::new("extract package", extract_package::to_application_folder);
    /// Unpacks a Java archive into a folder where it is changed (17.3).
    pub const EXTRACT_JAVA: Self = Self::new("extract Java archive", java_archive::extract);
    /// Features before the scripts of `PreDeploy` (6.6).
    pub const FEATURES_BEFORE_PRE_DEPLOY: Self = Self::new("features BeforePreDeploy", |deployment| {
        feature::run(deployment, Turn::BeforePreDeploy)
    });
    /// Scripts of the step (6.5).
    pub const CONFIGURED_PRE_DEPLOY: Self = Self::new("configured scripts PreDeploy", |deployment| {
        configured_script::run(deployment, Stage::PreDeploy)
    });
    /// The script in the package (6.4).
    pub const PACKAGED_PRE_DEPLOY: Self = Self::new("packaged script PreDeploy", |deployment| {
        packaged_script::run(deployment, Stage::PreDeploy)
    });
    /// Features after the scripts of `PreDeploy` (6.6).
    pub const FEATURES_AFTER_PRE_DEPLOY: Self = Self::new("features AfterPreDeploy", |deployment| {
        feature::run(deployment, Turn::AfterPreDeploy)
    });
    /// Replaces the templates in the files that the step names (13).
    pub const SUBSTITUTE_IN_FILES: Self =
        Self::new("substitute variables in files", substitute_in_files::run);
    /// Applies transforms to configuration files (15).
    pub const TRANSFORM_CONFIGURATION: Self =
        Self::new("XML configuration transforms", transform_configuration::run);
    /// Replaces settings and connection strings in configuration files of .NET (16).
    pub const DOTNET_SETTINGS: Self = Self::new(".NET settings replacement", dotnet_configuration::run);
    /// Puts variables into configuration files by the names of their places (14).
    pub const STRUCTURED_CONFIGURATION: Self = Self::new(
        "structured configuration variables",
        structured_configuration::run,
    );
    /// Builds a Java archive again and puts it into the folder of the application (17.3).
    pub const PACK_JAVA: Self = Self::new("pack Java archive", java_archive::pack);
    /// Copies everything to the folder that the step names (6.8).
    pub const COPY: Self = Self::new("copy to custom installation folder", installation_folder::install);
    /// Features before the scripts of `Deploy` (6.6).
    pub const FEATURES_BEFORE_DEPLOY: Self = Self::new("features BeforeDeploy", |deployment| {
        feature::run(deployment, Turn::BeforeDeploy)
    });
    /// The script in the package (6.4).
    pub const PACKAGED_DEPLOY: Self = Self::new("packaged script Deploy", |deployment| {
        packaged_script::run(deployment, Stage::Deploy)
    });
    /// Scripts of the step (6.5).
    pub const CONFIGURED_DEPLOY: Self = Self::new("configured scripts Deploy", |deployment| {
        configured_script::run(deployment, Stage::Deploy)
    });
    /// Features after the scripts of `Deploy` (6.6).
    pub const FEATURES_AFTER_DEPLOY: Self = Self::new("features AfterDeploy", |deployment| {
        feature::run(deployment, Turn::AfterDeploy)
    });
    /// Features before the scripts of `PostDeploy` (6.6).
    pub const FEATURES_BEFORE_POST_DEPLOY: Self = Self::new("features BeforePostDeploy", |deployment| {
        feature::run(deployment, Turn::BeforePostDeploy)
    });
    /// The script in the package (6.4).
    pub const PACKAGED_POST_DEPLOY: Self = Self::new("packaged script PostDeploy", |deployment| {
        packaged_script::run(deployment, Stage::PostDeploy)
    });
    /// Scripts of the step (6.5).
    pub const CONFIGURED_POST_DEPLOY: Self = Self::new("configured scripts PostDeploy", |deployment| {
        configured_script::run(deployment, Stage::PostDeploy)
    });
    /// Features after the scripts of `PostDeploy` (6.6).
    pub const FEATURES_AFTER_POST_DEPLOY: Self = Self::new("features AfterPostDeploy", |deployment| {
        feature::run(deployment, Turn::AfterPostDeploy)
    });
    /// The script in the package for a deployment that failed (6.3).
    pub const PACKAGED_DEPLOY_FAILED: Self = Self::new("packaged script DeployFailed", |deployment| {
        packaged_script::run(deployment, Stage::DeployFailed)
    });
    /// Features when the deployment failed (6.3).
    pub const FEATURES_DEPLOY_FAILED: Self = Self::new("features DeployFailed", |deployment| {
        feature::run(deployment, Turn::DeployFailed)
    });
    /// Deletes the scripts for a deployment that failed (6.3).
    pub const CLEAN_UP_DEPLOY_FAILED: Self = Self::new("clean up DeployFailed", |deployment| {
        packaged_script::delete(deployment, Stage::DeployFailed)
    });

    const fn new(name: &'static str, run: Work) -> Self {
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
