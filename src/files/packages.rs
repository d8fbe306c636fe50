//! The built-in feed's files: `<repository>/<package id>/<package id>.<version><extension>`.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::error::{Error, Result};
use crate::name;
use crate::spool::{Spool, Spooled, blocking};

/// The largest package, in bytes.
pub const LARGEST_PACKAGE: u64 = 64 * 1024 * 1024 * 1024;

/// The names that make the path of a package file. All three are checked, so no path leaves the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageName {
    id: String,
    version: String,
    extension: String,
}

impl PackageName {
    /// Checks id, version and extension (with its dot, for example `.tar.gz`).
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(id: &str, version: &str, extension: &str) -> Result<Self> {
        name::check("package id", id)?;
        name::check("package version", version)?;
        name::check(
            "package extension",
            extension.strip_prefix('.').unwrap_or(extension),
        )?;
        let name = Self {
            id: id.into(),
            version: version.into(),
            extension: extension.into(),
        };
        name::check("package file name", &name.file_name())?;
        Ok(name)
    }

    /// `Acme.Web.1.0.0.zip`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}{}", self.id, self.version, self.extension)
    }
}

/// What to do when there is such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Refuse.
    FailIfExists,
    /// Replace it in one step.
    Overwrite,
    /// Keep the old one.
    IgnoreIfExists,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The new file is there.
    New,
    /// The old one stayed.
    Kept,
}

/// The package files.
#[derive(Debug, Clone)]
pub struct Packages {
    volume: PathBuf,
}

/// Held while file and row of one package id change together: only one process on any node has it. It ends
/// with its drop.
pub struct Turn {
    _lock: File,
}

impl Packages {
    pub(crate) fn new(volume: PathBuf) -> Self {
        Self { volume }
    }

    /// Begins to take in a file; it lies on the repository volume until it has its name.
    ///
    /// # Errors
    /// When the volume cannot be written.
    pub async fn spool(&self) -> Result<Spool> {
        Spool::begin(&self.volume, LARGEST_PACKAGE).await
    }

    /// Waits until nobody else changes versions of this package id.
    ///
    /// # Errors
    /// When the volume cannot be written.
    pub async fn turn(&self, package_id: &str) -> Result<Turn> {
        name::check("package id", package_id)?;
        let folder = self.volume.join(".locks");
        let path = folder.join(package_id.to_lowercase());
        let at = path.clone();
        let lock = blocking(move || {
            std::fs::create_dir_all(&folder)?;
            let file = File::options().create(true).append(true).open(&at)?;
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        })
        .await
        .map_err(Error::io("Locking", &path))?;
        Ok(Turn { _lock: lock })
    }

    /// Gives a complete file its name.
    ///
    /// # Errors
    /// [`Error::Exists`], or when the disk fails.
    pub async fn put(&self, _turn: &Turn, file: Spooled, name: &PackageName, put: Put) -> Result<Stored> {
        let target = self.path(name);
        match file.persist(&target, put == Put::Overwrite).await {
            Err(Error::Exists { .. }) if put == Put::IgnoreIfExists => Ok(Stored::Kept),
            other => other.map(|()| Stored::New),
        }
    }

    /// Where the file of a package is, whether it exists or not.
    #[must_use]
    pub fn path(&self, name: &PackageName) -> PathBuf {
        self.volume.join(&name.id).join(name.file_name())
    }

    /// Opens a package for reading.
    ///
    /// # Errors
    /// [`Error::Missing`], or when the disk fails.
    pub async fn open(&self, name: &PackageName) -> Result<tokio::fs::File> {
        let path = self.path(name);
        tokio::fs::File::open(&path)
            .await
            .map_err(Error::io("Opening", &path))
    }

