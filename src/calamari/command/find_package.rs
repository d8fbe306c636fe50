//! `find-package` and `find-and-register-package`: whether a package is here already, or which earlier ones are (11.2).

use crate::failure::{Failure, SUCCESS};
use crate::package_cache::{CachedPackage, PackageCache, format_name, hash_of, version_of};
use crate::package_use::{self, PackageIdentity};
use crate::runner::Runner;
use contracts::ServiceMessage;
use std::path::PathBuf;
use versioning::Version;

/// How many earlier packages are told.
const MOST_EARLIER: usize = 5;

/// What is looked for.
struct Wanted {
    id: String,
    version: Version,
    hash: String,
    only_exact: bool,
}

/// Tells the Server of the package, or of earlier ones.
///
/// # Errors
/// Options that are missing or wrong, or a cache that cannot be read.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let wanted = Wanted::read(runner)?;
    find(runner, &wanted)?;
    Ok(SUCCESS)
}

/// The same; a package that is found is also noted as used by the task, so that it is not cleaned away until the task ends.
///
/// # Errors
/// Options that are missing or wrong, or a cache that cannot be read.
pub fn run_and_register(runner: &mut Runner) -> Result<i32, Failure> {
    let wanted = Wanted::read(runner)?;
    // One lock for both, or the package could be cleaned away in between.
    let journal = package_use::open(runner);
    let locked = journal.and_then(|journal| Ok((journal.lock()?, journal)));
    if let Some(path) = find(runner, &wanted)? {
        let package = PackageIdentity {
            id: wanted.id,
            version: wanted.version,
            path,
        };
        let registered = locked.and_then(|(lock, journal)| journal.register(runner, &lock, &package));
        package_use::log_only(
            runner,
            "Unable to register package use for retention.",
            registered,
        );
    }
    Ok(SUCCESS)
}

impl Wanted {
    fn read(runner: &Runner) -> Result<Self, Failure> {
        let missing = |what: &str, example: &str| {
            Failure::expected(format!("No package {what} was specified. Please pass {example}"))
        };
        let line = &runner.line;
        let id = line
            .option("packageId")
            .ok_or_else(|| missing("ID", "--packageId YourPackage"))?;
        let version = line
            .option("packageVersion")
            .ok_or_else(|| missing("version", "--packageVersion 1.0.0.0"))?;
        let hash = line
            .all("packageHash")
            .last()
            .ok_or_else(|| missing("hash", "--packageHash YourPackageHash"))?;
        let only_exact = match line.option("exactMatch").map(str::trim) {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => {
                return Err(Failure::unexpected(format!(
                    "The option --exactMatch is '{text}'; write true or false"
                )));
            }
        };
        Ok(Self {
            id: id.to_owned(),
            version: version_of(runner, version)?,
            hash: hash.trim().to_owned(),
            only_exact,
        })
    }
}

/// Where the package lies; none when only earlier ones or none at all are here.
fn find(runner: &Runner, wanted: &Wanted) -> Result<Option<PathBuf>, Failure> {
    let cache = PackageCache::open(runner)?;
    let packages: Vec<CachedPackage> = cache
        .packages()?
        .into_iter()
        .filter(|package| package.holds(&wanted.id))
        .collect();
    let Wanted {
        id, version, hash, ..
    } = wanted;
    for package in &packages {
        match package.is(id, version) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(failure) => {
                skip(runner, package, &failure);
                continue;
            }
        }
        let found = hash_of(&package.path)?;
        if hash.is_empty() || *hash == found {
            runner.log.verbose(&format!(
                "Package {id} {version} hash {found} has already been uploaded"
            ));
            runner
                .log
                .verbose_message(&ServiceMessage::new("calamari-found-package", &[]));
            tell(runner, package, &found);
            return Ok(Some(package.path.clone()));
        }
    }
    runner.log.verbose(&format!(
        "Package {id} version {version} hash {hash} has not been uploaded."
    ));
    if !wanted.only_exact {
        tell_earlier(runner, wanted, packages)?;
    }
    Ok(None)
}

fn tell_earlier(runner: &Runner, wanted: &Wanted, packages: Vec<CachedPackage>) -> Result<(), Failure> {
    runner
        .log
        .verbose("Finding earlier packages that have been uploaded to this Tentacle.");
    let mut earlier: Vec<CachedPackage> = packages
        .into_iter()
        .filter(|package| {
            package
                .compare(&wanted.version)
                .is_some_and(|order| order.is_le())
        })
        .filter(|package| match package.manifest() {
            Ok(_) => true,
            Err(failure) => {
                skip(runner, package, &failure);
                false
            }
        })
        .collect();
    // The newest first; among equal ones the order of the paths stays.
    earlier.sort_by(|one, other| other.name.version.cmp(&one.name.version));
    earlier.truncate(MOST_EARLIER);
    let id = &wanted.id;
    if earlier.is_empty() {
        runner
            .log
            .verbose(&format!("No earlier packages for {id} has been uploaded"));
    }
    runner.log.verbose(&format!(
        "Found {} earlier {} of {id} on this Tentacle",
        earlier.len(),
        if earlier.len() == 1 { "version" } else { "versions" }
    ));
    for package in &earlier {
        runner.log.verbose(&format!(
            "  - {}: {}",
            package.name.version,
            package.path.display()
        ));
        let hash = hash_of(&package.path)?;
        tell(runner, package, &hash);
    }
    Ok(())
}

fn skip(runner: &Runner, package: &CachedPackage, failure: &Failure) {
    runner.log.verbose(&format!(
        "Could not extract metadata for {}. This file may be corrupt or not have a recognised filename. ({failure})",
        package.path.display()
    ));
}

fn tell(runner: &Runner, package: &CachedPackage, hash: &str) {
    let name = &package.name;
    runner.log.verbose_message(&ServiceMessage::new(
        "foundPackage",
        &[
            ("id", &name.package_id),
            ("version", &name.version.to_string()),
            ("versionFormat", format_name(name.version.format())),
            ("hash", hash),
            ("remotePath", &package.path.display().to_string()),
            ("fileExtension", &name.extension),
        ],
    ));
}
