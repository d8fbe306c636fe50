//! The one key that an operator keeps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, Result, Secret, random};

/// Bytes of a key derived from the master key.
pub(crate) const KEY: usize = 32;

/// The installation's master key, 16 or 32 bytes (`security.md` 1.2). It wraps the key ring and does nothing else.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<Vec<u8>>);

impl MasterKey {
    /// Reads strict base64: standard alphabet, padded, nothing around it.
    ///
    /// # Errors
    /// [`Error::MasterKey`] with the length that was found.
    pub fn from_base64(text: &str) -> Result<Self> {
        let malformed = |found: String| Error::MasterKey { found };
        if text.is_empty() {
            return Err(malformed("it is empty (0 characters)".into()));
        }
        if text.len() > 1024 {
            return Err(malformed(format!("it has {} characters", text.len())));
        }
        let Ok(mut bytes) = STANDARD.decode(text) else {
            return Err(malformed(format!(
                "its {} characters are not strict base64",
                text.chars().count()
            )));
        };
        if matches!(bytes.len(), 16 | 32) {
            return Ok(Self(Zeroizing::new(bytes)));
        }
        let length = bytes.len();
        bytes.zeroize();
        Err(malformed(format!("it has {length} bytes")))
    }

    /// A new key of 16 random bytes, the size that the original shows (`containers.md` 2.3).
    #[must_use]
    pub fn generate() -> Self {
        Self(Zeroizing::new(random::<16>().to_vec()))
    }

    /// The key as it is shown to the operator.
    #[must_use]
    pub fn to_base64(&self) -> Secret {
        Secret::new(STANDARD.encode(&*self.0))
    }

    /// Whether another key is the same, compared in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        crate::equal(&self.0, &other.0)
    }

    /// A key of its own for each label; no label is ever shared.
    pub(crate) fn derive(&self, salt: &[u8], label: &str) -> Zeroizing<[u8; KEY]> {
        derive(&self.0, salt, label)
    }
}

/// HKDF-SHA256.
pub(crate) fn derive(secret: &[u8], salt: &[u8], label: &str) -> Zeroizing<[u8; KEY]> {
    let mut key = Zeroizing::new([0; KEY]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(label.as_bytes(), &mut *key)
        .expect("32 bytes are less than HKDF can make");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_key_of_16_bytes_and_one_of_32_are_taken() {
        for text in [
            "5qJcW9E6B99teMmrOzaYNA==",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ] {
            assert_eq!(MasterKey::from_base64(text).unwrap().to_base64().expose(), text);
        }
    }

    #[test]
    fn a_malformed_key_is_refused_with_its_length_and_never_its_text() {
        let of_length = |length: usize| STANDARD.encode(vec![7; length]);
        let refused = |text: &str| MasterKey::from_base64(text).err().unwrap().to_string();
        for length in [1, 15, 17, 24, 31, 33] {
            let message = refused(&of_length(length));
            assert!(message.contains(&format!("it has {length} bytes")), "{message}");
            assert!(!message.contains(&of_length(length)), "{message}");
        }
        for text in [
            "",
            " 5qJcW9E6B99teMmrOzaYNA==",
            "5qJcW9E6B99teMmrOzaYNA",
            "_-JcW9E6B99teMmrOzaYNA==",
            "5qJcW9E6B99teMmrOzaYNA==\n",
        ] {
            assert!(refused(text).contains("characters"), "{text}");
        }
    }

    #[test]
    fn labels_and_salts_give_unrelated_keys() {
        let key = MasterKey::generate();
        assert!(key.derive(b"salt", "a") != key.derive(b"salt", "b"));
        assert!(key.derive(b"salt", "a") != key.derive(b"tlas", "a"));
        assert!(key.derive(b"salt", "a") == key.derive(b"salt", "a"));
    }
}
