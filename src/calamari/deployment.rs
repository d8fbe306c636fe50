//! A deployment of one package while it goes on: what the conventions work on.

use crate::failure::Failure;
use crate::journal::{Entry, Package};
use crate::package::PackageFile;
use crate::runner::Runner;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The state that one convention leaves to the next.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The run that it belongs to.
    pub runner: &'a mut Runner,
    /// The file that is deployed.
    pub package_path: PathBuf,
    /// What it holds; none before it was unpacked.
    pub package: Option<PackageFile>,
    /// Where it was unpacked; none before that.
    pub extracted: Option<PathBuf>,
    /// Where it was copied to; none when it stays where it was unpacked.
    pub custom: Option<PathBuf>,
}

impl<'a> Deployment<'a> {
    /// A deployment that begins.
    pub fn new(runner: &'a mut Runner, package_path: PathBuf) -> Self {
        Self {
            runner,
            package_path,
            package: None,
            extracted: None,
            custom: None,
        }
    }

    /// Where scripts run: the folder of the application, once there is one (7.3).
    pub fn current_folder(&self) -> &Path {
        self.custom
            .as_deref()
            .or(self.extracted.as_deref())
            .unwrap_or(&self.runner.working_directory)
    }

    /// Whether nothing more is to be done.
    ///
    /// # Errors
    /// A circular definition.
    pub fn skips_the_rest(&self) -> Result<bool, Failure> {
        Ok(self
            .runner
            .variables
            .flag("Octopus.Action.SkipRemainingConventions", false)?)
    }

    /// Writes down how it went, unless told not to (8.2). `now` is seconds since 1970.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn record(&self, was_successful: bool, now: i64) -> Result<(), Failure> {
        let Some(extracted) = &self.extracted else {
            return Ok(());
        };
        let custom = self
            .runner
            .variables
            .text("Octopus.Action.Package.CustomInstallationDirectory")?;
        record_in(
            self.runner,
            &extracted.display().to_string(),
            &custom,
            was_successful,
            now,
        )
    }
}

/// Writes down a deployment to these folders, unless told not to (8.2). `now` is seconds since 1970.
///
/// # Errors
/// The journal cannot be written.
pub fn record_in(
    runner: &Runner,
    extracted_to: &str,
    custom: &str,
    was_successful: bool,
    now: i64,
) -> Result<(), Failure> {
    let variables = &runner.variables;
    let Some(journal) = &runner.journal else {
        return Ok(());
    };
    if variables.flag("Octopus.Action.SkipJournal", false)? {
        return Ok(());
    }
    let mut packages = Vec::new();
    for index in variables.collection().indexes("Octopus.Action.Package")? {
        let about = |name: &str| variables.text(&format!("Octopus.Action.Package[{index}].{name}"));
        let id = about("PackageId")?;
        if id.is_empty() {
            return Err(Failure::expected(format!(
                "Deployed package must have an Id: the variable Octopus.Action.Package[{index}].PackageId is missing, so the \
                     deployment journal cannot be written"
            )));
        }
        packages.push(Package {
            id,
            version: about("PackageVersion")?,
            deployed_from: about("OriginalPath")?,
        });
    }
    let entry = Entry {
        id: String::new(),
        environment_id: variables.text("Octopus.Environment.Id")?,
        tenant_id: variables.text("Octopus.Deployment.Tenant.Id")?,
        project_id: variables.text("Octopus.Project.Id")?,
        installed_on: Entry::stamp(now),
        retention_policy_set: variables.text("OctopusRetentionPolicySet")?,
        extracted_to: extracted_to.to_owned(),
        custom_installation_directory: custom.to_owned(),
        was_successful,
        packages,
    };
    journal.append(&entry, &runner.log)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
