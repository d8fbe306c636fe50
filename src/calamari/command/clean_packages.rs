//! `clean-packages`: makes room in the package cache, by free space or by numbers (11.6).

use crate::failure::{Failure, SUCCESS};
use crate::package_cache;
use crate::package_use::form::{Content, Entry};
use crate::package_use::{self};
use crate::runner::Runner;
use std::collections::{BTreeMap, HashSet};

const STRATEGY: &str = "MachinePackageCacheRetentionStrategy";
const PERCENT: &str = "OctopusPackageRetentionPercentFreeDiskSpace";
const PACKAGES: &str = "MachinePackageCacheRetentionQuantityOfPackagesToKeep";
const VERSIONS: &str = "MachinePackageCacheRetentionQuantityOfVersionsToKeep";

/// How much of the disk should be free, unless the variable says otherwise.
const DEFAULT_PERCENT: u64 = 20;
/// How many packages are kept, unless the variable says otherwise: all.
const DEFAULT_PACKAGES: i64 = -1;
/// How many versions of each are kept, unless the variable says otherwise.
const DEFAULT_VERSIONS: i64 = 5;

/// Deletes packages that no task holds.
///
/// # Errors
/// A circular definition. Everything else is logged only: a cache that is too full fails no deployment.
pub fn run(runner: &mut Runner) -> Result<i32, Failure> {
    let strategy = runner.variables.filled(STRATEGY)?;
    let by_number = match strategy.as_deref() {
        None | Some("FreeSpace") => false,
        Some("Quantities") => true,
        Some(unknown) => {
            runner.log.info(&format!(
                "Requested value '{unknown}' was not found. Nothing is cleaned; set {STRATEGY} to FreeSpace or Quantities"
            ));
            return Ok(SUCCESS);
        }
    };
    let cleaned = package_use::open(runner).and_then(|journal| {
        let lock = journal.lock()?;
        let mut content = journal.read(runner)?;
        let chosen = if by_number {
            by_quantity(runner, &content)?
        } else {
            by_free_space(runner, &content)?
        };
        let gone: HashSet<usize> = chosen
            .into_iter()
            .filter(|position| remove(runner, &content.entries[*position]))
            .collect();
        let mut position = 0;
        content.entries.retain(|_| {
            position += 1;
            !gone.contains(&(position - 1))
        });
        journal.write(&content)?;
        drop(lock);
        Ok(())
    });
    package_use::log_only(runner, "The package cache could not be cleaned.", cleaned);
    Ok(SUCCESS)
}

/// The entries that may go: not held, and used at least once.
fn candidates(content: &Content) -> Vec<(usize, &Entry)> {
    content
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.locks.is_empty() && !entry.usages.is_empty())
        .collect()
}

fn by_free_space(runner: &Runner, content: &Content) -> Result<Vec<usize>, Failure> {
    let percent = match number(runner, PERCENT)? {
        Some(percent @ 0..=100) => percent.unsigned_abs(),
        _ => DEFAULT_PERCENT,
    };
    let home = package_cache::home(runner)?;
    let space = rustix::fs::statvfs(&home)
        .map_err(|error| Failure::at(&home, "look at the disk of", &error.into()))?;
    let total = space.f_blocks.saturating_mul(space.f_frsize);
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let wanted = total / 100 * percent;
    if free >= wanted {
        runner.log.verbose(&format!(
            "Detected enough space for new packages. ({} MB/{} MB)",
            free >> 20,
            wanted >> 20
        ));
        return Ok(Vec::new());
    }
    let missing = (wanted - free).saturating_add((wanted - free) / 10 * 3);
    runner.log.verbose(&format!(
        "Cleaning {} MB space from the package cache.",
        missing >> 20
    ));
    Ok(least_valuable(content, missing))
}

