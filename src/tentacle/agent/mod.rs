//! The running agent, as a part of any program (`tentacle-protocol.md` 7.3, `containers.md` 2.7).

mod heartbeat;
mod home_lock;
#[cfg(test)]
mod story;

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contracts::AgentServices;
use halibut::transport::BindError;
use halibut::{
    Answering, Event, Identity, IdentityError, Listener, ListenerOptions, ListeningUri, Observer,
    PollingClient, PollingOptions, Service, Settings, Spool, Subscription, Thumbprint, TrustList,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::home_lock::HomeLock;
use crate::durable_file;
use crate::file_transfer::Files;
use crate::output::Output;
use crate::script::process_table::Children;
use crate::script::{ScriptEnvironment, Scripts, Stopping};

pub(crate) use self::heartbeat::{Health, OLDEST as OLDEST_HEARTBEAT, read as read_heartbeat};

/// The part of a stop that is left for scripts that were asked to end, and then for those that were killed.
const ASKED: Duration = Duration::from_secs(3);
const KILLED: Duration = Duration::from_secs(2);
/// After the last script has ended, its Server may ask once more how it was.
const LAST_QUESTION: Duration = Duration::from_millis(750);

/// Everything an agent needs.
#[derive(Clone)]
pub struct AgentOptions {
    /// The home folder: workspaces, state, uploaded files.
    pub home: PathBuf,
    /// The folder of the applications, as scripts are told.
    pub applications: PathBuf,
    /// Name of the instance, as scripts are told.
    pub instance: String,
    /// Certificate and key.
    pub identity: Identity,
    /// Where to listen; port 0 is any free one. None does not listen.
    pub listen: Option<SocketAddr>,
    /// The Servers that may call, and those that are polled.
    pub trusted: Vec<Thumbprint>,
    /// The Servers to poll.
    pub polling: Vec<PolledServer>,
    /// Connections to each of them.
    pub connections: usize,
    /// How long [`Agent::stop`] may take in all.
    pub grace: Duration,
    /// The environment that scripts inherit, without any name of the settings table.
    pub inherited: Vec<(OsString, OsString)>,
    /// Where the log goes.
    pub output: Output,
    /// The most bytes of output that are kept of one script, in its log on disk.
    pub largest_script_log: u64,
    /// Whether this process is the agent's alone and sub-reaper: then what escaped from scripts is found among its
    /// children, and reaped.
    pub owns_process: bool,
}

/// A Server to poll.
#[derive(Debug, Clone)]
pub struct PolledServer {
    /// Its polling port.
    pub address: ListeningUri,
    /// The certificate that it must have.
    pub thumbprint: Thumbprint,
    /// Whose requests to take.
    pub subscription: Subscription,
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent works there.
    #[error("Another agent uses the home folder '{0}'; stop it, or give this one a folder of its own.")]
    HomeInUse(PathBuf),
    /// A folder or file.
    #[error("Could not {attempt} '{path}': {error}; the agent's user must own its home folder.")]
    Folder {
        /// What was tried.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        error: std::io::Error,
    },
    /// The port.
    #[error("The agent {0}.")]
    Listen(#[from] BindError),
    /// The certificate.
    #[error("{0}")]
    Identity(#[from] IdentityError),
}

impl AgentOptions {
    /// An agent that neither listens nor polls, with a stop of eight seconds, script logs of 1 GiB, and the environment
    /// of this process.
    pub fn new(home: impl Into<PathBuf>, identity: Identity) -> AgentOptions {
        let home = home.into();
        AgentOptions {
            applications: home.join("Applications"),
            home,
            instance: crate::instance::DEFAULT_NAME.to_owned(),
            identity,
            listen: None,
            trusted: Vec::new(),
            polling: Vec::new(),
            connections: 1,
            grace: Duration::from_secs(8),
            inherited: std::env::vars_os().collect(),
            output: Output::silent(),
            largest_script_log: 1 << 30,
            owns_process: false,
        }
    }
}

/// An agent at work. Dropping it cuts its connections and leaves its scripts alone; [`stop`](Self::stop) ends both.
pub struct Agent {
    services: Arc<AgentServices<Scripts, Files>>,
    listener: Option<Listener>,
    pollers: Vec<PollingClient>,
    trust: Arc<TrustList>,
    refusing: CancellationToken,
    grace: Duration,
    output: Output,
    home: PathBuf,
    thumbprint: Thumbprint,
    _tasks: Vec<AbortOnDropHandle<()>>,
    _lock: HomeLock,
}

impl Agent {
    /// Locks the home folder, ends what a killed agent left there, and opens for calls.
    ///
    /// # Errors
    /// The folder is in use or cannot be written, the port cannot be bound, or the certificate is unusable.
    pub async fn start(options: AgentOptions) -> Result<Agent, AgentError> {
        let lock = HomeLock::take(&options.home)?;
        let spool = sweep_spool(&options.home)?;
        let environment = ScriptEnvironment {
            home: options.home.clone(),
            applications: options.applications.clone(),
            instance: options.instance.clone(),
            inherited: options.inherited.clone(),
        };
        let children = Children::new(options.owns_process);
        let scripts = Scripts::new(environment, children.clone(), options.largest_script_log);
        let prepared = scripts.prepare().await;
        let left = prepared.map_err(|error| folder_error("prepare", &options.home, error))?;
        if left > 0 {
            options.output.warning(&format!(
                "{left} processes of scripts of a former agent were still running, and were ended."
            ));
        }
        let refusing = CancellationToken::new();
        let files = Files::new(&options.home, refusing.clone());
        let services = Arc::new(AgentServices::new(scripts, files));
        let service: Arc<dyn Service> = Arc::clone(&services) as Arc<dyn Service>;
        let trust = Arc::new(TrustList::of(options.trusted.iter().cloned()));
        let settings = Settings {
            spool,
            ..Settings::default()
        };
        let observer = observer(&options.output);
        let pollers = start_polling(&options, &service, &settings, &observer)?;
        let listener = start_listening(&options, &service, &trust, settings, observer)?;
        let cleaner = Arc::clone(&services);
        let reaper = async move {
            let mut period = tokio::time::interval(Duration::from_secs(2));
            loop {
                period.tick().await;
                children.reap();
            }
        };
        Ok(Agent {
            _tasks: vec![
                AbortOnDropHandle::new(tokio::spawn(
                    async move { cleaner.scripts().clean_regularly().await },
                )),
                AbortOnDropHandle::new(tokio::spawn(reaper)),
            ],
            services,
            listener,
            pollers,
            trust,
            refusing,
            grace: options.grace,
            output: options.output,
            thumbprint: options.identity.thumbprint().clone(),
            home: options.home,
            _lock: lock,
        })
    }

    /// Serves until `shutdown` is cancelled, and then stops.
    pub async fn run_until(mut self, shutdown: CancellationToken) {
        self.watch_until(&shutdown).await;
        self.stop().await;
    }

    /// Where it listens, when it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(Listener::address)
    }

    /// By what others know it.
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// Trusts exactly these from now on; calls of others are cut.
    pub fn trust(&self, servers: impl IntoIterator<Item = Thumbprint>) {
        self.trust.replace_clients(servers);
    }

    /// Waits until every Server that is polled has accepted this agent.
    pub async fn connected(&self) {
        for poller in &self.pollers {
            poller.connected().await;
        }
    }

    /// Scripts that wait or run.
    pub fn running_scripts(&self) -> usize {
        self.services.scripts().count_running()
    }

    /// Whether it can be given work: it listens, or a Server that it polls has accepted it.
    pub fn health(&self) -> bool {
        self.listener.is_some() || self.pollers.iter().any(|poller| poller.state().is_connected())
    }

    /// Keeps the heartbeat file fresh until `shutdown` is cancelled.
    pub async fn watch_until(&mut self, shutdown: &CancellationToken) {
        let mut period = tokio::time::interval(heartbeat::PERIOD);
        let mut last_problem: Option<String> = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = period.tick() => {}
            }
            let health = Health {
                is_ready: self.health(),
            };
            let problem = heartbeat::write(&self.home, &health)
                .err()
                .map(|error| error.to_string());
            if let Some(problem) = problem
                .as_ref()
                .filter(|problem| last_problem.as_ref() != Some(problem))
            {
                self.output.warning(&format!(
                    "The heartbeat file in '{}' could not be written: {problem}",
                    self.home.display()
                ));
            }
            last_problem = problem;
        }
    }

    /// Ends within its grace: nothing new is taken, running scripts go on until three seconds before the end, are then
    /// asked to end and, a second later, killed. Their results stay on disk.
    pub async fn stop(self) {
        let started = Instant::now();
        self.refusing.cancel();
        self.services.scripts().set_stopping(Stopping::Announced);
        let running = self.services.scripts().count_running();
        if running > 0 {
            self.output
                .info(&format!("Waiting for {running} running scripts to end."));
            let end = started + self.grace;
            let asked = end.checked_sub(ASKED).unwrap_or(started);
            let killed = end.checked_sub(KILLED).unwrap_or(started);
            if tokio::time::timeout_at(asked, self.services.scripts().all_ended())
                .await
                .is_err()
            {
                self.output.warning("Scripts still run; they are asked to end.");
                self.services.scripts().set_stopping(Stopping::Asked);
            }
            if tokio::time::timeout_at(killed, self.services.scripts().all_ended())
                .await
                .is_err()
            {
                self.output.warning("Scripts still run; they are killed.");
                self.services.scripts().set_stopping(Stopping::Killed);
            }
            if tokio::time::timeout_at(end, self.services.scripts().all_ended())
                .await
                .is_err()
            {
                self.output.error("Some scripts could not be ended.");
            }
            tokio::time::sleep_until((Instant::now() + LAST_QUESTION).min(killed.max(Instant::now()))).await;
        }
        self.services.stop();
        if let Some(listener) = self.listener {
            listener.close().await;
        }
        for poller in self.pollers {
            poller.close().await;
        }
        heartbeat::remove(&self.home);
    }
}

