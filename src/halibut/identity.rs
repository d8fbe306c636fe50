//! Who a party is: a self-signed certificate with its key, known to others by a thumbprint.

use std::fmt;

use sha1::{Digest, Sha1};

/// Upper-case hexadecimal SHA-1 of a certificate's DER bytes: 40 characters (`tentacle-protocol.md` 1.2).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint(String);

impl Thumbprint {
    /// The thumbprint of a certificate.
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(hex::encode_upper(Sha1::digest(certificate_der)))
    }

    /// Reads 40 hexadecimal digits of any case.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(IdentityError::Thumbprint(text.chars().take(80).collect()))
        }
    }

    /// The 40 upper-case digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A certificate with its private key. The key never appears in `Debug`.
#[derive(Clone)]
pub struct Identity {
    certificate_der: Vec<u8>,
    private_key_pkcs8_der: Vec<u8>,
    thumbprint: Thumbprint,
}

impl Identity {
    /// Takes a DER certificate and the PKCS#8 DER private key that belongs to it. Whether the two match, and
    /// whether the key is of a usable kind, shows when a listener or client is made of it.
    pub fn new(certificate_der: Vec<u8>, private_key_pkcs8_der: Vec<u8>) -> Self {
        let thumbprint = Thumbprint::of(&certificate_der);
        Self {
            certificate_der,
            private_key_pkcs8_der,
            thumbprint,
        }
    }

    /// What others know this party by.
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// The certificate as DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// The private key as PKCS#8 DER: a secret.
    pub fn private_key_pkcs8_der(&self) -> &[u8] {
        &self.private_key_pkcs8_der
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

/// Why something is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a thumbprint.
    #[error("`{0}` is not a thumbprint; give the 40 hexadecimal digits that `show-thumbprint` prints")]
    Thumbprint(String),
    /// A certificate or key that cannot be used for TLS.
    #[error("the certificate {thumbprint} cannot be used for TLS: {reason}; make a new certificate")]
    Unusable {
        /// Which certificate.
        thumbprint: Thumbprint,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_read_in_any_case_and_written_in_upper_case() {
        let lower = "ea90885505b692f0533b54c4bb4c7b4be0f71f38";
        let thumbprint = Thumbprint::parse(lower).expect("forty digits");
        assert_eq!(thumbprint.as_str(), lower.to_ascii_uppercase());
        assert!(Thumbprint::parse("EA90").is_err());
        assert!(Thumbprint::parse(&lower.replace('e', "g")).is_err());
    }

    #[test]
    fn the_private_key_does_not_show() {
        let identity = Identity::new(b"certificate".to_vec(), b"very secret".to_vec());
        let shown = format!("{identity:?}");
        assert!(!shown.contains("secret") && !shown.contains("118"), "{shown}");
    }
}
