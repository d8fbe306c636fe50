//! Random texts: session cookies, join keys and row ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Secret, random};

/// A bearer token of 256 random bits; letters, digits, `-` and `_`.
#[must_use]
pub fn generate() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(random::<32>()))
}

/// An identifier of 128 random bits in lower-case hex. It is not a secret.
#[must_use]
pub fn identifier() -> String {
    hex::encode(random::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_identifiers_are_long_and_never_the_same() {
        assert_eq!(generate().expose().len(), 43);
        assert!(generate().expose() != generate().expose());
        assert_eq!(identifier().len(), 32);
        assert_ne!(identifier(), identifier());
    }
}
