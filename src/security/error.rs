//! What can go wrong with keys and secrets. No message holds a secret or a key.

/// Why a key, secret, password or certificate could not be used or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text given as master key is not one.
    #[error(
        "The master key is not valid: {found}. A master key is the base64 text of exactly 16 or 32 bytes, \
         for example from `openssl rand -base64 32`."
    )]
    MasterKey {
        /// What is wrong, with the length that was found; never the text.
        found: String,
    },
    /// The master key is well formed but not the one that the ring was made with.
    #[error(
        "The master key does not match this database (key-check failed, ring created {created}). Give the key that \
         this database was created with; `show-master-key` on its first server prints it."
    )]
    WrongMasterKey {
        /// The day the ring was made, `2026-01-31`.
        created: String,
    },
    /// The stored key ring cannot be read, although the master key fits.
    #[error("The key ring of this database is damaged: {reason}. Restore the database from a backup.")]
    DamagedRing {
        /// What is wrong with it.
        reason: String,
    },
    /// A sealed value does not open.
    #[error(
        "The integrity check of {place} failed: {reason}. Its stored value was changed or moved outside of the \
         Server; enter the value again."
    )]
    Integrity {
        /// Which field of which document.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A password that cannot be set.
    #[error("The password cannot be used: {0}.")]
    Password(&'static str),
    /// An encrypted file does not open.
    #[error("The encrypted file cannot be opened: {0}.")]
    File(&'static str),
    /// A certificate could not be made, read or written.
    #[error("The certificate could not be {attempted}: {reason}.")]
    Certificate {
        /// `made`, `read` or `written`.
        attempted: &'static str,
        /// Why not.
        reason: String,
    },
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
