//! Files with secrets in them that one program encrypts for another under a password made for that one file:
//! the runner's sensitive variables and files of a script.
//!
//! Ours is an authenticated envelope, `ODF1 | salt | nonce | ciphertext and tag`. The format of the original,
//! `IV__ | IV | AES-CBC`, has no integrity; it is read, and written where a foreign agent reads it
//! (`calamari.md` 2.3, `tentacle-protocol.md` 6.9).

use aes::{Aes128, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::{Error, Result, Secret, master_key, random, token};

const OURS: &[u8; 4] = b"ODF1";
const LABEL: &str = "deploy/sensitive-file/v1";
const SALT: usize = 32;
const NONCE: usize = 24;

const ORIGINAL: &[u8; 4] = b"IV__";
const ORIGINAL_SALT: &[u8] = b"Octopuss";
const ORIGINAL_ROUNDS: u32 = 1000;
const IV: usize = 16;

/// Key sizes of the original's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySize {
    /// Files that a script brings along (`tentacle-protocol.md` 6.9).
    Aes128,
    /// The runner's variables (`calamari.md` 2.3).
    Aes256,
}

/// A password of 256 random bits for one file.
#[must_use]
pub fn generate_password() -> Secret {
    token::generate()
}

/// Encrypts in our envelope. The password must come from [`generate_password`]: it is not stretched.
#[must_use]
pub fn encrypt(password: &Secret, clear: &[u8]) -> Vec<u8> {
    let salt: [u8; SALT] = random();
    let nonce: [u8; NONCE] = random();
    let key = master_key::derive(password.expose().as_bytes(), &salt, LABEL);
    let body = XChaCha20Poly1305::new((&*key).into())
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: clear,
                aad: OURS,
            },
        )
        .expect("a file in memory is shorter than the cipher's limit of 256 GiB");
    [OURS.as_slice(), &salt, &nonce, &body].concat()
}

/// Decrypts a file in our envelope or, with a key of 256 bits, in the original's format; its first bytes tell which.
///
/// # Errors
/// [`Error::File`] for a wrong password, a changed or cut file, or another kind of file.
pub fn decrypt(password: &Secret, file: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let Some(rest) = file.strip_prefix(OURS) else {
        return decrypt_original(password, file, KeySize::Aes256);
    };
    let cut = || Error::File("it is cut off");
    let (salt, rest) = rest.split_first_chunk::<SALT>().ok_or_else(cut)?;
    let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or_else(cut)?;
    let key = master_key::derive(password.expose().as_bytes(), salt, LABEL);
    XChaCha20Poly1305::new((&*key).into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: OURS })
        .map(Zeroizing::new)
        .map_err(|_| {
            Error::File("the password is not the one it was encrypted with, or the file was changed")
        })
}

/// Encrypts in the original's format, for agents that read no other.
#[must_use]
pub fn encrypt_original(password: &Secret, clear: &[u8], size: KeySize) -> Vec<u8> {
    let iv: [u8; IV] = random();
    let body = match size {
        KeySize::Aes128 => {
            let key = stretch::<16>(password);
            cbc::Encryptor::<Aes128>::new((&*key).into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(clear)
        }
        KeySize::Aes256 => {
            let key = stretch::<32>(password);
            cbc::Encryptor::<Aes256>::new((&*key).into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(clear)
        }
    };
    [ORIGINAL.as_slice(), &iv, &body].concat()
}

/// Decrypts the original's format. It has no integrity: a wrong password is only mostly noticed.
///
/// # Errors
/// [`Error::File`] when it is not such a file or the padding is wrong.
pub fn decrypt_original(password: &Secret, file: &[u8], size: KeySize) -> Result<Zeroizing<Vec<u8>>> {
    let rest = file
        .strip_prefix(ORIGINAL)
        .ok_or(Error::File("it begins with neither ODF1 nor IV__"))?;
    let (iv, body) = rest
        .split_first_chunk::<IV>()
        .ok_or(Error::File("it is cut off"))?;
    let clear = match size {
        KeySize::Aes128 => {
            let key = stretch::<16>(password);
            cbc::Decryptor::<Aes128>::new((&*key).into(), iv.into()).decrypt_padded_vec::<Pkcs7>(body)
        }
        KeySize::Aes256 => {
            let key = stretch::<32>(password);
            cbc::Decryptor::<Aes256>::new((&*key).into(), iv.into()).decrypt_padded_vec::<Pkcs7>(body)
        }
    };
    clear
        .map(Zeroizing::new)
        .map_err(|_| Error::File("the password is not the one it was encrypted with"))
}

fn stretch<const N: usize>(password: &Secret) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    pbkdf2::pbkdf2_hmac::<Sha1>(
        password.expose().as_bytes(),
        ORIGINAL_SALT,
        ORIGINAL_ROUNDS,
        &mut *key,
    );
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made with Python's `hashlib.pbkdf2_hmac` and `openssl enc -aes-256-cbc` and `-aes-128-cbc`.
    #[test]
    fn files_that_openssl_made_are_read() {
        let password = Secret::from("f41b2c6d8e9a0b1c");
        let read = |text: &str, size| decrypt_original(&password, &hex::decode(text).unwrap(), size).unwrap();
        let (large, small) = (
            include_str!("fixtures/aes256.hex").trim(),
            include_str!("fixtures/aes128.hex").trim(),
        );
        assert_eq!(read(large, KeySize::Aes256).as_slice(), br#"{"Name":"Wert"}"#);
        assert_eq!(read(small, KeySize::Aes128).as_slice(), br#"{"Name":"Wert"}"#);
        assert_eq!(
            decrypt(&password, &hex::decode(large).unwrap())
                .unwrap()
                .as_slice(),
            br#"{"Name":"Wert"}"#
        );
    }

    #[test]
    fn a_wrong_password_and_a_foreign_file_are_refused() {
        let file = encrypt(&generate_password(), b"clear");
        assert!(
            decrypt(&generate_password(), &file)
                .unwrap_err()
                .to_string()
                .contains("password")
        );
        assert!(
            decrypt(&generate_password(), b"PK\x03\x04")
                .unwrap_err()
                .to_string()
                .contains("neither")
        );
    }

    proptest! {
        #[test]
        fn any_file_comes_back(clear in prop::collection::vec(any::<u8>(), 0..100)) {
            let password = generate_password();
            prop_assert_eq!(decrypt(&password, &encrypt(&password, &clear)).unwrap().to_vec(), clear.clone());
            for size in [KeySize::Aes128, KeySize::Aes256] {
                let file = encrypt_original(&password, &clear, size);
                prop_assert_eq!(decrypt_original(&password, &file, size).unwrap().to_vec(), clear.clone());
            }
        }

        #[test]
        fn any_flipped_bit_or_cut_is_an_error(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let password = generate_password();
            let mut file = encrypt(&password, b"some secret");
            let at = at.index(file.len());
            prop_assert!(decrypt(&password, &file[..at]).is_err());
            file[at] ^= 1u8 << bit;
            prop_assert!(decrypt(&password, &file).is_err());
        }

        #[test]
        fn any_bytes_are_an_answer_and_no_panic(file in prop::collection::vec(any::<u8>(), 0..80)) {
            let password = generate_password();
            let ours = [OURS.as_slice(), &file].concat();
            let original = [ORIGINAL.as_slice(), &file].concat();
            prop_assert!(decrypt(&password, &ours).is_err());
            drop(decrypt(&password, &original));
        }
    }
}
