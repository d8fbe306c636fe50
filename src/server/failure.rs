//! Why a command ended early: a line for people, and the exit code for scripts.

use settings::ExitCode;

/// Cause, object and remedy in one line, and the code that the program ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code (`containers.md` 2.7).
    pub code: ExitCode,
    /// The line.
    pub message: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        let code = match &error {
            storage::Error::Unavailable { .. } => ExitCode::Database,
            storage::Error::Newer { .. } | storage::Error::Foreign | storage::Error::Migration { .. } => {
                ExitCode::Schema
            }
            _ => ExitCode::Failure,
        };
        Self::new(code, error.to_string())
    }
}

impl From<application::Error> for Failure {
    fn from(error: application::Error) -> Self {
        let message = match &error {
            application::Error::Internal { attempted, source } => format!("{attempted} {source}"),
            other => other.to_string(),
        };
        let code = match error {
            application::Error::Invalid(_) => ExitCode::Configuration,
            application::Error::Unavailable(_) => ExitCode::Database,
            _ => ExitCode::Failure,
        };
        Self::new(code, message)
    }
}