    /// Deletes a package; one that is not there is deleted already.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn delete(&self, _turn: &Turn, name: &PackageName) -> Result<()> {
        let path = self.path(name);
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("Deleting", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Deletes files for which there is no row, if they are older than `older_than` (a row is written after its
    /// file). `known` holds the file names of all rows. Returns what was deleted.
    ///
    /// # Errors
    /// When the volume cannot be listed.
    pub async fn sweep(&self, known: BTreeSet<String>, older_than: Duration) -> Result<Vec<PathBuf>> {
        let volume = self.volume.clone();
        blocking(move || {
            crate::spool::sweep_incoming(&volume, older_than)?;
            let mut swept = Vec::new();
            for folder in folders(&volume)? {
                for entry in std::fs::read_dir(&folder)? {
                    let entry = entry?;
                    let old = entry
                        .metadata()?
                        .modified()?
                        .elapsed()
                        .is_ok_and(|age| age >= older_than);
                    let known = entry
                        .file_name()
                        .to_str()
                        .is_some_and(|name| known.contains(name));
                    if entry.file_type()?.is_file() && old && !known {
                        std::fs::remove_file(entry.path())?;
                        swept.push(entry.path());
                    }
                }
            }
            Ok(swept)
        })
        .await
        .map_err(Error::io("Sweeping", &self.volume))
    }
}

fn folders(volume: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(volume)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() && !hidden {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn push(packages: &Packages, name: &PackageName, text: &str, put: Put) -> Result<Stored> {
        let file = packages.spool().await?.fill_from(text.as_bytes()).await?;
        let turn = packages.turn("Acme.Web").await?;
        packages.put(&turn, file, name, put).await
    }

    #[tokio::test]
    async fn a_version_is_pushed_once_unless_it_may_be_replaced() {
        let volume = tempfile::tempdir().unwrap();
        let packages = Packages::new(volume.path().into());
        let name = PackageName::new("Acme.Web", "1.0.0", ".tar.gz").unwrap();
        assert_eq!(
            push(&packages, &name, "one", Put::FailIfExists).await.unwrap(),
            Stored::New
        );
        assert!(matches!(
            push(&packages, &name, "two", Put::FailIfExists).await,
            Err(Error::Exists { .. })
        ));
        assert_eq!(
            push(&packages, &name, "two", Put::IgnoreIfExists).await.unwrap(),
            Stored::Kept
        );
        assert_eq!(std::fs::read_to_string(packages.path(&name)).unwrap(), "one");
        assert_eq!(
            push(&packages, &name, "two", Put::Overwrite).await.unwrap(),
            Stored::New
        );
        assert_eq!(std::fs::read_to_string(packages.path(&name)).unwrap(), "two");
        let turn = packages.turn("acme.web").await.unwrap();
        packages.delete(&turn, &name).await.unwrap();
        packages.delete(&turn, &name).await.unwrap();
        assert!(packages.open(&name).await.unwrap_err().is_missing());
    }

    #[tokio::test]
    async fn a_file_without_a_row_is_swept() {
        let volume = tempfile::tempdir().unwrap();
        let packages = Packages::new(volume.path().into());
        let (one, two) = (
            PackageName::new("Acme.Web", "1.0.0", ".zip").unwrap(),
            PackageName::new("Acme.Web", "2.0.0", ".zip").unwrap(),
        );
        push(&packages, &one, "one", Put::FailIfExists).await.unwrap();
        push(&packages, &two, "two", Put::FailIfExists).await.unwrap();
        let known = BTreeSet::from([two.file_name()]);
        assert!(
            packages
                .sweep(known.clone(), Duration::from_secs(3600))
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            packages.sweep(known, Duration::ZERO).await.unwrap(),
            [packages.path(&one)]
        );
        assert!(packages.path(&two).exists());
    }

    #[test]
    fn a_name_cannot_leave_the_repository() {
        for (id, version, extension) in [
            ("..", "1", ".zip"),
            ("a/b", "1", ".zip"),
            ("a", "../1", ".zip"),
            ("a", "1", "./x"),
        ] {
            assert!(
                PackageName::new(id, version, extension).is_err(),
                "{id} {version} {extension}"
            );
        }
    }
}
