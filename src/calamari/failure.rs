//! Why a command did not succeed, and the exit code that says so (4).

use octostache::EvaluationError;
use std::path::Path;

/// A failed command. The message names what was attempted, on what, why it failed and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the log says.
    pub message: String,
    /// What the process ends with.
    pub exit_code: i32,
}

/// Exit code of a command that did what it should.
pub const SUCCESS: i32 = 0;
/// Exit code of a command that failed in a way that was to be expected: bad arguments, a missing file, a failed script.
pub const EXPECTED: i32 = 1;
/// Exit code of a command that failed otherwise.
pub const UNEXPECTED: i32 = 100;
/// Exit code of a circular definition of variables.
pub const CIRCULAR: i32 = 101;

impl Failure {
    /// An expected failure.
    pub fn expected(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: EXPECTED,
        }
    }

    /// Anything else.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: UNEXPECTED,
        }
    }

    /// What could not be done with a file or folder.
    pub fn at(path: &Path, attempted: &str, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "; give the agent's user access to it (a virus scanner may hold it, too)"
            }
            std::io::ErrorKind::StorageFull => "; free some space on that disk",
            _ => "",
        };
        Self::unexpected(format!("Could not {attempted} {}: {error}{hint}", path.display()))
    }
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        let exit_code = match error {
            EvaluationError::Circular { .. } => CIRCULAR,
            _ => UNEXPECTED,
        };
        Self {
            message: error.to_string(),
            exit_code,
        }
    }
}
