use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::identity::Thumbprint;
use crate::rpc::ListeningUri;
use crate::transport::connect::connect;

/// Why a thumbprint could not be learned.
#[derive(Debug, thiserror::Error)]
#[error("no Tentacle was discovered at {uri}: {reason}")]
pub struct DiscoveryError {
    uri: ListeningUri,
    reason: String,
}

/// Learns the thumbprint of a listener by shaking hands with it and saying no more than hello
/// (`tentacle-protocol.md` 1.5). Waits `within` for each of name, connection and handshake.
pub async fn discover(uri: &ListeningUri, within: Duration) -> Result<Thumbprint, DiscoveryError> {
    let failed = |reason: String| DiscoveryError {
        uri: uri.clone(),
        reason,
    };
    let mut stream = connect(uri, None, None, within)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let thumbprint = certificate.map(|certificate| Thumbprint::of(certificate));
    let thumbprint = thumbprint.ok_or_else(|| failed("it showed no certificate".to_owned()))?;
    let hello = async {
        stream.write_all(b"HELLO\r\n\r\n").await?;
        stream.shutdown().await
    };
    // The thumbprint is known; how the listener takes the greeting does not matter.
    drop(tokio::time::timeout(within, hello).await);
    Ok(thumbprint)
}
