//! `apply-delta`: makes a package of an older one that is here and a delta that the Server sent (11.3).

use crate::failure::{Failure, SUCCESS};
use crate::fresh_file::FreshFile;
use crate::package_cache::{PackageCache, hash_of};
use crate::runner::Runner;
use contracts::ServiceMessage;
use octodiff::{Patch, Patched};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use versioning::PackageFileName;

/// Patches, and tells the Server how it went. A failure is told in the message; the Server then sends the whole package.
///
/// # Errors
/// The home of the agent is not known, or the new name is none of a package.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let options = match Options::read(runner) {
        Ok(options) => options,
        Err(reason) => return Ok(fail(runner, &reason)),
    };
    let cache = PackageCache::open(runner)?;
    let name =
        PackageFileName::parse(&options.new_name).map_err(|error| Failure::unexpected(error.to_string()))?;
    if let Err(reason) = options.check() {
        return Ok(fail(runner, &reason));
    }
    let target = cache.new_file(&name);
    runner.log.info(&format!(
        "Applying delta to {} with hash {} and storing as {}",
        options.basis_as_given,
        options.hash,
        target.display()
    ));
    match options.patch(&target) {
        Ok(patched) => {
            runner.log.verbose_message(&ServiceMessage::new(
                "deltaVerification",
                &[
                    ("remotePath", &target.display().to_string()),
                    ("hash", &hex::encode(patched.hash)),
                    ("size", &patched.length.to_string()),
                ],
            ));
            Ok(SUCCESS)
        }
        Err((reason, exit_code)) => {
            runner.log.info(&format!("Error: {reason}"));
            // The words that the Server knows (observed 9.28).
            let told = format!("The following command: OctoDiff\nFailed with exit code: {exit_code}\n");
            Ok(fail(runner, &told))
        }
    }
}

fn fail(runner: &Runner, reason: &str) -> i32 {
    runner
        .log
        .verbose_message(&ServiceMessage::new("deltaVerification", &[("error", reason)]));
    SUCCESS
}

struct Options {
    basis: PathBuf,
    basis_as_given: String,
    hash: String,
    delta: PathBuf,
    new_name: String,
    verify: bool,
}

impl Options {
    fn read(runner: &Runner) -> Result<Self, String> {
        let line = &runner.line;
        let option = |name: &str, what: &str, example: &str| {
            line.option(name)
                .map(str::to_owned)
                .ok_or_else(|| format!("No {what} was specified. Please pass --{name} {example}"))
        };
        let basis = option("basisFileName", "basis file", "MyPackage.1.0.0.0.nupkg")?;
        let hash = option("fileHash", "file hash", "MyFileHash")?;
        let delta = option(
            "deltaFileName",
            "delta file",
            "MyPackage.1.0.0.0_to_1.0.0.1.octodelta",
        )?;
        let new_name = option("newFileName", "new file name", "MyPackage.1.0.0.1.nupkg")?;
        Ok(Self {
            basis: runner.working_directory.join(&basis),
            basis_as_given: basis,
            hash,
            delta: runner.working_directory.join(delta),
            new_name,
            verify: !line.flag("skipVerification"),
        })
    }

    fn check(&self) -> Result<(), String> {
        if !self.basis.is_file() {
            return Err(format!("Could not find basis file: {}", self.basis.display()));
        }
        if !self.delta.is_file() {
            return Err(format!("Could not find delta file: {}", self.delta.display()));
        }
        let found = hash_of(&self.basis).map_err(|failure| failure.message)?;
        if found != self.hash {
            return Err(format!(
                "Basis file hash `{found}` does not match the file hash specified `{}`",
                self.hash
            ));
        }
        Ok(())
    }

    /// The file gets its name when it is whole; after a failure there is none. The failure comes with the exit code that the
    /// tool has for it.
    fn patch(&self, target: &Path) -> Result<Patched, (String, i32)> {
        let open = |path: &Path| File::open(path).map_err(|error| unusable(path, &error));
        let mut fresh = FreshFile::beside(target).map_err(|error| unusable(target, &error))?;
        let patch = Patch {
            verify: self.verify,
            ..Patch::default()
        };
        let patched = octodiff::apply_delta(
            open(&self.basis)?,
            BufReader::with_capacity(256 << 10, open(&self.delta)?),
            fresh.file(),
            &patch,
        )
        .map_err(|error| (error.to_string(), error.exit_code()))?;
        fresh.finish().map_err(|error| unusable(target, &error))?;
        Ok(patched)
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> (String, i32) {
    (Failure::at(path, "use", error).message, 1)
}
