//! Why a command did not do what it was asked to.

use std::fmt;

/// The code for an expected failure of a command (`tentacle-protocol.md` 7.1).
pub const CONTROLLED: u8 = 1;
/// The code for an unknown command.
pub const UNKNOWN_COMMAND: u8 = 2;
/// The code for a wrong configuration (`containers.md` 2.7).
pub const CONFIGURATION: u8 = 2;
/// The code for a folder that cannot be written, or a port that cannot be bound.
pub const NOT_WRITABLE: u8 = 7;
/// The code for a registration that the Server refuses.
pub const REFUSED: u8 = 8;
/// The code for a Server that cannot be reached.
pub const NOT_REACHABLE: u8 = 9;

/// A failed command: its exit code, and what to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code of the process.
    pub code: u8,
    /// What was attempted, on what, why it failed, what to do. Never a secret.
    pub message: String,
    /// Whether waiting may help: the machine of that name may be stopping.
    pub may_pass: bool,
}

impl Failure {
    /// An expected failure, exit code 1.
    pub fn controlled(message: impl Into<String>) -> Failure {
        Failure::with_code(CONTROLLED, message)
    }

    /// A failure with an exit code of its own.
    pub fn with_code(code: u8, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            may_pass: false,
        }
    }

    /// A file or folder that could not be read or written.
    pub fn of_file(attempt: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => NOT_WRITABLE,
            _ => CONTROLLED,
        };
        Failure::with_code(
            code,
            format!("Could not {attempt} '{}': {error}.", path.display()),
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
