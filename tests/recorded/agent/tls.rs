//! TLS of the recording server, and of a browser that comes by.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, SignatureScheme, StreamOwned,
};
use sha1::{Digest, Sha1};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate of the recording server's own, and its thumbprint.
///
/// # Errors
/// When none can be made.
pub fn certificate() -> Result<(Arc<ServerConfig>, String), String> {
    let problem = |why: &dyn std::fmt::Display| format!("a certificate: {why}");
    let key = KeyPair::generate().map_err(|why| problem(&why))?;
    let mut params = CertificateParams::new(Vec::new()).map_err(|why| problem(&why))?;
    params.distinguished_name.push(DnType::CommonName, "Octopus");
    let certificate = params.self_signed(&key).map_err(|why| problem(&why))?;
    let der = certificate.der().clone();
    let thumbprint = hex::encode_upper(Sha1::digest(&der));
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|why| problem(&why))?
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .map_err(|why| problem(&why))?;
    Ok((Arc::new(config), thumbprint))
}

/// Sends bytes over TLS without a certificate, and reads until the other side closes.
///
/// # Errors
/// When no connection comes about.
pub fn ask(port: u16, bytes: &[u8]) -> Result<String, String> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|why| format!("TLS: {why}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let problem = |why: std::io::Error| format!("port {port}: {why}");
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(problem)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(problem)?;
    let name = ServerName::try_from("localhost").map_err(|why| format!("TLS: {why}"))?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|why| format!("TLS: {why}"))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(bytes).map_err(problem)?;
    stream.flush().map_err(problem)?;
    let mut answer = Vec::new();
    // Connections end without close_notify: what came until then is the answer.
    match stream.read_to_end(&mut answer) {
        Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => Err(format!("port {port}: not closed")),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
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
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
