//! Features that come with the runner: what they do at each stage, and their scripts, which a package may bring itself (6.6).

use super::nginx;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::script::{self, Syntax};

/// When features get their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Before the scripts of `PreDeploy`.
    BeforePreDeploy,
    /// After them.
    AfterPreDeploy,
    /// Before the scripts of `Deploy`.
    BeforeDeploy,
    /// After them.
    AfterDeploy,
    /// Before the scripts of `PostDeploy`.
    BeforePostDeploy,
    /// After them.
    AfterPostDeploy,
    /// When something failed.
    DeployFailed,
}

impl Turn {
    /// The name in names of scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforePreDeploy => "BeforePreDeploy",
            Self::AfterPreDeploy => "AfterPreDeploy",
            Self::BeforeDeploy => "BeforeDeploy",
            Self::AfterDeploy => "AfterDeploy",
            Self::BeforePostDeploy => "BeforePostDeploy",
            Self::AfterPostDeploy => "AfterPostDeploy",
            Self::DeployFailed => "DeployFailed",
        }
    }
}

/// What a feature does in the runner itself.
type Work = fn(&mut Deployment<'_>) -> Result<(), Failure>;

/// Work of features, by feature and turn.
const WORK: [(&str, Turn, Work); 1] = [("Octopus.Features.Nginx", Turn::AfterDeploy, nginx::configure)];

/// A script that comes with the runner.
struct Script {
    feature: &'static str,
    turn: Turn,
    syntax: Syntax,
    text: &'static str,
}

/// Scripts of features; those of one turn stand in the order of [`Syntax::PREFERENCE`].
const SCRIPTS: [Script; 5] = [
    Script {
        feature: "Octopus.Features.HelloWorld",
        turn: Turn::BeforePreDeploy,
        syntax: Syntax::Bash,
        text: include_str!("feature/hello_world.sh"),
    },
    Script {
        feature: "Octopus.Features.HelloWorld",
        turn: Turn::BeforePreDeploy,
        syntax: Syntax::PowerShell,
        text: include_str!("feature/hello_world.ps1"),
    },
    Script {
        feature: "Octopus.Features.Nginx",
        turn: Turn::BeforePreDeploy,
        syntax: Syntax::Bash,
        text: include_str!("nginx/before_pre_deploy.sh"),
    },
    Script {
        feature: "Octopus.Features.Nginx",
        turn: Turn::AfterDeploy,
        syntax: Syntax::Bash,
        text: include_str!("nginx/after_deploy.sh"),
    },
    Script {
        feature: "Octopus.Features.Nginx",
        turn: Turn::DeployFailed,
        syntax: Syntax::Bash,
        text: include_str!("nginx/deploy_failed.sh"),
    },
];

/// Gives each enabled feature its turn, in the order of `Octopus.Action.EnabledFeatures`. Unknown ones do nothing.
///
/// # Errors
/// A feature or its script fails.
pub fn run(deployment: &mut Deployment<'_>, turn: Turn) -> Result<(), Failure> {
    let enabled = deployment
        .runner
        .variables
        .collection()
        .strings("Octopus.Action.EnabledFeatures")?;
    for feature in enabled {
        for (_, _, work) in WORK
            .iter()
            .filter(|(name, when, _)| *name == feature && *when == turn)
        {
            deployment
                .runner
                .log
                .verbose(&format!("Executing the feature {feature}"));
            work(deployment)?;
        }
        let mut ran = false;
        for own in SCRIPTS
            .iter()
            .filter(|script| script.feature == feature && script.turn == turn)
        {
            // One language will do where the machine does not have the other.
            if ran && !own.syntax.is_installed() {
                deployment.runner.log.verbose(&format!(
                    "The {} script of {feature} is passed over: its interpreter is not on this machine",
                    own.syntax.name()
                ));
                continue;
            }
            run_script(deployment, own)?;
            ran = true;
        }
    }
    Ok(())
}

fn run_script(deployment: &mut Deployment<'_>, own: &Script) -> Result<(), Failure> {
    let name = format!("{}_{}.{}", own.feature, own.turn.name(), own.syntax.extension());
    let file = deployment.current_folder().join(&name);
    if file.exists() {
        deployment.runner.log.warning(&format!(
            "Did not overwrite '{}', it was already on disk",
            file.display()
        ));
    } else {
        deployment
            .runner
            .log
            .verbose(&format!("Creating '{}' from embedded resource", file.display()));
        std::fs::write(&file, own.text).map_err(|error| Failure::at(&file, "write the script", &error))?;
    }
    let ended = script::run(deployment.runner, &file, "")?;
    deployment
        .runner
        .log
        .verbose(&format!("Deleting '{}'", file.display()));
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::at(&file, "delete the script", &error));
        }
        _ => {}
    }
    if ended.exit_code == 0 {
        return Ok(());
    }
    Err(Failure::expected(format!(
        "Script '{}' returned non-zero exit code: {}. Deployment terminated.",
        file.display(),
        ended.exit_code
    )))
}
