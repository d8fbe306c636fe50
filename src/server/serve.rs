//! `mantle serve`: node, engine, listeners; then the way down (`containers.md` 2.2 steps 11 and 12, 2.7).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use application::{Clock, Context, SystemClock};
use axum::Router;
use settings::{ExitCode, Folders, ServerSettings};
use storage::{Lock, schema};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::command::Serve;
use crate::failure::Failure;
use crate::health::Health;
use crate::{listen, prepare};

/// How long the sockets may take to finish requests under way.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// A Server that serves.
pub struct Running {
    /// What use cases work with.
    pub context: Arc<Context>,
    /// Where HTTP and HTTPS are.
    pub addresses: Vec<SocketAddr>,
    node: Lock,
    owner: String,
    stop_sockets: CancellationToken,
    sockets: JoinSet<()>,
}

/// Serves until SIGTERM or SIGINT. A second signal ends at once.
///
/// # Errors
/// A start that fails, with the exit code of its kind.
pub async fn run(settings: ServerSettings, options: Serve) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(ExitCode::Failure, format!("Signals cannot be received: {error}."))
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let grace = Duration::from_secs(settings.shutdown_grace_seconds.into());
    let running = start(&settings, &options).await?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!("Received {name}; running tasks have {} s.", grace.as_secs());
    tokio::spawn(async move {
        let code = tokio::select! {
            _ = terminate.recv() => 143,
            _ = interrupt.recv() => 130,
        };
        std::process::exit(code);
    });
    running.stop(grace).await;
    Ok(())
}

/// Starts everything and gives it back when it is ready.
///
/// # Errors
/// A database that was not prepared, a key that does not fit, a port that cannot be bound, a live node of this name.
pub async fn start(settings: &ServerSettings, options: &Serve) -> Result<Running, Failure> {
    let folders = options.home.folders();
    let database = prepare::connect(settings, &folders).await?;
    if schema::inspect(&database).await? != schema::State::Current {
        return Err(Failure::new(
            ExitCode::Schema,
            "The database is not prepared for this version. Run `mantle prepare` first; the container does so by itself.",
        ));
    }
    let clock = Arc::new(SystemClock);
    let keys = prepare::existing(&database, settings, &folders).await?;
    let context = prepare::context(settings, &folders, database, keys, clock.clone()).await?;
    let context = Arc::new(context);
    let node = context
        .database
        .lock_node(&context.node_name, Duration::from_secs(10))
        .await?;
    let owner = security::token::identifier();
    let mut session = context.database.write().await?;
    storage::node::register(
        &mut session,
        &context.node_name,
        &owner,
        &context.product_version,
        settings.task_cap.into(),
        clock.now(),
    )
    .await?;
    session.commit().await?;

    let volumes = vec![
        folders.data.clone(),
        folders.repository.clone(),
        folders.artifacts.clone(),
        folders.task_logs.clone(),
    ];
    let health = Health::new(Arc::clone(&context), volumes);
    let router = Router::new()
        .merge(health.router())
        .merge(api::router(Arc::clone(&context)))
        .merge(portal::router(Arc::clone(&context)));
    let stop_sockets = CancellationToken::new();
    let mut sockets = JoinSet::new();
    let addresses = listen_all(settings, options, &router, &health, &mut sockets, &stop_sockets).await?;
    health.set_started();
    tracing::info!("Web server is ready to process requests");
    Ok(Running {
        context,
        addresses,
        node,
        owner,
        stop_sockets,
        sockets,
    })
}

async fn listen_all(
    settings: &ServerSettings,
    options: &Serve,
    router: &Router,
    health: &Health,
    sockets: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<Vec<SocketAddr>, Failure> {
    let https_port = settings
        .https_port
        .unwrap_or(if rustix::process::geteuid().is_root() {
            443
        } else {
            8443
        });
    let tls = settings.tls.as_ref().map(listen::tls).transpose()?;
    let plain = match (&tls, settings.force_tls) {
        (Some(_), true) => Router::new()
            .merge(health.router())
            .merge(listen::redirect_to_https(https_port)),
        _ => router.clone(),
    };
    let mut addresses = Vec::new();
    for port in &settings.http_ports {
        let socket = listen::bind(options.bind, *port, None).await?;
        tracing::info!("Listening for HTTP on http://{}", socket.address);
        addresses.push(socket.address);
        sockets.spawn(listen::serve(socket, plain.clone(), stop.clone()));
    }
    if let Some(tls) = tls {
        let socket = listen::bind(options.bind, https_port, Some(tls)).await?;
        tracing::info!("Listening for HTTPS on https://{}", socket.address);
        addresses.push(socket.address);
        sockets.spawn(listen::serve(socket, router.clone(), stop.clone()));
    }
    Ok(addresses)
}

impl Running {
    /// Takes no more tasks, gives those that run their grace, and ends.
    pub async fn stop(mut self, _grace: Duration) {
        self.context.draining.store(true, Ordering::Relaxed);
        self.stop_sockets.cancel();
        let finished = tokio::time::timeout(LAST_REQUESTS, async {
            while self.sockets.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!("Some requests were not finished in time and are cut off.");
        }
        let now = self.context.clock.now();
        let left = async {
            let mut session = self.context.database.write().await?;
            storage::node::leave(&mut session, &self.owner, now).await?;
            session.commit().await
        };
        if let Err(error) = left.await {
            tracing::warn!(%error, "The node could not be signed off; another start takes its tasks over all the same.");
        }
        self.node.release().await;
        self.context.database.close().await;
        tracing::info!("The Server has ended.");
    }
}

/// `mantle drain`: takes no more tasks on this node and waits for those that run.
///
/// # Errors
/// Tasks that still run when the time is over.
pub async fn drain(
    settings: &ServerSettings,
    folders: &Folders,
    drain: bool,
    wait: u64,
    cancel_tasks: bool,
) -> Result<(), Failure> {
    let database = prepare::connect(settings, folders).await?;
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = settings.node_name.resolve(&settings.database, host);
    let mut session = database.write().await?;
    if !storage::node::set_draining(&mut session, &name, drain).await? {
        return Err(Failure::new(
            ExitCode::Failure,
            format!("There is no node of the name '{name}'."),
        ));
    }
    session.commit().await?;
    println!(
        "The node {name} {}.",
        if drain {
            "takes no more tasks"
        } else {
            "takes tasks again"
        }
    );
    if !drain {
        return Ok(());
    }
    let end = tokio::time::Instant::now() + Duration::from_secs(wait);
    loop {
        let mut session = database.write().await?;
        let Some(node) = storage::node::find(&mut session, &name).await? else {
            return Ok(());
        };
        let filter = storage::server_task::TaskFilter {
            include_system: true,
            node: Some(name.clone()),
            states: storage::server_task::TaskFilter::active(),
            ..storage::server_task::TaskFilter::default()
        };
        let page = storage::server_task::page(&mut session, &filter, 0, 1000).await?;
        let running: Vec<_> = page
            .tasks
            .iter()
            .filter(|stored| stored.task.start_time.is_some())
            .collect();
        if cancel_tasks {
            for stored in &running {
                storage::server_task::cancel(&mut session, &stored.task.id, SystemClock.now()).await?;
            }
        }
        session.commit().await?;
        if running.is_empty() || !node.is_alive {
            println!("No task runs on {name}.");
            return Ok(());
        }
        if tokio::time::Instant::now() >= end {
            return Err(Failure::new(
                ExitCode::Failure,
                format!("{} task(s) still run on {name} after {wait} s.", running.len()),
            ));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
