//! Why an archive was not unpacked. Each message names the entry and what to do.

use std::io;

/// A package that is not unpacked. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is not what its name says, or ends too early.
    #[error("the archive is damaged: {0}; build or push the package again")]
    Damaged(String),
    /// An entry that would be written outside the folder, or cannot be a file name.
    #[error("the entry '{entry}' {reason}; build the package without it")]
    Refused {
        /// The name as it stands in the archive.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The contents of an entry do not match what the archive says of it.
    #[error("the entry '{entry}' is damaged: {reason}; build or push the package again")]
    DamagedEntry {
        /// The name as it stands in the archive.
        entry: String,
        /// What does not match.
        reason: String,
    },
    /// A method of compression or encryption that is not known.
    #[error("the entry '{entry}' is unsupported: {reason}; pack it with deflate and without a password")]
    Unsupported {
        /// The name as it stands in the archive.
        entry: String,
        /// What is not supported.
        reason: String,
    },
    /// More than a package may hold.
    #[error("{0}; make the package smaller, or split it")]
    TooLarge(String),
    /// The process was asked to stop.
    #[error("it was asked to stop before the package was unpacked")]
    Stopped,
    /// The package or the folder cannot be used.
    #[error("{attempted}: {error}{}", hint(error))]
    Io {
        /// What was attempted, on what.
        attempted: String,
        /// What the system said.
        error: io::Error,
    },
}

impl ArchiveError {
    pub(crate) fn refused(entry: &str, reason: &'static str) -> Self {
        Self::Refused {
            entry: printable(entry),
            reason,
        }
    }

    pub(crate) fn damaged_entry(entry: &str, reason: impl Into<String>) -> Self {
        Self::DamagedEntry {
            entry: printable(entry),
            reason: reason.into(),
        }
    }

    pub(crate) fn io(attempted: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempted = attempted.into();
        move |error| Self::Io { attempted, error }
    }

    /// What reading the contents of an entry led to: a cut archive or a failing disk.
    pub(crate) fn reading(entry: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::damaged_entry(entry, error.to_string())
            }
            io::ErrorKind::Other if error.raw_os_error().is_none() => {
                Self::damaged_entry(entry, error.to_string())
            }
            _ => Self::Io {
                attempted: format!("Could not read the entry '{}'", printable(entry)),
                error,
            },
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "; free some space on that disk",
        io::ErrorKind::PermissionDenied => {
            "; give the agent's user access to the folder (a virus scanner may hold it, too)"
        }
        _ => "",
    }
}

/// A name as a message can show it.
fn printable(name: &str) -> String {
    let shown: String = name.chars().take(200).collect();
    shown
        .escape_debug()
        .to_string()
        .replace("\\\\", "\\")
        .replace("\\'", "'")
        .replace("\\\"", "\"")
}
