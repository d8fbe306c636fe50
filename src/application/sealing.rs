//! Secrets of documents on their way into the database: each is sealed for exactly the space, document and
//! field it stands in (`security.md` 1.2), and opened and sealed again when a copy stands elsewhere.

use domain::SpaceId;
use domain::document::{self, Document};
use security::{KeyRing, Sealed, SealedPlace, Secret};

use crate::Result;

/// The place of a document whose secrets are sealed or opened.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The space.
    pub space: &'a SpaceId,
    /// What kind of document: `Projects`, `DeploymentProcesses`, `Variables`.
    pub document_type: &'a str,
    /// The id of the document.
    pub document_id: &'a str,
}

impl<'a> Place<'a> {
    /// The project settings.
    #[must_use]
    pub fn project(space: &'a SpaceId, document_id: &'a str) -> Self {
        Self {
            space,
            document_type: "Projects",
            document_id,
        }
    }

    /// A process or a snapshot of one.
    #[must_use]
    pub fn process(space: &'a SpaceId, document_id: &'a str) -> Self {
        Self {
            space,
            document_type: "DeploymentProcesses",
            document_id,
        }
    }

    /// A variable set or a snapshot of one.
    #[must_use]
    pub fn variables(space: &'a SpaceId, document_id: &'a str) -> Self {
        Self {
            space,
            document_type: "Variables",
            document_id,
        }
    }

    /// A deployment, whose answers to prompts can be secret.
    #[must_use]
    pub fn deployment(space: &'a SpaceId, document_id: &'a str) -> Self {
        Self {
            space,
            document_type: "Deployments",
            document_id,
        }
    }

    /// One field of it.
    #[must_use]
    pub fn field(self, field: &'a str) -> SealedPlace<'a> {
        SealedPlace {
            space: self.space.as_str(),
            document_type: self.document_type,
            document_id: self.document_id,
            field,
        }
    }
}

/// Seals what a client gave and keeps what it left as it is in `replaced`, which stands in the same place.
///
/// # Errors
/// When a value cannot be sealed.
pub fn seal<T: Document>(
    keys: &KeyRing,
    place: Place<'_>,
    document: &mut T,
    replaced: Option<&T>,
) -> Result<()> {
    let sealed =
        |field: &str, secret: &Secret| -> Result<Sealed> { Ok(keys.seal(place.field(field), secret)) };
    document::seal(document, replaced, sealed)
}

/// Moves the secrets of a copy from where the original stands to where the copy stands.
///
/// # Errors
/// When a value does not open: it was tampered with, or its key is gone.
pub fn reseal<T: Document>(keys: &KeyRing, from: Place<'_>, to: Place<'_>, document: &mut T) -> Result<()> {
    let moved = |field: &str, sealed: &Sealed| -> Result<Sealed> {
        Ok(keys.seal(to.field(field), &keys.open(from.field(field), sealed)?))
    };
    document::reseal(document, moved)
}
