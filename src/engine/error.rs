//! Why a task cannot go on. What a script or a machine does wrong is an outcome, not an error.

/// A fault of the Server, or the loss of the right to work on a task.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another node has the task, or this one is stopping: nothing more is written.
    #[error("The task was given up: another node has it, or this one stops.")]
    LeaseLost,
    /// The database failed.
    #[error(transparent)]
    Storage(storage::Error),
    /// A volume failed.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// A use case failed.
    #[error(transparent)]
    Application(#[from] application::Error),
    /// A secret could not be opened.
    #[error(transparent)]
    Security(#[from] security::Error),
    /// Something that the task needs is gone or damaged.
    #[error("{0}")]
    Broken(String),
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::LeaseLost => Self::LeaseLost,
            other => Self::Storage(other),
        }
    }
}

/// The result of work on a task.
pub type Result<T> = std::result::Result<T, Error>;
