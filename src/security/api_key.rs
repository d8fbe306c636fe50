//! API keys: `API-` and 32 characters of base 32, shown once, stored as a MAC (`security.md` 1.3).

use crate::{Secret, random};

const PREFIX: &str = "API-";
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Characters after the prefix of a key that we make: 160 bits.
const MADE: usize = 32;
/// What an operator may choose himself, for example as `ADMIN_API_KEY`.
const TAKEN: std::ops::RangeInclusive<usize> = 16..=128;

/// A new key of 160 random bits.
#[must_use]
pub fn generate() -> Secret {
    // 32 divides 256, so every character is equally likely.
    let characters = random::<MADE>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Secret::new(PREFIX.chars().chain(characters).collect::<String>())
}

/// Whether a text has the form of a key: `API-` and 16 to 128 upper-case letters and digits. Wider than what
/// [`generate`] makes, because keys of other servers and chosen ones are taken too.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| {
        TAKEN.contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

/// What is kept readable of a key, to tell keys apart: `API-` and the next four characters.
#[must_use]
pub fn hint(key: &str) -> String {
    key.chars().take(PREFIX.len() + 4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_well_formed_and_unlike_any_other() {
        let key = generate();
        assert_eq!(key.expose().len(), 36);
        assert!(is_well_formed(key.expose()));
        assert!(key.expose() != generate().expose());
        assert_eq!(hint(key.expose()), &key.expose()[..8]);
    }

    #[test]
    fn keys_of_the_original_are_well_formed_and_other_texts_are_not() {
        assert!(is_well_formed("API-ABCDEFGHIJKLMNOPQRSTUVWXYZ1"));
        for text in [
            "",
            "API-",
            "API-SHORT",
            "api-ABCDEFGHIJKLMNOPQRST",
            "API-ABCDEFGHIJKLMNOPQRSt",
            "ABCDEFGHIJKLMNOPQRSTU",
        ] {
            assert!(!is_well_formed(text), "{text}");
        }
    }
}
