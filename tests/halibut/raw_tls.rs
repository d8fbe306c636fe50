//! TLS without any of halibut's rules, for parties that play a recording or break a rule.

use std::net::SocketAddr;
use std::sync::Arc;

use halibut::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Shakes hands as the one who was dialled.
pub async fn accept(stream: TcpStream, own: &Identity) -> std::io::Result<server::TlsStream<TcpStream>> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("both versions")
        .with_client_cert_verifier(Arc::new(Anyone))
        .with_cert_resolver(certificate(own));
    TlsAcceptor::from(Arc::new(config)).accept(stream).await
}

/// Dials and shakes hands, with a certificate or without.
pub async fn dial(
    address: SocketAddr,
    own: Option<&Identity>,
) -> std::io::Result<client::TlsStream<TcpStream>> {
    dial_with(address, own, &[&rustls::version::TLS12, &rustls::version::TLS13]).await
}

/// As [`dial`], with these versions of TLS only.
pub async fn dial_with(
    address: SocketAddr,
    own: Option<&Identity>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<client::TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("supported versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone));
    let config = match own {
        Some(own) => builder.with_client_cert_resolver(certificate(own)),
        None => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::from(address.ip());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The certificate of one party with the key of another.
pub fn stolen(certificate: &Identity, key: &Identity) -> Identity {
    Identity::new(
        certificate.certificate_der().to_vec(),
        key.private_key_pkcs8_der().to_vec(),
    )
}

fn certificate(own: &Identity) -> Arc<SingleCertAndKey> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.private_key_pkcs8_der().to_vec()));
    let key = ring::sign::any_supported_type(&key).expect("a usable key");
    let chain = vec![CertificateDer::from(own.certificate_der().to_vec())];
    Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Anyone {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
