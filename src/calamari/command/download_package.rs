//! `download-package` and `download-and-register-package`: gives a package of the cache, or of a folder, to the step (11.4).
//!
//! Our Server sends packages itself, so no feed is asked over the network here.

use super::register_package::note_use;
use crate::failure::{Failure, SUCCESS};
use crate::package::package_file::ENDINGS;
use crate::package_cache::{CachedPackage, PackageCache, hash_of, version_of};
use crate::package_use::PackageIdentity;
use crate::runner::Runner;
use std::path::{Path, PathBuf};
use versioning::{PackageFileName, Version};

/// Types of feeds, as options have them.
pub const FEED_TYPES: [&str; 14] = [
    "NuGet",
    "Maven",
    "GitHub",
    "Helm",
    "OciRegistry",
    "Docker",
    "AwsElasticContainerRegistry",
    "AzureContainerRegistry",
    "GoogleContainerRegistry",
    "S3",
    "GcsStorage",
    "ArtifactoryGeneric",
    "Npm",
    "PyPi",
];

/// Types whose feeds have no address.
const WITHOUT_ADDRESS: [&str; 2] = ["S3", "AwsElasticContainerRegistry"];

struct Wanted {
    id: String,
    version: Version,
    feed_id: String,
    /// The folder that the feed is; none when it is none.
    feed_folder: Option<PathBuf>,
    feed: String,
    force: bool,
}

/// Gives the package to the step.
///
/// # Errors
/// Options that are missing or wrong, or a package that is neither in the cache nor in a folder.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let wanted = Wanted::read(runner)?;
    stage(runner, &wanted)?;
    Ok(SUCCESS)
}

/// The same, and notes that the task uses it.
///
/// # Errors
/// Options that are missing or wrong, or a package that is neither in the cache nor in a folder.
pub fn run_and_register(runner: &mut Runner) -> Result<i32, Failure> {
    let wanted = Wanted::read(runner)?;
    let path = stage(runner, &wanted)?;
    note_use(
        runner,
        &PackageIdentity {
            id: wanted.id,
            version: wanted.version,
            path,
        },
    );
    Ok(SUCCESS)
}

impl Wanted {
    fn read(runner: &Runner) -> Result<Self, Failure> {
        let line = &runner.line;
        let option = |name: &str, what: &str| {
            line.option(name)
                .map(str::to_owned)
                .ok_or_else(|| Failure::expected(format!("No {what} was specified. Please pass --{name}")))
        };
        let id = option("packageId", "package ID")?;
        let version = version_of(runner, &option("packageVersion", "package version")?)?;
        let feed_id = option("feedId", "feed ID")?;
        if feed_id.contains(['/', '\0']) || matches!(feed_id.as_str(), "." | "..") {
            return Err(Failure::expected(format!(
                "The feed ID '{feed_id}' cannot be the name of a folder"
            )));
        }
        let kind = line.option("feedType").unwrap_or(FEED_TYPES[0]);
        if !FEED_TYPES.contains(&kind) {
            return Err(Failure::expected(format!(
                "The provided feed type `{kind}` is not recognised. Use one of {}",
                FEED_TYPES.join(", ")
            )));
        }
        let address = match line.option("feedUri") {
            Some(address) => address.to_owned(),
            None if WITHOUT_ADDRESS.contains(&kind) => String::new(),
            None => option("feedUri", "feed URI")?,
        };
        let user = line.option("feedUsername");
        if user.is_some()
            && line.option("feedPassword").is_none()
            && runner.variables.filled("Jwt")?.is_none()
        {
            return Err(Failure::expected(
                "A username was specified but no password was provided. Please pass --feedPassword",
            ));
        }
        let number = |name: &str, least: u64| -> Result<(), Failure> {
            match line.option(name).map(str::trim) {
                Some(text) if text.parse::<u64>().ok().is_none_or(|number| number < least) => {
                    Err(Failure::expected(format!(
                        "The option --{name} is '{text}'; write a whole number from {least} on"
                    )))
                }
                _ => Ok(()),
            }
        };
        number("attempts", 1)?;
        number("attemptBackoffSeconds", 0)?;
        let is_remote = WITHOUT_ADDRESS.contains(&kind) || address.contains("://");
        let folder = match address.strip_prefix("file://") {
            Some(path) => Some(PathBuf::from(path)),
            None if is_remote => None,
            None if Path::new(&address).is_absolute() => Some(PathBuf::from(&address)),
            None => {
                return Err(Failure::expected(format!(
                    "The feed URI '{address}' is neither an address nor an absolute path"
                )));
            }
        };
        Ok(Self {
            id,
            version,
            feed_id,
            feed_folder: folder,
            feed: format!("{kind} feed {address}"),
            force: line.flag("forcePackageDownload"),
        })
    }

