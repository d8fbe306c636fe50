//! The packages that the Server put on this machine: file names that say what is in them, below one folder (11.1, 11.2).

use crate::failure::Failure;
use crate::package::manifest;
use crate::package::package_file::ENDINGS;
use crate::runner::Runner;
use sha1::{Digest, Sha1};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use versioning::{Format, PackageFileName, Version};

/// The variable that names the home of the agent.
const HOME: &str = "env:TentacleHome";

/// Folders below the cache are searched this deep; feeds have one each.
const DEEPEST: usize = 16;

/// Names and meanings of version formats, in the order of their numbers (10.4).
const FORMATS: [(&str, Format); 5] = [
    ("Semver", Format::Semver),
    ("Maven", Format::Maven),
    ("Docker", Format::Docker),
    ("Octopus", Format::Octopus),
    ("Lexicographic", Format::Lexicographic),
];

/// The package cache of one agent.
#[derive(Debug, Clone)]
pub struct PackageCache {
    folder: PathBuf,
}

/// A package in the cache.
#[derive(Debug, Clone)]
pub struct CachedPackage {
    /// Where it lies.
    pub path: PathBuf,
    /// What its name says.
    pub name: PackageFileName,
}

impl PackageCache {
    /// The cache of the agent that started this process. Its folder is made when it is missing.
    ///
    /// # Errors
    /// The agent did not say where its home is, or the folder cannot be made.
    pub fn open(runner: &Runner) -> Result<Self, Failure> {
        let folder = home(runner)?.join("Files");
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::at(&folder, "create the package cache", &error))?;
        Ok(Self { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A name for a new file of this package.
    pub fn new_file(&self, name: &PackageFileName) -> PathBuf {
        let random = uuid::Uuid::new_v4().simple().to_string().to_ascii_uppercase();
        self.folder.join(name.cache_name(&random))
    }

    /// A name for a new file of this package below the folder of a feed, which is made when it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new_file_of_feed(&self, feed_id: &str, name: &PackageFileName) -> Result<PathBuf, Failure> {
        let folder = self.folder.join(feed_id);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::at(&folder, "create the package cache", &error))?;
        Ok(Self { folder }.new_file(name))
    }

    /// Every package whose file name has the form of the cache, in the order of the paths.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn packages(&self) -> Result<Vec<CachedPackage>, Failure> {
        let mut found = Vec::new();
        for path in self.files()? {
            let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if !file_name.contains('@') {
                continue;
            }
            if let Ok(name) = PackageFileName::parse(file_name)
                && ENDINGS
                    .iter()
                    .any(|(ending, _)| ending.eq_ignore_ascii_case(&name.extension))
            {
                found.push(CachedPackage { path, name });
            }
        }
        Ok(found)
    }

    /// Every file below the folder, in order. Links are not followed into other folders.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        let mut folders = vec![(self.folder.clone(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let failed = |error| Failure::at(&folder, "search the package cache", &error);
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    if depth < DEEPEST {
                        folders.push((entry.path(), depth + 1));
                    }
                } else {
                    files.push(entry.path());
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

impl CachedPackage {
    /// Whether it is this package, as the name says and, of a NuGet package, its manifest as well.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn is(&self, id: &str, version: &Version) -> Result<bool, Failure> {
        if !self.holds(id) || self.compare(version) != Some(std::cmp::Ordering::Equal) {
            return Ok(false);
        }
        Ok(match self.manifest()? {
            None => true,
            Some((manifest_id, manifest_version)) => {
                octostache::fold(&manifest_id) == octostache::fold(id)
                    && Version::parse(version.format(), &manifest_version)
                        .is_ok_and(|manifest_version| manifest_version == *version)
            }
        })
    }

    /// Whether the name says that it is a package of this id.
    pub fn holds(&self, id: &str) -> bool {
        octostache::fold(&self.name.package_id) == octostache::fold(id)
    }

    /// How its version compares with another one; none when they are of different formats.
    pub fn compare(&self, version: &Version) -> Option<std::cmp::Ordering> {
        let own = &self.name.version;
        match (own.format(), version.format()) {
            (own_format, format) if own_format == format => Some(own.cmp(version)),
            // Both have the same letter in file names.
            (Format::Octopus, Format::Docker) => Version::parse(Format::Docker, &own.to_string())
                .ok()
                .map(|own| own.cmp(version)),
            _ => None,
        }
    }

    /// Id and version of the manifest; none when this kind of package has none.
    ///
    /// # Errors
    /// There should be one, but it cannot be read.
    pub fn manifest(&self) -> Result<Option<(String, String)>, Failure> {
        if !self.name.extension.eq_ignore_ascii_case(".nupkg") {
            return Ok(None);
        }
        match manifest::read(&self.path)? {
            Some(found) => Ok(Some(found)),
            None => Err(Failure::unexpected(format!(
                "The package {} has no readable .nuspec",
                self.path.display()
            ))),
        }
    }
}

/// The home of the agent.
///
/// # Errors
/// The agent did not say.
pub fn home(runner: &Runner) -> Result<PathBuf, Failure> {
    match runner.variables.filled(HOME)? {
        Some(home) => Ok(runner.working_directory.join(home)),
        None => Err(Failure::unexpected(
            "Environment variable 'TentacleHome' has not been set.",
        )),
    }
}

/// SHA-1 of a file in lower-case hexadecimal digits: the hash of packages everywhere (10.5).
///
/// # Errors
/// The file cannot be read.
pub fn hash_of(path: &Path) -> Result<String, Failure> {
    let hash = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let (mut hasher, mut buffer) = (Sha1::new(), vec![0; 128 << 10]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(hasher.finalize())),
                read => hasher.update(&buffer[..read]),
            }
        }
    };
    hash().map_err(|error| Failure::at(path, "read the package", &error))
}

/// The name of a version format, as options and messages have it.
pub fn format_name(format: Format) -> &'static str {
    FORMATS
        .iter()
        .find(|(_, known)| *known == format)
        .map_or("Semver", |(name, _)| name)
}

/// The version that the options `--packageVersion` and `--packageVersionFormat` give.
///
/// # Errors
/// An unknown format, or a text that is no version of it.
pub fn version_of(runner: &Runner, text: &str) -> Result<Version, Failure> {
    let format = match runner.line.option("packageVersionFormat") {
        None => Format::Semver,
        Some(given) => FORMATS
            .iter()
            .enumerate()
            .find(|(number, (name, _))| *name == given.trim() || number.to_string() == given.trim())
            .map(|(_, (_, format))| *format)
            .ok_or_else(|| {
                Failure::expected(format!(
                    "The provided version format `{given}` is not recognised. Use one of {}",
                    FORMATS.map(|(name, _)| name).join(", ")
                ))
            })?,
    };
    Version::parse(format, text).map_err(|_| {
        Failure::expected(format!(
            "Package version '{text}' is not a valid {} version string. Please pass --packageVersionFormat with a different version type.",
            format_name(format)
        ))
    })
}