/// Entries in the order of their value, the least first, until they hold this many bytes.
fn least_valuable(content: &Content, bytes: u64) -> Vec<usize> {
    let candidates = candidates(content);
    let newer = |entry: &Entry| {
        let Some(version) = entry.parsed_version() else {
            return 0;
        };
        candidates
            .iter()
            .filter(|(_, other)| octostache::fold(&other.id) == octostache::fold(&entry.id))
            .filter(|(_, other)| {
                other
                    .parsed_version()
                    .is_some_and(|other| other.format() == version.format() && other > version)
            })
            .count()
    };
    let column = |figure: &dyn Fn(&Entry) -> i64| -> Vec<f64> {
        normalised(
            &candidates
                .iter()
                .map(|(_, entry)| figure(entry))
                .collect::<Vec<_>>(),
        )
    };
    let hits = column(&|entry| i64::try_from(entry.usages.len()).unwrap_or(i64::MAX));
    let ages = column(&|entry| content.cache_age - entry.usages.first().map_or(0, |first| first.cache_age));
    let versions = column(&|entry| i64::try_from(newer(entry)).unwrap_or(i64::MAX));
    let mut valued: Vec<(f64, usize, u64)> = candidates
        .iter()
        .enumerate()
        .map(|(row, (position, entry))| (hits[row] - ages[row] * 0.5 - versions[row], *position, entry.size))
        .collect();
    valued.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut freed: u64 = 0;
    valued
        .into_iter()
        .take_while(|(_, _, size)| {
            let goes = freed < bytes;
            freed = freed.saturating_add(*size);
            goes
        })
        .map(|(_, position, _)| position)
        .collect()
}

/// Figures scaled so that the smallest is 0 and the largest 1; all 0 when they are equal.
fn normalised(figures: &[i64]) -> Vec<f64> {
    let smallest = figures.iter().copied().min().unwrap_or_default();
    let span = figures
        .iter()
        .copied()
        .max()
        .unwrap_or_default()
        .saturating_sub(smallest);
    figures
        .iter()
        .map(|figure| match span {
            0 => 0.0,
            span => figure.saturating_sub(smallest) as f64 / span as f64,
        })
        .collect()
}

fn by_quantity(runner: &Runner, content: &Content) -> Result<Vec<usize>, Failure> {
    let packages = number(runner, PACKAGES)?.unwrap_or(DEFAULT_PACKAGES);
    let versions = number(runner, VERSIONS)?.unwrap_or(DEFAULT_VERSIONS);
    let last_use = |entry: &Entry| entry.usages.iter().map(|usage| usage.cache_age).max();
    let mut by_id: BTreeMap<String, Vec<(usize, &Entry)>> = BTreeMap::new();
    for (position, entry) in candidates(content) {
        by_id
            .entry(octostache::fold(&entry.id))
            .or_default()
            .push((position, entry));
    }
    let mut groups: Vec<Vec<(usize, &Entry)>> = by_id.into_values().collect();
    for group in &mut groups {
        // The most lately used first; of those used at the same time the first in the file.
        group.sort_by_key(|(position, entry)| (std::cmp::Reverse(last_use(entry)), *position));
    }
    groups.sort_by_key(|group| {
        let (position, entry) = group[0];
        (std::cmp::Reverse(last_use(entry)), position)
    });
    let mut gone = Vec::new();
    match usize::try_from(packages) {
        Ok(packages) if packages < groups.len() => {
            runner.log.verbose(&format!(
                "Cache size is greater than the maximum package quantity to keep {packages}. {} will be removed.",
                counted(groups.len() - packages, "package")
            ));
            gone.extend(groups.split_off(packages).into_iter().flatten());
        }
        Ok(_) => {}
        Err(_) => runner.log.verbose(
            "Machine cache retention quantity of packages to keep is Keep All. No packages will be removed.",
        ),
    }
    if let Ok(versions) = usize::try_from(versions) {
        let surplus: Vec<_> = groups
            .into_iter()
            .flat_map(|group| group.into_iter().skip(versions))
            .collect();
        if !surplus.is_empty() {
            runner.log.verbose(&format!(
                "Found cached packages with more versions than the maximum version quantity to keep {versions}. {} will be removed.",
                counted(surplus.len(), "package version")
            ));
            gone.extend(surplus);
        }
    }
    Ok(gone.into_iter().map(|(position, _)| position).collect())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The number in a variable; none when there is none in it.
fn number(runner: &Runner, name: &str) -> Result<Option<i64>, Failure> {
    Ok(runner.variables.text(name)?.trim().parse().ok())
}

/// Whether the file is gone, so that its entry goes as well.
fn remove(runner: &Runner, entry: &Entry) -> bool {
    match std::fs::remove_file(&entry.path) {
        Ok(()) => {
            runner
                .log
                .verbose(&format!("Removing package file '{}'", entry.path));
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            runner
                .log
                .verbose(&format!("Package at {} not found.", entry.path));
            true
        }
        Err(error) => {
            runner.log.warning(&format!(
                "Could not remove the package file {}: {error}; it is tried again the next time",
                entry.path
            ));
            false
        }
    }
}