fn start_polling(
    options: &AgentOptions,
    service: &Arc<dyn Service>,
    settings: &Settings,
    observer: &Observer,
) -> Result<Vec<PollingClient>, IdentityError> {
    let mut pollers = Vec::new();
    for server in &options.polling {
        let subscription = &server.subscription;
        options.output.info(&format!(
            "Agent will poll Octopus Server at {} for subscription {subscription} expecting thumbprint {}",
            server.address, server.thumbprint
        ));
        options
            .output
            .info(&format!("Starting {} polling connections", options.connections));
        pollers.push(PollingClient::start(PollingOptions {
            settings: settings.clone(),
            connections: options.connections,
            observer: Arc::clone(observer),
            ..PollingOptions::new(
                server.address.clone(),
                server.thumbprint.clone(),
                subscription.clone(),
                options.identity.clone(),
                Arc::clone(service),
            )
        })?);
    }
    Ok(pollers)
}

fn start_listening(
    options: &AgentOptions,
    service: &Arc<dyn Service>,
    trust: &Arc<TrustList>,
    settings: Settings,
    observer: Observer,
) -> Result<Option<Listener>, BindError> {
    let Some(address) = options.listen else {
        options.output.info("Agent will not listen on any TCP ports");
        return Ok(None);
    };
    let trust = Arc::clone(trust);
    let listener = Listener::bind(ListenerOptions {
        answering: Answering {
            service: Some(Arc::clone(service)),
            subscriptions: None,
        },
        settings,
        observer,
        ..ListenerOptions::new(address, options.identity.clone(), trust)
    })?;
    options
        .output
        .info(&format!("Agent listening on: {}", listener.address()));
    Ok(Some(listener))
}

/// What the wire tells, as lines of the log.
fn observer(output: &Output) -> Observer {
    let output = output.clone();
    Arc::new(move |event| match event {
        Event::Listening { .. } | Event::Accepted { .. } => {}
        Event::PollingConnected { .. } => output.info(&event.to_string()),
        _ => output.warning(&event.to_string()),
    })
}

/// The folder where long streams wait for their handler, without what a killed agent left in it.
fn sweep_spool(home: &Path) -> Result<Spool, AgentError> {
    let folder = home.join("Spool");
    durable_file::private_folder(&folder).map_err(|error| folder_error("make", &folder, error))?;
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".received-") {
            // one that cannot be removed only takes room
            fs::remove_file(entry.path()).ok();
        }
    }
    Ok(Spool::new(folder))
}

fn folder_error(attempt: &'static str, path: &Path, error: std::io::Error) -> AgentError {
    AgentError::Folder {
        attempt,
        path: path.to_owned(),
        error,
    }
}
