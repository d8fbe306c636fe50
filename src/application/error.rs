//! The seven ways a use case can end without a result.

use domain::Problems;

/// Why a use case did not do what it was asked. `api` maps it to JSON once, `portal` to pages once.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing does not exist, or the actor may not see it; the two look the same on purpose.
    #[error("{0}")]
    NotFound(String),
    /// Nobody is signed in, or the credential is not valid.
    #[error("{0}")]
    Unauthenticated(String),
    /// The actor is known and may not do this. Names the permission.
    #[error("{0}")]
    Forbidden(String),
    /// The request breaks rules; every broken rule is listed.
    #[error("{}", .0.join(" "))]
    Invalid(Vec<String>),
    /// The request was made against a state that is no longer the current one.
    #[error("{0}")]
    Conflict(String),
    /// Something that is needed does not answer now; trying again later can help.
    #[error("{0}")]
    Unavailable(String),
    /// Too many attempts; try again after the given number of seconds.
    #[error("{message}")]
    RateLimited {
        /// What was tried too often.
        message: String,
        /// Seconds until the next attempt can succeed.
        retry_after: u64,
    },
    /// A fault of the Server or of what it stands on. The cause is logged, not shown.
    #[error("{attempted}")]
    Internal {
        /// What was being done, on what.
        attempted: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Names the missing thing the way every front end shows it.
    #[must_use]
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::NotFound(format!(
            "The {kind} '{id}' does not exist, or it is not in the current space."
        ))
    }

    /// One broken rule.
    #[must_use]
    pub fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(vec![problem.into()])
    }

    /// A fault with its cause.
    pub fn internal(
        attempted: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal {
            attempted: attempted.into(),
            source: source.into(),
        }
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems.into_iter().collect())
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Unavailable { .. } => Self::Unavailable(
                "The database does not answer. The request was not carried out; try again in a moment."
                    .into(),
            ),
            other => Self::internal("The request failed at the database.", other),
        }
    }
}

impl From<files::Error> for Error {
    fn from(error: files::Error) -> Self {
        Self::internal("The request failed at a file volume.", error)
    }
}

impl From<security::Error> for Error {
    fn from(error: security::Error) -> Self {
        Self::internal("A sealed value could not be opened or made.", error)
    }
}
