//! The data keys of an installation, wrapped by the master key (`security.md` 1.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::envelope::{self, Envelope};
use crate::master_key::KEY;
use crate::{Error, MasterKey, Result, Sealed, SealedPlace, Secret, certificate, random};

/// HKDF label of the key that wraps the data keys.
const KEK: &str = "deploy/kek/v1";
/// What the check value says once opened.
const CHECK: &[u8] = b"the master key fits this ring";

/// What a data key is for. Keys are never shared between purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Sealing sensitive values.
    Secrets,
    /// The pepper of API keys.
    ApiKeyPepper,
    /// The MAC of session ids.
    Session,
    /// Anti-forgery tokens.
    AntiForgery,
    /// Files with secrets in them.
    Files,
}

impl Purpose {
    /// Every purpose; a new ring has an active key of each.
    pub const ALL: [Self; 5] = [
        Self::Secrets,
        Self::ApiKeyPepper,
        Self::Session,
        Self::AntiForgery,
        Self::Files,
    ];

    /// The name that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::ApiKeyPepper => "api-key-pepper",
            Self::Session => "session",
            Self::AntiForgery => "anti-forgery",
            Self::Files => "files",
        }
    }

    /// The purpose of a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// What a data key may still be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Seals and opens.
    Active,
    /// Opens only.
    DecryptOnly,
    /// Gone; values sealed with it are lost, knowingly.
    Destroyed,
}

impl KeyState {
    /// The name that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::DecryptOnly => "decrypt-only",
            Self::Destroyed => "destroyed",
        }
    }

    /// The state of a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::DecryptOnly, Self::Destroyed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its number, which every envelope names.
    pub kid: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// What it may still be used for.
    pub state: KeyState,
    /// The key, sealed by the master key.
    pub wrapped: String,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
}

/// A key ring as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRing {
    /// The installation's GUID; every envelope is bound to it.
    pub installation_id: String,
    /// 32 random bytes for the derivation of the wrapping key.
    pub salt: Vec<u8>,
    /// A constant sealed by the wrapping key: it opens only with the right master key.
    pub check: String,
    /// When the ring was made, in milliseconds since 1970 UTC.
    pub created_at: i64,
    /// The keys.
    pub keys: Vec<WrappedKey>,
}

impl StoredRing {
    /// A new ring with one active key for each purpose.
    #[must_use]
    pub fn generate(master: &MasterKey, installation_id: &str, now: i64) -> Self {
        let salt = random::<32>();
        let kek = master.derive(&salt, KEK);
        let keys = (1..).zip(Purpose::ALL).map(|(kid, purpose)| {
            let key = Zeroizing::new(random::<KEY>());
            let state = KeyState::Active;
            let wrapped = envelope::seal(&kek, kid, &wrapping(installation_id, purpose), &*key);
            WrappedKey {
                kid,
                purpose,
                state,
                wrapped,
                created_at: now,
            }
        });
        Self {
            installation_id: installation_id.into(),
            salt: salt.to_vec(),
            check: envelope::seal(&kek, 0, &checking(installation_id), CHECK),
            created_at: now,
            keys: keys.collect(),
        }
    }

    /// Whether this is the master key that the ring was made with.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] when not.
    pub fn check(&self, master: &MasterKey) -> Result<()> {
        let kek = master.derive(&self.salt, KEK);
        let opened = Envelope::parse(&self.check)
            .ok()
            .and_then(|check| check.open(&kek, &checking(&self.installation_id)));
        match opened {
            Some(constant) if constant.as_slice() == CHECK => Ok(()),
            _ => Err(Error::WrongMasterKey {
                created: certificate::day(self.created_at),
            }),
        }
    }
}

fn checking(installation_id: &str) -> [&[u8]; 2] {
    [installation_id.as_bytes(), b"check"]
}

fn wrapping(installation_id: &str, purpose: Purpose) -> [&[u8]; 3] {
    [installation_id.as_bytes(), b"key", purpose.as_str().as_bytes()]
}

struct DataKey {
    kid: u32,
    purpose: Purpose,
    active: bool,
    key: Zeroizing<[u8; KEY]>,
}

/// The unlocked data keys: seals and opens values, and makes the MACs by which keys and sessions are found.
pub struct KeyRing {
    installation_id: String,
    keys: Vec<DataKey>,
}

