//! Clear secrets and sealed ones, as types that cannot be mistaken for text.

use std::fmt;

use zeroize::Zeroizing;

/// A secret in the clear. It is wiped from memory when dropped and has neither `Debug`, `Display` nor
/// `Serialize`, so writing one to a log, an answer or the database does not compile.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The clear text. The name is long on purpose: it is what a reviewer searches for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// A secret as it is stored: an envelope `odc1:…` that only the [`crate::KeyRing`] opens, and only in the
/// place it was sealed for.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// Takes a stored text. Whether it is a good envelope shows when it is opened.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sealed(odc1:…)")
    }
}

/// Where a sealed value stands. The envelope is bound to it: moved to another row, field or space it does not
/// open (`security.md` 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPlace<'a> {
    /// The space's id; empty for what belongs to no space.
    pub space: &'a str,
    /// What kind of document: `Variables`, `Accounts`, `certificate`.
    pub document_type: &'a str,
    /// The document's id.
    pub document_id: &'a str,
    /// The path of the field in the document.
    pub field: &'a str,
}

impl fmt::Display for SealedPlace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the field '{}' of the {} '{}'",
            self.field, self.document_type, self.document_id
        )
    }
}
