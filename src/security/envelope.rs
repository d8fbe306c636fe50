//! The envelope of everything that is sealed: `ODC1 | alg u8 | kid u32 | nonce | ciphertext and tag`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::master_key::KEY;
use crate::random;

const FORMAT: &[u8; 4] = b"ODC1";
const PREFIX: &str = "odc1:";
/// XChaCha20-Poly1305; the only one so far.
const ALGORITHM: u8 = 1;
const NONCE: usize = 24;
const HEADER: usize = FORMAT.len() + 1 + 4;

/// Seals bytes with a key; the context is bound, not stored.
pub(crate) fn seal(key: &[u8; KEY], kid: u32, context: &[&[u8]], clear: &[u8]) -> String {
    let nonce: [u8; NONCE] = random();
    let payload = Payload {
        msg: clear,
        aad: &bound(ALGORITHM, kid, context),
    };
    let body = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a value in memory is shorter than the cipher's limit of 256 GiB");
    let mut bytes = Vec::with_capacity(HEADER + NONCE + body.len());
    bytes.extend_from_slice(FORMAT);
    bytes.push(ALGORITHM);
    bytes.extend_from_slice(&kid.to_be_bytes());
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&body);
    PREFIX.to_string() + &STANDARD.encode(bytes)
}

/// An envelope taken apart, not yet opened.
pub(crate) struct Envelope {
    pub(crate) kid: u32,
    nonce: [u8; NONCE],
    body: Vec<u8>,
}

impl Envelope {
    /// Takes a stored text apart; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            return Err(format!("it does not begin with '{PREFIX}'"));
        };
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| "it is not base64".to_string())?;
        let rest = bytes.strip_prefix(FORMAT).ok_or("its format is not ODC1")?;
        let (&algorithm, rest) = rest.split_first().ok_or("it is cut off")?;
        if algorithm != ALGORITHM {
            return Err(format!("it was sealed with the unknown algorithm {algorithm}"));
        }
        let (kid, rest) = rest.split_first_chunk().ok_or("it is cut off")?;
        let (nonce, body) = rest.split_first_chunk().ok_or("it is cut off")?;
        Ok(Self {
            kid: u32::from_be_bytes(*kid),
            nonce: *nonce,
            body: body.to_vec(),
        })
    }

    /// Opens it, if key and context are those it was sealed with.
    pub(crate) fn open(&self, key: &[u8; KEY], context: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload {
            msg: self.body.as_slice(),
            aad: &bound(ALGORITHM, self.kid, context),
        };
        let clear = XChaCha20Poly1305::new(key.into())
            .decrypt(&XNonce::from(self.nonce), payload)
            .ok()?;
        Some(Zeroizing::new(clear))
    }
}

/// Each part behind its length, so that no two lists of parts give the same bytes.
fn bound(algorithm: u8, kid: u32, context: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let kid = kid.to_be_bytes();
    for part in [FORMAT.as_slice(), &[algorithm], &kid].iter().chain(context) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
