//! HTTP and HTTPS sockets, and what a peer may cost before it is known (`security.md` 1.3, 4.3 B26 to B29).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use security::{Certificate, Secret};
use settings::{ExitCode, TlsFiles};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::failure::Failure;

/// Slow senders of headers are cut off.
const HEADER_TIME: Duration = Duration::from_secs(10);
const MOST_HEADERS: usize = 100;
const LARGEST_HEADER: usize = 64 * 1024;
const MOST_CONNECTIONS: usize = 4096;

/// A bound socket, not yet served.
pub struct Socket {
    listener: TcpListener,
    /// The address it is bound to.
    pub address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// Binds a port. Where there is no IPv6 the unspecified address means IPv4.
///
/// # Errors
/// A line that names the port and the reason.
pub async fn bind(address: IpAddr, port: u16, tls: Option<Arc<ServerConfig>>) -> Result<Socket, Failure> {
    let bound = match TcpListener::bind(SocketAddr::new(address, port)).await {
        Err(_) if address.is_unspecified() && address.is_ipv6() => {
            TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)).await
        }
        other => other,
    };
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "Ports below 1024 need an engine that allows them, or root; set HTTP_PORT to a higher one."
            }
            std::io::ErrorKind::AddrInUse => "Stop the program that uses it, or set another HTTP_PORT.",
            _ => "Choose another address or port.",
        };
        Failure::new(
            ExitCode::Folder,
            format!("The port {port} on {address} cannot be bound: {error}. {hint}"),
        )
    };
    let listener = bound.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Socket {
        listener,
        address,
        tls: tls.map(TlsAcceptor::from),
    })
}

/// What HTTPS shows: a PFX, or a PEM file with certificate and key.
///
/// # Errors
/// A line that names the file and what is wrong with it.
pub fn tls(files: &TlsFiles) -> Result<Arc<ServerConfig>, Failure> {
    let path = files.certificate.display();
    let wrong = |problem: String| {
        Failure::new(
            ExitCode::Configuration,
            format!("SSL_CERTIFICATE_FILE: {path} cannot be used: {problem}"),
        )
    };
    let content = std::fs::read(&files.certificate).map_err(|error| wrong(error.to_string()))?;
    let certificate = match std::str::from_utf8(&content) {
        Ok(text) if text.contains("-----BEGIN") => Certificate::from_pem(&Secret::new(text)),
        _ => {
            let password = files.password.as_ref().map_or("", |password| password.expose());
            Certificate::from_pfx(&content, &Secret::new(password))
        }
    }
    .map_err(|error| wrong(error.to_string()))?;
    let chain = vec![CertificateDer::from(certificate.der.clone())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.private_key_pkcs8.to_vec()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(config))
}

/// Serves a socket until told to stop; requests under way are then finished, idle connections closed.
pub async fn serve(socket: Socket, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = socket.listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: others close theirs in a moment.
                tracing::warn!(%error, "A connection could not be accepted.");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (router, watcher, tls) = (router.clone(), graceful.watcher(), socket.tls.clone());
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was refused.");
            }
            match tls {
                None => connection(stream, peer, false, router, watcher).await,
                Some(tls) => match tokio::time::timeout(HEADER_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, peer, true, router, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "A TLS handshake failed."),
                    Err(_) => tracing::debug!(%peer, "A TLS handshake took too long."),
                },
            }
        });
    }
    drop(socket);
    graceful.shutdown().await;
}

/// Sends everybody to HTTPS (`WEB_FORCE_SSL`); health checks stay.
pub fn redirect_to_https(https_port: u16) -> Router {
    Router::new().fallback(move |request: Request| async move {
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or("localhost");
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        axum::response::Redirect::permanent(&format!("https://{name}:{https_port}{path}"))
    })
}

async fn connection<S>(
    stream: S,
    peer: SocketAddr,
    secure: bool,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = api::normalise(request.map(Body::new));
            request.extensions_mut().insert(ConnectInfo(peer));
            router
                .oneshot(request)
                .await
                .map(|response| with_headers(response, secure))
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEADER);
    let served = watcher.watch(server.serve_connection(TokioIo::new(stream), service));
    if let Err(error) = served.await {
        tracing::debug!(%peer, %error, "A connection ended early.");
    }
}

/// What every answer carries (`security.md` 1.3).
fn with_headers(mut response: Response, secure: bool) -> Response {
    const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; \
                          object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
    let headers = response.headers_mut();
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A file that somebody else made has a stricter one.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, no-store"));
    if secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}
