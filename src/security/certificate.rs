//! Self-signed certificates, the identities of Servers and agents (`tentacle-protocol.md` 1.2).

use std::fmt;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey, PrivateKeyChain};
use pem::Pem;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, SerialNumber};
use rsa::pkcs8::EncodePrivateKey;
use sha1::{Digest, Sha1};
use time::{Date, Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::{Error, Result, Secret, random};

const BITS: usize = 2048;
const YEARS: i32 = 100;
/// A certificate file larger than this is not one.
const LARGEST: usize = 1 << 20;

/// A certificate with its private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The private key, PKCS#8 DER.
    pub private_key_pkcs8: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Certificate({})", self.thumbprint())
    }
}

impl Certificate {
    /// Makes one: RSA 2048, SHA256-RSA, X.509 v3 without extensions, `CN=<common_name>` as subject and issuer,
    /// valid from yesterday 00:00 UTC for 100 years. `now` is in milliseconds since 1970 UTC. Finding the primes
    /// takes up to some seconds of processor time: call it beside the event loop.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the key cannot be made or `now` is no date.
    pub fn generate(common_name: &str, now: i64) -> Result<Self> {
        let failed = |reason: String| Error::Certificate {
            attempted: "made",
            reason,
        };
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS)
            .map_err(|why| failed(why.to_string()))?;
        let key = key.to_pkcs8_der().map_err(|why| failed(why.to_string()))?;
        let private_key_pkcs8 = Zeroizing::new(key.as_bytes().to_vec());
        let pair = key_pair(&private_key_pkcs8).map_err(failed)?;