impl KeyRing {
    /// Unwraps a stored ring.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] when the check value does not open, [`Error::DamagedRing`] when a key does not
    /// or a purpose has no active key.
    pub fn unlock(master: &MasterKey, stored: &StoredRing) -> Result<Self> {
        stored.check(master)?;
        let damaged = |reason: String| Error::DamagedRing { reason };
        let kek = master.derive(&stored.salt, KEK);
        let mut keys = Vec::new();
        for row in stored.keys.iter().filter(|row| row.state != KeyState::Destroyed) {
            let unwrapped = Envelope::parse(&row.wrapped)
                .ok()
                .filter(|envelope| envelope.kid == row.kid)
                .and_then(|envelope| envelope.open(&kek, &wrapping(&stored.installation_id, row.purpose)))
                .and_then(|bytes| Some(Zeroizing::new(<[u8; KEY]>::try_from(bytes.as_slice()).ok()?)));
            let key = unwrapped.ok_or_else(|| damaged(format!("its key {} does not open", row.kid)))?;
            keys.push(DataKey {
                kid: row.kid,
                purpose: row.purpose,
                active: row.state == KeyState::Active,
                key,
            });
        }
        for purpose in Purpose::ALL {
            if !keys.iter().any(|key| key.active && key.purpose == purpose) {
                return Err(damaged(format!(
                    "it has no active key for the purpose '{}'",
                    purpose.as_str()
                )));
            }
        }
        Ok(Self {
            installation_id: stored.installation_id.clone(),
            keys,
        })
    }

    /// Seals a secret for one place.
    #[must_use]
    pub fn seal(&self, place: SealedPlace<'_>, secret: &Secret) -> Sealed {
        self.seal_bytes(place, secret.expose().as_bytes())
    }

    /// Opens a secret in the place it was sealed for.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming the place, for anything but exactly what was sealed there.
    pub fn open(&self, place: SealedPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        let bytes = self.open_bytes(place, sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::Integrity {
            place: place.to_string(),
            reason: "it is not a text".into(),
        })?;
        Ok(Secret::new(text))
    }

    /// Seals bytes, such as a private key, for one place.
    #[must_use]
    pub fn seal_bytes(&self, place: SealedPlace<'_>, clear: &[u8]) -> Sealed {
        let DataKey { kid, key, .. } = self.active(Purpose::Secrets);
        Sealed::from_text(envelope::seal(key, *kid, &self.bound(&place), clear))
    }

