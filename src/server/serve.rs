//! `mantle serve`: node, engine, listeners; then the way down (`containers.md` 2.2 steps 11 and 12, 2.7).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use application::{Clock, Context, SystemClock};
use axum::Router;
use engine::{Engine, EngineOptions};
use halibut::{
    Answering, Caller, Identity, Listener, ListenerOptions, Settings, Subscriptions, Trust, TrustList,
};
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
    /// Where polling agents connect.
    pub communications: SocketAddr,
    engine: engine::Running,
    listener: Listener,
    node: Lock,
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
    let certificate = application::certificate::global(&context.database, &context.keys, clock.now()).await?;
    let identity = Identity::new(certificate.der.clone(), certificate.private_key_pkcs8.to_vec());
    let incoming = context.files.incoming().map_err(|error| {
        Failure::new(
            ExitCode::Folder,
            format!("The cache volume cannot be written: {error}."),
        )
    })?;
    let (listener, caller, trust) = listen_for_agents(options, &identity, incoming)?;
    let communications = listener.address();
    tracing::info!("Listening for polling agents on https://{communications}");
    if let Some(folder) = settings
        .calamari_folder
        .as_ref()
        .filter(|folder| !folder.is_dir())
    {
        return Err(Failure::new(
            ExitCode::Folder,
            format!(
                "CALAMARI_FOLDER: there is no folder {}. Mount it, or leave the setting out.",
                folder.display()
            ),
        ));
    }
    let engine = EngineOptions {
        caller,
        trust,
        runners: settings
            .calamari_folder
            .clone()
            .unwrap_or(options.runners.clone()),
        task_cap: settings.task_cap.into(),
        patience: engine::PATIENCE,
    };
    let engine = Engine::start(Arc::clone(&context), engine).await?;

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
        communications,
        engine,
        listener,
        node,
        stop_sockets,
        sockets,
    })
}

/// The socket for polling agents, and the caller for agents of both modes.
fn listen_for_agents(
    options: &Serve,
    identity: &Identity,
    incoming: PathBuf,
) -> Result<(Listener, Arc<Caller>, Arc<TrustList>), Failure> {
    let unusable = |error: halibut::IdentityError| {
        Failure::new(
            ExitCode::Failure,
            format!("The Server's certificate cannot be used: {error}"),
        )
    };
    let subscriptions = Arc::new(Subscriptions::new());
    let trust = Arc::new(TrustList::new());
    // Only the types of the agents' contracts are read; anything else ends the connection.
    let settings = Settings {
        known_types: contracts::KNOWN_TYPES,
        spool: halibut::Spool::new(incoming),
        ..Settings::default()
    };
    let caller = Caller::new(identity, Arc::clone(&subscriptions), settings.clone()).map_err(unusable)?;
    let address = SocketAddr::new(options.bind, options.communications_port);
    let mut wanted = ListenerOptions::new(address, identity.clone(), Arc::clone(&trust) as Arc<dyn Trust>);
    wanted.settings = settings;
    wanted.answering = Answering {
        service: None,
        subscriptions: Some(subscriptions),
    };
    let listener = Listener::bind(wanted).map_err(|error| {
        let hint = "Stop the program that uses it, or set another --communications-port.";
        Failure::new(
            ExitCode::Folder,
            format!("The port for polling agents: {error}. {hint}"),
        )
    })?;
    Ok((listener, Arc::new(caller), trust))
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
    pub async fn stop(mut self, grace: Duration) {
        self.context.draining.store(true, Ordering::Relaxed);
        self.engine.drain(grace).await;
        self.listener.close().await;
        self.stop_sockets.cancel();
        let finished = tokio::time::timeout(LAST_REQUESTS, async {
            while self.sockets.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!("Some requests were not finished in time and are cut off.");
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