        let today = date(now).ok_or_else(|| failed("the clock shows no date".into()))?;
        let yesterday = today
            .previous_day()
            .ok_or_else(|| failed("the clock shows no date".into()))?;
        // The day before a leap day's 100th anniversary may not exist; a day later is as good.
        let century = today
            .replace_year(today.year() + YEARS)
            .or_else(|_| (today + Duration::days(1)).replace_year(today.year() + YEARS));
        let mut parameters = CertificateParams::default();
        parameters.not_before = yesterday.midnight().assume_utc();
        parameters.not_after = century
            .map_err(|why| failed(why.to_string()))?
            .midnight()
            .assume_utc();
        let mut serial: [u8; 8] = random();
        serial[0] = serial[0] & 0x7F | 0x40;
        parameters.serial_number = Some(SerialNumber::from_slice(&serial));
        parameters.distinguished_name = DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::CommonName, common_name);
        let certificate = parameters
            .self_signed(&pair)
            .map_err(|why| failed(why.to_string()))?;
        Ok(Self {
            der: certificate.der().to_vec(),
            private_key_pkcs8,
        })
    }

    /// Takes the parts of one, when they belong together.
    ///
    /// # Errors
    /// [`Error::Certificate`] when either cannot be read or the key is that of another certificate.
    pub fn from_der(der: Vec<u8>, private_key_pkcs8: Zeroizing<Vec<u8>>) -> Result<Self> {
        let public = key_pair(&private_key_pkcs8)
            .map_err(unreadable)?
            .subject_public_key_info();
        if public_key(&der).map_err(unreadable)? != public {
            return Err(unreadable(
                "its private key belongs to another certificate".into(),
            ));
        }
        Ok(Self {
            der,
            private_key_pkcs8,
        })
    }

    /// The thumbprint: SHA-1 of the whole DER in upper-case hex.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.der)
    }

    /// The bits of an RSA key's modulus; none for another kind of key. Below 2,048 deserves a warning.
    #[must_use]
    pub fn rsa_bits(&self) -> Option<usize> {
        use rsa::pkcs8::DecodePrivateKey;
        use rsa::traits::PublicKeyParts;
        rsa::RsaPrivateKey::from_pkcs8_der(&self.private_key_pkcs8)
            .ok()
            .map(|key| key.n().bits())
    }

    /// Reads a PKCS#12 file (.pfx): its first private key and the certificate that belongs to it.
    ///
    /// # Errors
    /// [`Error::Certificate`] for a wrong password or a file without such a pair.
    pub fn from_pfx(file: &[u8], password: &Secret) -> Result<Self> {
        if file.len() > LARGEST {
            return Err(unreadable("the file is larger than 1 MiB".into()));
        }
        let archive = Pkcs12Archive::from_pkcs12(file, password.expose()).map_err(|why| {
            unreadable(format!(
                "the file is no PKCS#12 file or the password is wrong ({why})"
            ))
        })?;
        let key = archive
            .keys
            .first()
            .ok_or_else(|| unreadable("the file holds no private key".into()))?;
        let key = Zeroizing::new(key.key.as_der().to_vec());
        let public = key_pair(&key).map_err(unreadable)?.subject_public_key_info();
        let own = archive
            .certs
            .iter()
            .find(|bag| public_key(bag.cert.as_der()).is_ok_and(|found| found == public));
        let own =
            own.ok_or_else(|| unreadable("the file holds no certificate for its private key".into()))?;
        Ok(Self {
            der: own.cert.as_der().to_vec(),
            private_key_pkcs8: key,
        })
    }

    /// Writes a PKCS#12 file, encrypted with AES-256 and PBKDF2-SHA256; an empty password is allowed.
    ///
    /// # Errors
    /// [`Error::Certificate`] when it cannot be encoded.
    pub fn to_pfx(&self, password: &Secret) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |why: p12_keystore::error::Error| Error::Certificate {
            attempted: "written",
            reason: why.to_string(),
        };
        let certificate = p12_keystore::Certificate::from_der(&self.der).map_err(failed)?;
        let key = PrivateKey::from_der(&self.private_key_pkcs8).map_err(failed)?;
        let id = Sha1::digest(&self.der);
        let mut store = KeyStore::new();
        let chain = PrivateKeyChain::new(id.as_slice(), key, [certificate]);
        store.add_entry(&self.thumbprint(), KeyStoreEntry::PrivateKeyChain(chain));
        store
            .writer(password.expose())
            .write()
            .map(Zeroizing::new)
            .map_err(failed)
    }

    /// Reads a text with a `CERTIFICATE` block and a `PRIVATE KEY` (PKCS#8) block, in any order; the first
    /// certificate counts.
    ///
    /// # Errors
    /// [`Error::Certificate`] when one is missing or they do not belong together.
    pub fn from_pem(text: &Secret) -> Result<Self> {
        if text.expose().len() > LARGEST {
            return Err(unreadable("the text is larger than 1 MiB".into()));
        }
        let blocks = pem::parse_many(text.expose()).map_err(|why| unreadable(why.to_string()))?;
        let block = |tag: &str| {
            let found = blocks.iter().find(|block| block.tag() == tag);
            found
                .map(|block| block.contents().to_vec())
                .ok_or_else(|| unreadable(format!("the text has no {tag} block")))
        };
        Self::from_der(block("CERTIFICATE")?, Zeroizing::new(block("PRIVATE KEY")?))
    }

    /// Writes a text of both blocks.
    #[must_use]
    pub fn to_pem(&self) -> Secret {
        let key = Zeroizing::new(pem::encode(&Pem::new(
            "PRIVATE KEY",
            self.private_key_pkcs8.to_vec(),
        )));
        Secret::new(pem::encode(&Pem::new("CERTIFICATE", self.der.clone())) + &key)
    }
}

/// The thumbprint of any certificate: SHA-1 of the whole DER in upper-case hex.
#[must_use]
pub fn thumbprint(der: &[u8]) -> String {
    hex::encode_upper(Sha1::digest(der))
}

/// The day of a time in milliseconds since 1970 UTC, `2026-01-31`.
pub(crate) fn day(now: i64) -> String {
    date(now).map_or_else(
        || "on an unknown day".into(),
        |date| {
            format!(
                "{:04}-{:02}-{:02}",
                date.year(),
                u8::from(date.month()),
                date.day()
            )
        },
    )
}

fn date(now: i64) -> Option<Date> {
    OffsetDateTime::from_unix_timestamp(now.div_euclid(1000))
        .ok()
        .map(OffsetDateTime::date)
}

fn key_pair(pkcs8: &[u8]) -> Result<KeyPair, String> {
    KeyPair::try_from(pkcs8).map_err(|why| {
        format!("its private key is not RSA of at least 2048 bits, ECDSA or Ed25519 in PKCS#8 ({why})")
    })
}