    /// Opens bytes in the place they were sealed for.
    ///
    /// # Errors
    /// As [`KeyRing::open`].
    pub fn open_bytes(&self, place: SealedPlace<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |reason: String| Error::Integrity {
            place: place.to_string(),
            reason,
        };
        let envelope = Envelope::parse(sealed.as_str()).map_err(failed)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.kid == envelope.kid && key.purpose == Purpose::Secrets)
            .ok_or_else(|| {
                failed(format!(
                    "it was sealed with the key {}, which is not in the ring",
                    envelope.kid
                ))
            })?;
        envelope
            .open(&key.key, &self.bound(&place))
            .ok_or_else(|| failed("it is not what was sealed for this place".into()))
    }

    /// The MAC by which an API key is stored and found. The key has full entropy, so no slow hash is needed.
    #[must_use]
    pub fn mac_api_key(&self, key: &str) -> Vec<u8> {
        self.mac(Purpose::ApiKeyPepper, key)
    }

    /// The MAC by which a session's cookie is stored and found.
    #[must_use]
    pub fn mac_session(&self, token: &str) -> Vec<u8> {
        self.mac(Purpose::Session, token)
    }

    /// The anti-forgery token of a session.
    #[must_use]
    pub fn anti_forgery_token(&self, session_id: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(Purpose::AntiForgery, session_id))
    }

    fn mac(&self, purpose: Purpose, text: &str) -> Vec<u8> {
        let key = &self.active(purpose).key;
        let mut mac = Hmac::<Sha256>::new_from_slice(&**key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    fn active(&self, purpose: Purpose) -> &DataKey {
        let newest = self
            .keys
            .iter()
            .filter(|key| key.active && key.purpose == purpose)
            .max_by_key(|key| key.kid);
        newest.expect("unlock() checked that each purpose has an active key")
    }

    fn bound<'a>(&'a self, place: &SealedPlace<'a>) -> [&'a [u8]; 5] {
        [
            self.installation_id.as_bytes(),
            place.space.as_bytes(),
            place.document_type.as_bytes(),
            place.document_id.as_bytes(),
            place.field.as_bytes(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: SealedPlace<'static> = SealedPlace {
        space: "Spaces-1",
        document_type: "VariableSet",
        document_id: "variableset-Projects-1",
        field: "Variables/1",
    };

    fn ring() -> (MasterKey, StoredRing, KeyRing) {
        let master = MasterKey::generate();
        let stored = StoredRing::generate(&master, "an-installation", 1_767_225_600_000);
        let ring = KeyRing::unlock(&master, &stored).unwrap();
        (master, stored, ring)
    }

    #[test]
    fn a_sealed_secret_opens_in_its_place_and_shows_nothing() {
        let (_, _, ring) = ring();
        let sealed = ring.seal(PLACE, &Secret::from("hunter2"));
        assert!(sealed.as_str().starts_with("odc1:"));
        assert_eq!(ring.open(PLACE, &sealed).unwrap().expose(), "hunter2");
        assert!(
            ring.seal(PLACE, &Secret::from("hunter2")) != sealed,
            "equal secrets look different"
        );
        assert_eq!(format!("{sealed:?}"), "Sealed(odc1:…)");
    }

    #[test]
    fn a_sealed_secret_that_was_moved_does_not_open() {
        let (_, _, ring) = ring();
        let sealed = ring.seal(PLACE, &Secret::from("hunter2"));
        for place in [
            SealedPlace {
                space: "Spaces-2",
                ..PLACE
            },
            SealedPlace {
                document_type: "Account",
                ..PLACE
            },
            SealedPlace {
                document_id: "variableset-Projects-2",
                ..PLACE
            },
            SealedPlace {
                field: "Variables/2",
                ..PLACE
            },
            SealedPlace {
                space: "Spaces-1V",
                document_type: "ariableSet",
                ..PLACE
            },
        ] {
            let message = ring.open(place, &sealed).err().unwrap().to_string();
            assert!(
                message.contains("integrity") && message.contains(place.field),
                "{message}"
            );
        }
    }

    #[test]
    fn an_unknown_key_or_algorithm_is_named() {
        let (_, _, ring) = ring();
        let text = ring.seal(PLACE, &Secret::from("x")).as_str().to_string();
        let edited = |edit: fn(&mut Vec<u8>)| {
            use base64::engine::general_purpose::STANDARD;
            let mut bytes = STANDARD.decode(&text[5..]).unwrap();
            edit(&mut bytes);
            let sealed = Sealed::from_text("odc1:".to_string() + &STANDARD.encode(bytes));
            ring.open(PLACE, &sealed).err().unwrap().to_string()
        };
        assert!(edited(|bytes| bytes[4] = 9).contains("unknown algorithm 9"));
        assert!(edited(|bytes| bytes[8] = 77).contains("key 77, which is not in the ring"));
        assert!(edited(|bytes| bytes.truncate(20)).contains("cut off"));
        assert!(ring.open(PLACE, &Sealed::from_text("plain")).is_err());
    }

    #[test]
    fn another_master_key_is_refused_with_the_day_of_the_ring() {
        let (master, stored, _) = ring();
        assert!(stored.check(&master).is_ok());
        let message = KeyRing::unlock(&MasterKey::generate(), &stored)
            .err()
            .unwrap()
            .to_string();
        assert!(message.contains("does not match this database"), "{message}");
        assert!(message.contains("ring created 2026-01-01"), "{message}");
    }

    #[test]
    fn keys_of_a_ring_cannot_be_swapped_and_a_destroyed_key_is_gone() {
        let (master, stored, _) = ring();
        let mut swapped = stored.clone();
        let wrapped = swapped.keys[0].wrapped.clone();
        swapped.keys[1].wrapped = wrapped;
        assert!(matches!(
            KeyRing::unlock(&master, &swapped),
            Err(Error::DamagedRing { .. })
        ));
        let mut destroyed = stored;
        destroyed.keys[0].state = KeyState::Destroyed;
        assert!(matches!(
            KeyRing::unlock(&master, &destroyed),
            Err(Error::DamagedRing { .. })
        ));
    }

    #[test]
    fn macs_of_different_purposes_differ_and_stay_the_same_over_a_restart() {
        let (master, stored, ring) = ring();
        assert_ne!(ring.mac_api_key("text"), ring.mac_session("text"));
        let again = KeyRing::unlock(&master, &stored).unwrap();
        assert_eq!(ring.mac_api_key("text"), again.mac_api_key("text"));
        assert_eq!(ring.anti_forgery_token("id"), again.anti_forgery_token("id"));
    }

    proptest! {
        #[test]
        fn any_secret_comes_back_and_any_flipped_bit_is_an_error(clear in ".{0,40}", at in any::<prop::sample::Index>(), bit in 0..8u8) {
            use base64::engine::general_purpose::STANDARD;
            let (_, _, ring) = ring();
            let sealed = ring.seal(PLACE, &Secret::from(clear.as_str()));
            let opened = ring.open(PLACE, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), clear.as_str());
            let mut bytes = STANDARD.decode(&sealed.as_str()[5..]).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            let flipped = Sealed::from_text("odc1:".to_string() + &STANDARD.encode(bytes));
            prop_assert!(ring.open(PLACE, &flipped).is_err());
        }

        #[test]
        fn any_text_is_an_error_and_no_panic(text in ".{0,80}") {
            let (_, _, ring) = ring();
            let sealed = Sealed::from_text("odc1:".to_string() + &text);
            prop_assert!(ring.open(PLACE, &sealed).is_err());
        }
    }
}
