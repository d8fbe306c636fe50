//! The commands and what each is called (5).

pub mod apply_chunks;
pub mod apply_delta;
pub mod change_files;
pub mod clean;
pub mod clean_packages;
pub mod deploy_java_archive;
pub mod deploy_package;
pub mod download_package;
pub mod evaluate;
pub mod execute_manifest;
pub mod extract_package;
pub mod find_package;
pub mod inputs;
pub mod octodiff;
pub mod register_package;
pub mod run_script;
pub mod transfer_package;

use crate::command_line::CommandLine;
use crate::failure::Failure;
use crate::log::Log;
use crate::runner::Runner;

/// What a command does.
#[derive(Clone, Copy)]
pub enum Command {
    /// Needs nothing and cannot fail.
    Plain(fn(&Log, &CommandLine)),
    /// A step, with variables; the answer is the exit code.
    Step(fn(&mut Runner) -> Result<i32, Failure>),
}

const COMMANDS: &[(&str, Command, &str)] = &[
    (
        "deploy-package",
        Command::Step(deploy_package::run),
        "Unpacks a package and runs its scripts: --package=FILE",
    ),
    (
        "deploy-java-archive",
        Command::Step(deploy_java_archive::run),
        "Unpacks a Java archive, changes its files and builds it again: --archive=FILE",
    ),
    (
        "run-script",
        Command::Step(run_script::run),
        "Runs a script: --package=FILE, --script=FILE, --scriptParameters=TEXT",
    ),
    (
        "find-package",
        Command::Step(find_package::run),
        "Looks for a package in the cache: --packageId=ID --packageVersion=VERSION --packageHash=SHA1 \
         [--packageVersionFormat=FORMAT] [--exactMatch=true]",
    ),
    (
        "find-and-register-package",
        Command::Step(find_package::run_and_register),
        "The same, and notes its use: --taskId=ID",
    ),
    (
        "register-package",
        Command::Step(register_package::register),
        "Notes that a task uses a package: --packageId=ID --packageVersion=VERSION --packagePath=FILE --taskId=ID",
    ),
    (
        "release-package-lock",
        Command::Step(register_package::release),
        "Lets go of the packages of a task: --taskId=ID",
    ),
    (
        "download-package",
        Command::Step(download_package::run),
        "Gives a package of the cache or of a folder to the step: --packageId=ID --packageVersion=VERSION --feedId=ID \
         --feedUri=FOLDER [--forcePackageDownload]",
    ),
    (
        "download-and-register-package",
        Command::Step(download_package::run_and_register),
        "The same, and notes its use: --taskId=ID",
    ),
    (
        "apply-delta",
        Command::Step(apply_delta::run),
        "Makes a package of an older one and a delta: --basisFileName=FILE --fileHash=SHA1 --deltaFileName=FILE \
         --newFileName=NAME [--skipVerification]",
    ),
    (
        "find-chunks",
        Command::Step(apply_chunks::find),
        "Tells which chunks of a package are in no package of the cache: --manifestFileName=FILE --newFileName=NAME",
    ),
    (
        "apply-chunks",
        Command::Step(apply_chunks::apply),
        "Makes a package of the cache and the chunks that were missing: --manifestFileName=FILE \
         --bundleFileName=FILE --newFileName=NAME",
    ),
    (
        "transfer-package",
        Command::Step(transfer_package::run),
        "Copies the package of a step to a folder",
    ),
    (
        "execute-manifest",
        Command::Step(execute_manifest::run),
        "Runs the instructions in Octopus.Steps.Manifest",
    ),
    (
        "extract-package",
        Command::Step(extract_package::run),
        "Unpacks a package into ./staging: --pathToPackage=FILE [--extractedToPathOutputVariableName=NAME]",
    ),
    (
        "substitute-in-files",
        Command::Step(change_files::substitute),
        "Replaces templates in files: --targetPath=FOLDER or --targetPathVariable=NAME, --filesToTarget=PATTERN",
    ),
    (
        "substitute-variables-in-files",
        Command::Step(change_files::substitute_here),
        "The same in the working folder: --filesToTarget=\"PATTERN;PATTERN\"",
    ),
    (
        "structured-config-variables",
        Command::Step(change_files::structured),
        "Puts variables into configuration files: --targetPath=FOLDER or --targetPathVariable=NAME",
    ),
    (
        "clean-packages",
        Command::Step(clean_packages::run),
        "Makes room in the package cache",
    ),
    (
        "clean",
        Command::Step(clean::run),
        "Removes old deployments: --retentionPolicySet=ID, --days=N or --releases=N",
    ),
    ("version", Command::Plain(|_, _| {}), "Prints the version"),
];

/// Commands of the original that are not here, and why.
pub const REFUSED: [(&str, &str); 12] = [
    ("java-library", "it calls the Java helper library of the original"),
    ("health-check", "the Server checks a machine with a script"),
    ("import-certificate", "it needs Windows"),
    ("authenticate-to-kubernetes", KUBERNETES),
    ("kubernetes-apply-raw-yaml", KUBERNETES),
    ("kubernetes-kustomize", KUBERNETES),
    ("kubernetes-target-discovery", KUBERNETES),
    ("kubernetes-verify-resources", KUBERNETES),
    ("helm-upgrade", KUBERNETES),
    ("update-argo-cd-app-images", GIT),
    ("update-argo-cd-app-manifests", GIT),
    ("commit-to-git", GIT),
];

const KUBERNETES: &str = "call kubectl or helm in a script";
const GIT: &str = "call git in a script";

/// The command of this name.
///
/// # Errors
/// There is none.
pub fn named(name: &str) -> Result<Command, Failure> {
    COMMANDS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, command, _)| *command)
        .ok_or_else(|| {
            if let Some((name, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
                return Failure::expected(format!("The command {name} is not part of this runner: {reason}"));
            }
            let asked = match name {
                "" => "No command was given".to_owned(),
                _ => format!("Could not find the command {name}"),
            };
            let list: String = COMMANDS
                .iter()
                .map(|(name, _, meaning)| format!("\n  {name:<26} {meaning}"))
                .collect();
            Failure::expected(format!(
                "{asked}; the commands are{list}\nEach takes --variables=FILE and --sensitiveVariables=FILE with \
                 --sensitiveVariablesPassword=- (standard input)"
            ))
        })
}
