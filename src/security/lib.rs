#![doc = include_str!("README.md")]

pub mod api_key;
mod certificate;
mod envelope;
mod error;
mod key_ring;
pub mod masking;
mod master_key;
pub mod password;
mod secret;
pub mod sensitive_file;
pub mod token;

pub use certificate::{Certificate, thumbprint};
pub use error::{Error, Result};
pub use key_ring::{KeyRing, KeyState, Purpose, StoredRing, WrappedKey};
pub use master_key::MasterKey;
pub use secret::{Sealed, SealedPlace, Secret};

/// Compares two secrets, such as MACs, in a time that depends on their lengths only.
#[must_use]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    one.ct_eq(other).into()
}

/// Bytes from the operating system's generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random number generator works");
    bytes
}
