//! Passwords of people: Argon2id, as PHC strings (`security.md` 1.3).
//!
//! One hash takes 64 MiB and a tenth of a second; who calls must bound how many run at once.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use crate::{Error, Result, Secret, token};

/// Memory in KiB.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// Longest password in bytes.
const LONGEST: usize = 1024;
/// Costliest parameters that a stored hash may ask for, so that a planted row cannot exhaust memory.
const MOST_MEMORY: u32 = 4 * MEMORY;
/// What people choose although it has the score.
const DENIED: [&str; 6] = [
    "password1!",
    "passw0rd!",
    "p@ssw0rd",
    "p@ssword1",
    "admin123!",
    "octopus1!",
];

/// Hashes a password for storing.
///
/// # Errors
/// [`Error::Password`] when it is empty or longer than 1,024 bytes.
pub fn hash(password: &Secret) -> Result<String> {
    let bytes = password.expose().as_bytes();
    if bytes.is_empty() {
        return Err(Error::Password("it is empty"));
    }
    if bytes.len() > LONGEST {
        return Err(Error::Password("it is longer than 1,024 bytes"));
    }
    let hashed = hasher()
        .hash_password(bytes)
        .map_err(|_| Error::Password("it could not be hashed"))?;
    Ok(hashed.to_string())
}

/// Whether a password is the one that was hashed. Without a hash (an unknown user, one without a password) it
/// takes as long and says no.
#[must_use]
pub fn verify(password: &Secret, hash: Option<&str>) -> bool {
    static NOBODY: LazyLock<String> =
        LazyLock::new(|| self::hash(&token::generate()).expect("a token is neither empty nor long"));
    let bytes = password.expose().as_bytes();
    if bytes.len() > LONGEST {
        return false;
    }
    let known = hash.and_then(parse);
    let nobody = if known.is_none() { parse(&NOBODY) } else { None };
    let Some(stored) = known.as_ref().or(nobody.as_ref()) else {
        return false;
    };
    hasher().verify_password(bytes, stored).is_ok() && known.is_some()
}

/// Whether a hash was made with other parameters than today's, so that it is to be made again at a sign-in.
#[must_use]
pub fn is_outdated(hash: &str) -> bool {
    let parameters = parse(hash).and_then(|stored| Params::try_from(&stored).ok());
    parameters.is_none_or(|of| (of.m_cost(), of.t_cost(), of.p_cost()) != (MEMORY, PASSES, LANES))
}

/// Whether a person may choose this password: a score of at least 4, one point each for 8, 12 and 16 characters and
/// for digit, white space, lower case, upper case and symbol, none below 7 characters; and not among the best-known.
#[must_use]
pub fn is_strong(password: &Secret) -> bool {
    let text = password.expose();
    let length = text.chars().count();
    if length < 7 || DENIED.contains(&text.to_lowercase().as_str()) {
        return false;
    }
    let kinds: [fn(char) -> bool; 5] = [
        char::is_numeric,
        char::is_whitespace,
        char::is_lowercase,
        char::is_uppercase,
        |c| !c.is_alphanumeric() && !c.is_whitespace(),
    ];
    let long = [8, 12, 16].into_iter().filter(|&least| length >= least).count();
    let varied = kinds.into_iter().filter(|kind| text.chars().any(kind)).count();
    long + varied >= 4
}

fn hasher() -> Argon2<'static> {
    let parameters =
        Params::new(MEMORY, PASSES, LANES, Some(32)).expect("the parameters are within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
}

/// A stored hash, unless it is none or asks for more than a few times today's effort.
fn parse(hash: &str) -> Option<PasswordHash> {
    let stored = PasswordHash::new(hash).ok()?;
    let parameters = Params::try_from(&stored).ok()?;
    (parameters.m_cost() <= MOST_MEMORY && parameters.t_cost() <= 4 * PASSES).then_some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_verified_by_its_hash_and_no_other() {
        let hashed = hash(&Secret::from("Correct Horse 1")).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{hashed}");
        assert!(verify(&Secret::from("Correct Horse 1"), Some(&hashed)));
        assert!(!verify(&Secret::from("correct horse 1"), Some(&hashed)));
        assert!(!is_outdated(&hashed));
    }

    #[test]
    fn nobody_signs_in_without_a_good_hash() {
        for hash in [
            None,
            Some(""),
            Some("$argon2id$v=19$m=4194304,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"),
            Some("plain"),
        ] {
            assert!(!verify(&Secret::from("plain"), hash));
        }
        assert!(is_outdated("plain"));
    }

    #[test]
    fn empty_and_endless_passwords_are_refused() {
        assert!(hash(&Secret::from("")).is_err());
        assert!(hash(&Secret::new("x".repeat(1025))).is_err());
        assert!(!verify(&Secret::new("x".repeat(1025)), None));
    }

    #[test]
    fn a_password_needs_length_and_variety() {
        for strong in ["Passw0rd123", "a long sentence of words", "Abc123!x"] {
            assert!(is_strong(&Secret::from(strong)), "{strong}");
        }
        for weak in ["", "Ab1! x", "password", "abcdefghijkl", "P@ssw0rd"] {
            assert!(!is_strong(&Secret::from(weak)), "{weak}");
        }
    }
}
