//! What orchestrators ask (`containers.md` 2.6): live, ready, startup; and the command that asks it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use application::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use settings::{ExitCode, ServerSettings};

/// What readiness looks at.
#[derive(Clone)]
pub struct Health {
    context: Arc<Context>,
    folders: Arc<Vec<PathBuf>>,
    started: Arc<AtomicBool>,
}

impl Health {
    /// Of a Server that is starting.
    #[must_use]
    pub fn new(context: Arc<Context>, folders: Vec<PathBuf>) -> Self {
        Self {
            context,
            folders: Arc::new(folders),
            started: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The Server takes requests and tasks now.
    pub fn set_started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// The routes. They need no credential and tell nothing but states.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/healthz/live", get(live))
            .route("/healthz/ready", get(ready))
            .route("/healthz/startup", get(startup))
            .route("/api/serverstatus/hosted/internal", get(ready))
            .with_state(self.clone())
    }

    /// Every reason why the Server is not ready.
    async fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if !self.started.load(Ordering::Relaxed) {
            obstacles.push("The Server is starting.".to_string());
        }
        if self.context.draining.load(Ordering::Relaxed) {
            obstacles.push("The Server is draining.".to_string());
        }
        let asked = tokio::time::timeout(
            Duration::from_secs(2),
            storage::schema::inspect(&self.context.database),
        )
        .await;
        match asked {
            Ok(Ok(storage::schema::State::Current)) => {}
            Ok(Ok(_)) => obstacles.push("The schema of the database is not current.".to_string()),
            Ok(Err(_)) | Err(_) => obstacles.push("The database does not answer.".to_string()),
        }
        for folder in self.folders.iter() {
            let folder = folder.clone();
            let shown = folder.display().to_string();
            let writable = tokio::task::spawn_blocking(move || {
                rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK).is_ok()
            });
            if !writable.await.unwrap_or(false) {
                obstacles.push(format!("The folder {shown} is not writable."));
            }
        }
        obstacles
    }
}

async fn live() -> Response {
    axum::Json(json!({ "Status": "Live" })).into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let obstacles = health.obstacles().await;
    if obstacles.is_empty() {
        return axum::Json(json!({ "Status": "Ready" })).into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        axum::Json(json!({ "Status": "NotReady", "Reasons": obstacles })),
    )
        .into_response()
}

async fn startup(State(health): State<Health>) -> Response {
    match health.started.load(Ordering::Relaxed) {
        true => axum::Json(json!({ "Status": "Started" })).into_response(),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            axum::Json(json!({ "Status": "Starting" })),
        )
            .into_response(),
    }
}

/// `mantle healthcheck`: asks the Server in the same container, by the same settings.
pub async fn check(settings: &ServerSettings) -> ExitCode {
    let port = settings.http_ports.first().copied().unwrap_or(8080);
    match tokio::time::timeout(Duration::from_secs(3), ask(port)).await {
        Ok(Ok(true)) => ExitCode::Success,
        Ok(Ok(false)) => {
            println!("The Server is not ready.");
            ExitCode::Failure
        }
        Ok(Err(error)) => {
            println!("The Server does not answer on port {port}: {error}.");
            ExitCode::Failure
        }
        Err(_) => {
            println!("The Server does not answer on port {port} within 3 s.");
            ExitCode::Failure
        }
    }
}

/// A request of four lines needs no HTTP client.
async fn ask(port: u16) -> std::io::Result<bool> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let addresses = addresses.map(|address| SocketAddr::new(address, port));
    let mut socket = tokio::net::TcpStream::connect(&addresses[..]).await?;
    socket
        .write_all(b"GET /healthz/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await?;
    Ok(&answer == b"HTTP/1.1 200")
}
