//! What can go wrong on a volume.

use std::path::{Path, PathBuf};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{attempted} '{}' failed: {source}. Check that the volume is mounted, writable and has free space.", path.display())]
    Io {
        /// What was attempted, for example `Writing`.
        attempted: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A name cannot be a file name.
    #[error(
        "The {kind} '{name}' cannot be the name of a file: {reason}. Use letters, digits, '.', '_', '-' and '+'."
    )]
    Name {
        /// What it names, for example `package id`.
        kind: &'static str,
        /// The name, shortened.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is such a file, and it must not be replaced.
    #[error("The file '{}' exists already. Delete it first or ask for it to be overwritten.", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is no such file.
    #[error("The file '{}' is missing on its volume. Push it again, or restore the volume from a backup.", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// More came in than is allowed.
    #[error("The upload is larger than {limit} bytes. Send less, or raise the limit.")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A package could not be read.
    #[error("The package '{name}' cannot be read: {reason}. Pack it again and push it again.")]
    Package {
        /// Its file name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A later lease writes this log already.
    #[error("The log of {task} is written by epoch {newer} already; epoch {epoch} is too late.")]
    Superseded {
        /// The task.
        task: String,
        /// The epoch that asked.
        epoch: u64,
        /// The newer one.
        newer: u64,
    },
}

impl Error {
    /// The io error of an attempt on a path; a file that is not there becomes [`Error::Missing`].
    pub(crate) fn io(attempted: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Io {
                attempted,
                path,
                source,
            },
        }
    }

    /// Whether the file is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// The result of work on a volume.
pub type Result<T> = std::result::Result<T, Error>;