fn public_key(der: &[u8]) -> Result<Vec<u8>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate.tbs_certificate.subject_pki.raw.to_vec()),
        Ok(_) => Err("there are bytes behind the certificate".into()),
        Err(why) => Err(format!("it is no X.509 certificate ({why})")),
    }
}

fn unreadable(reason: String) -> Error {
    Error::Certificate {
        attempted: "read",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-02-28 12:00 UTC.
    const NOW: i64 = 1_772_280_000_000;

    fn certificate() -> &'static Certificate {
        static ONE: std::sync::LazyLock<Certificate> =
            std::sync::LazyLock::new(|| Certificate::generate("Octopus Tentacle", NOW).unwrap());
        &ONE
    }

    #[test]
    fn a_certificate_has_the_shape_that_the_original_makes() {
        let (rest, parsed) = X509Certificate::from_der(&certificate().der).unwrap();
        assert!(rest.is_empty());
        assert_eq!(parsed.version().0, 2, "X.509 v3");
        assert_eq!(parsed.subject().to_string(), "CN=Octopus Tentacle");
        assert_eq!(parsed.issuer(), parsed.subject());
        assert!(parsed.extensions().is_empty());
        assert_eq!(
            parsed.signature_algorithm.algorithm.to_id_string(),
            "1.2.840.113549.1.1.11"
        );
        assert!(parsed.raw_serial().len() == 8 && parsed.raw_serial()[0] < 0x80);
        assert_eq!(day(parsed.validity().not_before.timestamp() * 1000), "2026-02-27");
        assert_eq!(day(parsed.validity().not_after.timestamp() * 1000), "2126-02-28");
        assert_eq!(certificate().rsa_bits(), Some(2048));
    }

    #[test]
    fn a_thumbprint_is_the_upper_case_sha_1_of_the_der() {
        assert_eq!(thumbprint(b"abc"), "A9993E364706816ABA3E25717850C26C9CD0D89D");
        assert_eq!(
            format!("{:?}", certificate()),
            format!("Certificate({})", certificate().thumbprint())
        );
    }

    #[test]
    fn a_certificate_survives_pfx_and_pem() {
        for password in ["", "pass wörd"] {
            let file = certificate().to_pfx(&password.into()).unwrap();
            assert_eq!(
                &Certificate::from_pfx(&file, &password.into()).unwrap(),
                certificate()
            );
            assert!(
                Certificate::from_pfx(&file, &"another".into())
                    .unwrap_err()
                    .to_string()
                    .contains("password")
            );
        }
        assert_eq!(
            &Certificate::from_pem(&certificate().to_pem()).unwrap(),
            certificate()
        );
    }

    #[test]
    fn a_file_that_openssl_exported_in_the_old_way_is_read() {
        let read = Certificate::from_pfx(include_bytes!("fixtures/legacy.pfx"), &"secret".into()).unwrap();
        assert_eq!(
            read.thumbprint(),
            include_str!("fixtures/legacy.thumbprint").trim()
        );
    }

    #[test]
    fn the_key_of_another_certificate_is_refused() {
        let other = Certificate::generate("Other", NOW).unwrap();
        let mixed = Certificate::from_der(certificate().der.clone(), other.private_key_pkcs8);
        assert!(mixed.unwrap_err().to_string().contains("another certificate"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Certificate::from_pfx(&bytes, &Secret::default()).is_err());
            prop_assert!(Certificate::from_der(bytes.clone(), Zeroizing::new(bytes.clone())).is_err());
            prop_assert!(Certificate::from_pem(&Secret::new(String::from_utf8_lossy(&bytes))).is_err());
        }

        #[test]
        fn a_changed_pfx_is_an_error_or_the_same_certificate(at in any::<prop::sample::Index>(), with in any::<u8>()) {
            static FILE: std::sync::LazyLock<Vec<u8>> =
                std::sync::LazyLock::new(|| certificate().to_pfx(&"p".into()).unwrap().to_vec());
            let mut file = FILE.clone();
            let at = at.index(file.len());
            file[at] = with;
            if let Ok(read) = Certificate::from_pfx(&file, &"p".into()) {
                prop_assert_eq!(&read, certificate());
            }
        }
    }
}