    fn is_cached(&self, runner: &Runner, package: &CachedPackage) -> bool {
        package.is(&self.id, &self.version).unwrap_or_else(|failure| {
            runner
                .log
                .verbose(&format!("{} is not used: {failure}", package.path.display()));
            false
        })
    }
}

/// Tells the step where the package lies, and answers with it.
fn stage(runner: &mut Runner, wanted: &Wanted) -> Result<PathBuf, Failure> {
    let cache = PackageCache::open(runner)?;
    let cached = match wanted.force {
        true => None,
        false => cache
            .packages()?
            .into_iter()
            .find(|package| wanted.is_cached(runner, package)),
    };
    let path = match (cached, &wanted.feed_folder) {
        (Some(package), _) => {
            runner.log.verbose(&format!(
                "Package {} {} was found in cache. No need to download. Using file: '{}'",
                wanted.id,
                wanted.version,
                package.path.display()
            ));
            package.path
        }
        (None, Some(folder)) => fetch(wanted, folder, &cache)?,
        (None, None) => {
            return Err(Failure::expected(format!(
                "Package {} {} is not in the package cache of this machine, and this runner does not download from a feed ({}); \
                 let the Server send the package",
                wanted.id, wanted.version, wanted.feed
            )));
        }
    };
    let size = std::fs::metadata(&path)
        .map_err(|error| Failure::at(&path, "find the package", &error))?
        .len();
    let hash = hash_of(&path)?;
    runner.tell_output("StagedPackage.Hash", &hash);
    runner.tell_output("StagedPackage.Size", &size.to_string());
    runner.tell_output(
        "StagedPackage.FullPathOnRemoteMachine",
        &path.display().to_string(),
    );
    Ok(path)
}

/// Copies the package from a folder, or a folder of its id in there, into the cache.
fn fetch(wanted: &Wanted, folder: &Path, cache: &PackageCache) -> Result<PathBuf, Failure> {
    let failed = |error| Failure::at(folder, "search the feed", &error);
    let mut found = None;
    for place in [folder.to_owned(), folder.join(&wanted.id)] {
        if !place.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&place).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let known = ENDINGS
                .iter()
                .any(|(ending, _)| name.to_ascii_lowercase().ends_with(ending));
            if let Ok(name) = PackageFileName::parse(name)
                && known
                && path.is_file()
            {
                let package = CachedPackage { path, name };
                if package.holds(&wanted.id)
                    && package
                        .compare(&wanted.version)
                        .is_some_and(|order| order.is_eq())
                {
                    found = Some(package);
                }
            }
        }
    }
    let package = found.ok_or_else(|| {
        Failure::expected(format!(
            "Package {} {} was not found in the folder {}",
            wanted.id,
            wanted.version,
            folder.display()
        ))
    })?;
    let target = cache.new_file_of_feed(&wanted.feed_id, &package.name)?;
    let mut unfinished = target.as_os_str().to_owned();
    unfinished.push(".downloading");
    let unfinished = PathBuf::from(unfinished);
    std::fs::copy(&package.path, &unfinished)
        .and_then(|_| std::fs::rename(&unfinished, &target))
        .map_err(|error| {
            // The error that led here is the one to tell.
            std::fs::remove_file(&unfinished).ok();
            Failure::at(&target, "copy the package to", &error)
        })?;
    Ok(target)
}
