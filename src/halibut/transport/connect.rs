//! Opens connections to listeners.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::Thumbprint;
use crate::rpc::ListeningUri;
use crate::transport::socket;
use crate::transport::tls::{self, CertificateMismatch, OwnCertificate};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the host name {0} was not found")]
    UnknownHost(String),
    #[error("the connection was refused: nothing listens there, or a firewall is in the way")]
    Refused,
    #[error(transparent)]
    Mismatch(CertificateMismatch),
    #[error("no connection within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("{0}")]
    Network(io::Error),
}

/// Connects and shakes hands; `within` holds for each of the two.
pub(crate) async fn connect(
    uri: &ListeningUri,
    own: Option<&OwnCertificate>,
    expected: Option<Thumbprint>,
    within: Duration,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let host = uri.host();
    let addresses = timeout(within, tokio::net::lookup_host((host, uri.port()))).await;
    let addresses = addresses.map_err(|_| ConnectError::TimedOut(within))?;
    let addresses: Vec<_> = addresses
        .map_err(|_| ConnectError::UnknownHost(host.to_owned()))?
        .collect();
    if addresses.is_empty() {
        return Err(ConnectError::UnknownHost(host.to_owned()));
    }
    let stream = timeout(within, TcpStream::connect(&addresses[..])).await;
    let stream = stream
        .map_err(|_| ConnectError::TimedOut(within))?
        .map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => ConnectError::Refused,
            _ => ConnectError::Network(error),
        })?;
    socket::prepare(&stream).map_err(ConnectError::Network)?;

    let config = tls::client_config(own, expected);
    // A name that TLS cannot carry is left out; it is never checked.
    let nameless = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0])));
    let name = ServerName::try_from(host.to_owned()).unwrap_or(nameless);
    let handshake = timeout(within, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    handshake
        .map_err(|_| ConnectError::TimedOut(within))?
        .map_err(|error| match tls::mismatch_in(&error) {
            Some(mismatch) => ConnectError::Mismatch(mismatch.clone()),
            None => ConnectError::Tls(error),
        })
}
