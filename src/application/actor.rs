//! Who asks: the Server itself, or a user with a credential.

use domain::permission::{Permission, Permissions};

use crate::Error;

/// How an actor proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// It did not: somebody who failed to sign in.
    None,
    /// A session cookie of the portal.
    Session {
        /// The row id of the session, so that it can be ended.
        id: String,
    },
    /// An API key.
    ApiKey {
        /// The row id of the key.
        id: String,
    },
    /// The one-machine token that a registration answered (`containers.md` 3.4).
    Deregistration {
        /// The only machine that it can deregister.
        machine_id: String,
    },
}

impl std::fmt::Display for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::None => "nothing",
            Self::Session { .. } => "Session cookie",
            Self::ApiKey { .. } => "API key",
            Self::Deregistration { .. } => "Deregistration token",
        })
    }
}

/// Where a request came from, for the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The peer's address, without port.
    pub ip_address: Option<String>,
    /// The client's own name.
    pub user_agent: Option<String>,
}

/// Who does a thing. Every use case begins by asking it.
#[derive(Debug, Clone)]
pub enum Actor {
    /// The Server on its own account: start-up and periodic work.
    System,
    /// Somebody signed in.
    User {
        /// `Users-1`.
        id: String,
        /// The name used to sign in.
        username: String,
        /// Whether it is a service account, which cannot sign in to the portal.
        is_service: bool,
        /// What it may do.
        permissions: Permissions,
        /// How it proved who it is.
        credential: Credential,
        /// Where the request came from.
        origin: Origin,
    },
}

impl Actor {
    /// Passes when the actor has the permission.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the permission.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        match self {
            Self::System => Ok(()),
            Self::User { permissions, .. } if permissions.has(permission) => Ok(()),
            Self::User { username, .. } => Err(Error::Forbidden(format!(
                "The user '{username}' does not have the permission {permission}. Ask an administrator for it, \
                 or use another credential."
            ))),
        }
    }

    /// The user's id, if it is a user.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::System => None,
            Self::User { id, .. } => Some(id),
        }
    }

    /// The name that events and records show.
    #[must_use]
    pub fn username(&self) -> &str {
        match self {
            Self::System => "system",
            Self::User { username, .. } => username,
        }
    }
}
