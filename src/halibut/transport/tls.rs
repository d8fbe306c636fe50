//! TLS 1.2 and 1.3 with pinned certificates: names, dates, chains and signatures of certificates do not
//! count, their thumbprint does, and that the peer holds the private key is always verified
//! (`tentacle-protocol.md` 1).

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerMisbehaved, ServerConfig, SignatureScheme,
};

use crate::identity::{Identity, IdentityError, Thumbprint};
use crate::transport::certificate::PublicKey;

/// The peer has another certificate than it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the certificate {expected}, got {got}")]
pub(crate) struct CertificateMismatch {
    pub(crate) expected: Thumbprint,
    pub(crate) got: Thumbprint,
}

/// A certificate whose key cannot be verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct UnusableKey(String);

/// Our own certificate, ready for handshakes.
#[derive(Clone)]
pub(crate) struct OwnCertificate(Arc<SingleCertAndKey>);

impl OwnCertificate {
    /// Loads the key. The certificate itself is shown as it is, whatever its shape.
    pub(crate) fn new(identity: &Identity) -> Result<Self, IdentityError> {
        let unusable = |reason: String| IdentityError::Unusable {
            thumbprint: identity.thumbprint().clone(),
            reason,
        };
        let key = PrivatePkcs8KeyDer::from(identity.private_key_pkcs8_der().to_vec());
        let key = ring::sign::any_supported_type(&PrivateKeyDer::from(key));
        let key = key.map_err(|_| {
            unusable("its private key is neither RSA of 2,048 bits or more nor on a common curve".to_owned())
        })?;
        let certificate = identity.certificate_der();
        let shown =
            PublicKey::of(certificate).ok_or_else(|| unusable("it is not a certificate".to_owned()))?;
        if let Some(own) = key.public_key()
            && PublicKey::of_info(own.as_ref()).is_some_and(|own| own.bits != shown.bits)
        {
            return Err(unusable(
                "its private key belongs to another certificate".to_owned(),
            ));
        }
        let chain = vec![CertificateDer::from(certificate.to_vec())];
        Ok(Self(Arc::new(SingleCertAndKey::from(CertifiedKey::new(
            chain, key,
        )))))
    }
}

/// For listeners: asks for a certificate, takes any and also none; who may talk is decided later.
pub(crate) fn server_config(own: &OwnCertificate) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.expect("the provider has suites for both versions");
    let mut config = builder
        .with_client_cert_verifier(Arc::new(AnyClient(algorithms())))
        .with_cert_resolver(Arc::clone(&own.0) as Arc<_>);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// For those who dial: accepts exactly the certificate with this thumbprint; any, when there is none.
pub(crate) fn client_config(own: Option<&OwnCertificate>, expected: Option<Thumbprint>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.expect("the provider has suites for both versions");
    let verifier = Arc::new(PinnedServer {
        expected,
        algorithms: algorithms(),
    });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(Arc::clone(&own.0) as Arc<_>),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config
}

/// The mismatch that made a handshake fail, if that was it.
pub(crate) fn mismatch_in(error: &std::io::Error) -> Option<&CertificateMismatch> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref(),
        _ => None,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

#[derive(Debug)]
struct PinnedServer {
    expected: Option<Thumbprint>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let got = Thumbprint::of(end_entity);
        match &self.expected {
            Some(expected) if *expected != got => Err(certificate_error(CertificateMismatch {
                expected: expected.clone(),
                got,
            })),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(&self.algorithms, message, certificate, signed, Version::Tls12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(&self.algorithms, message, certificate, signed, Version::Tls13)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct AnyClient(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No names of accepted issuers are sent, as the original does not.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(&self.0, message, certificate, signed, Version::Tls12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(&self.0, message, certificate, signed, Version::Tls13)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Version {
    Tls12,
    Tls13,
}

/// Verifies that the peer holds the private key of its certificate. rustls has such functions, but they
/// refuse certificates of the first version and with odd extensions.
fn verify_signature(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    version: Version,
) -> Result<HandshakeSignatureValid, Error> {
    let unadvertised = || Error::from(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);
    let key = PublicKey::of(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    if let Some(bits) = key.rsa_bits().filter(|bits| *bits < 2048) {
        let text = format!(
            "the certificate has an RSA key of {bits} bits; 2,048 are needed, so make a new certificate"
        );
        return Err(certificate_error(UnusableKey(text)));
    }
    let old_padding = matches!(
        signed.scheme,
        SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    );
    if version == Version::Tls13 && old_padding {
        return Err(unadvertised());
    }
    let (_, candidates) = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or_else(unadvertised)?;
    // In TLS 1.3 a scheme stands for one curve, in 1.2 for any.
    let candidates = if version == Version::Tls13 {
        &candidates[..1]
    } else {
        candidates
    };
    for candidate in candidates
        .iter()
        .filter(|candidate| key.is_for(&candidate.public_key_alg_id()))
    {
        if candidate
            .verify_signature(key.bits, message, signed.signature())
            .is_ok()
        {
            return Ok(HandshakeSignatureValid::assertion());
        }
    }
    Err(Error::InvalidCertificate(CertificateError::BadSignature))
}

fn certificate_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}
