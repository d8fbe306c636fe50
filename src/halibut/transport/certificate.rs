//! Reads the public key out of a certificate and looks at nothing else, so that certificates of any age and
//! shape do (`tentacle-protocol.md` 1.2, 11).

/// Tags of DER.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The public key of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicKey<'a> {
    /// Content of the algorithm identifier: the algorithm's name and its parameters.
    pub(crate) algorithm: &'a [u8],
    /// The key itself.
    pub(crate) bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Finds the key in a certificate; none when it has another shape than certificates have.
    pub(crate) fn of(certificate: &'a [u8]) -> Option<Self> {
        let (content, _) = element(certificate, SEQUENCE)?;
        let (mut fields, _) = element(content, SEQUENCE)?;
        if let Some((_, rest)) = element(fields, VERSION) {
            fields = rest;
        }
        let (_, rest) = element(fields, INTEGER)?; // serial number
        let (_, rest) = element(rest, SEQUENCE)?; // signature algorithm
        let (_, rest) = element(rest, SEQUENCE)?; // issuer
        let (_, rest) = element(rest, SEQUENCE)?; // validity
        let (_, rest) = element(rest, SEQUENCE)?; // subject
        Self::of_info(rest)
    }

    /// Reads the part of a certificate that holds the key (`SubjectPublicKeyInfo`).
    pub(crate) fn of_info(info: &'a [u8]) -> Option<Self> {
        let (key, _) = element(info, SEQUENCE)?;
        let (algorithm, rest) = element(key, SEQUENCE)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        let (unused, bits) = bits.split_first()?;
        (*unused == 0).then_some(Self { algorithm, bits })
    }

    /// Whether the key is of the algorithm of that identifier. RSA keys are, with and without the empty
    /// parameters.
    pub(crate) fn is_for(&self, identifier: &[u8]) -> bool {
        self.algorithm == identifier || (self.is_rsa() && names_rsa(identifier))
    }

    /// Whether this is an RSA key.
    pub(crate) fn is_rsa(&self) -> bool {
        names_rsa(self.algorithm)
    }

    /// Length of an RSA key's modulus in bits.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        if !self.is_rsa() {
            return None;
        }
        let (content, _) = element(self.bits, SEQUENCE)?;
        let (modulus, _) = element(content, INTEGER)?;
        let leading = modulus.iter().take_while(|&&byte| byte == 0).count();
        let first = modulus.get(leading)?;
        Some((modulus.len() - leading) * 8 - first.leading_zeros() as usize)
    }
}

fn names_rsa(identifier: &[u8]) -> bool {
    element(identifier, OBJECT_IDENTIFIER).is_some_and(|(name, _)| name == RSA_ENCRYPTION)
}

/// Content of the element at the beginning, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // Certificates are shorter than 16 MiB.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x0f))?;
            (
                digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)),
                rest,
            )
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certificate() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("an elliptic key");
        let parameters = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        parameters.self_signed(&key).expect("self-signed").der().to_vec()
    }

    #[test]
    fn the_key_of_a_certificate_is_found() {
        let certificate = certificate();
        let key = PublicKey::of(&certificate).expect("a key");
        assert_eq!(key.bits.len(), 65, "an uncompressed point on P-256");
        assert!(!key.is_rsa());
    }

    #[test]
    fn a_certificate_of_the_first_version_has_no_version_field() {
        let certificate = certificate();
        let key = PublicKey::of(&certificate).expect("a key");
        // The same fields without the version, in a certificate that ends after the key.
        let (content, _) = element(&certificate, SEQUENCE).expect("a certificate");
        let (fields, _) = element(content, SEQUENCE).expect("fields");
        let (_, without_version) = element(fields, VERSION).expect("a version");
        let wrap = |content: &[u8]| {
            let length = u16::try_from(content.len()).expect("short").to_be_bytes();
            [&[SEQUENCE, 0x82][..], &length, content].concat()
        };
        let old = wrap(&wrap(without_version));
        assert_eq!(PublicKey::of(&old), Some(key));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()) {
            let mut certificate = certificate();
            let length = certificate.len();
            certificate[at % length.min(200)] = byte;
            if let Some(key) = PublicKey::of(&certificate[..cut % (length + 1)]) {
                let _ = key.rsa_bits();
            }
        }
    }
}
