//! Scripts: `IScriptServiceV2` (`tentacle-protocol.md` 6.3).

mod argument;
mod cleaner;
mod environment;
mod isolation;
mod line;
mod log;
pub(crate) mod process_table;
mod run;
mod state;
mod workspace;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use contracts::ScriptTicket;
use contracts::script_service::{
    ProcessState, ScriptService, ScriptStatus, ScriptType, StartScriptCommand, exit_code,
};
use halibut::ServiceError;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use self::isolation::{Isolation, IsolationTable};
use self::log::{Lines, ScriptLog};
use self::process_table::Children;
use self::run::{Script, Shared};
use self::state::{Progress, ScriptState};
use self::workspace::Workspace;
use crate::durable_file::Lasting;
use crate::free_space;

pub(crate) use self::environment::ScriptEnvironment;
pub(crate) use self::run::Stopping;
pub(crate) use self::workspace::Workspaces;

/// The mutex of scripts that name none.
const DEFAULT_MUTEX: &str = "RunningScript";
/// A call must answer before its caller gives up (`tentacle-protocol.md` 9.2).
const LONGEST_WAIT: Duration = Duration::from_secs(240);
/// How long a script that is completed while it runs may take to end.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// More tickets than any Server has open at once.
const MOST_TICKETS: usize = 10_000;

/// Starts scripts, tells how they are, and keeps what they printed.
#[derive(Debug)]
pub(crate) struct Scripts {
    workspaces: Workspaces,
    shared: Arc<Shared>,
    slots: Mutex<HashMap<ScriptTicket, Arc<Slot>>>,
    running: TaskTracker,
    /// The most bytes that are kept of one script's output.
    largest_log: u64,
}

/// The place of one ticket. Whoever starts or loads its script holds the gate.
#[derive(Debug, Default)]
struct Slot {
    gate: tokio::sync::Mutex<()>,
    script: OnceLock<Arc<Script>>,
}

impl Scripts {
    pub(crate) fn new(environment: ScriptEnvironment, children: Children, largest_log: u64) -> Scripts {
        Scripts {
            workspaces: Workspaces::new(&environment.home),
            shared: Arc::new(Shared {
                table: IsolationTable::default(),
                children,
                environment,
                stopping: watch::Sender::new(Stopping::No),
            }),
            slots: Mutex::default(),
            running: TaskTracker::new(),
            largest_log,
        }
    }

    /// Makes the folder of the workspaces, and ends what a killed agent left running. Returns how many processes
    /// that were.
    pub(crate) async fn prepare(&self) -> io::Result<usize> {
        crate::durable_file::private_folder(self.workspaces.root())?;
        Ok(self.shared.children.kill_left_overs(self.workspaces.root()).await)
    }

    /// The scripts that have not ended.
    pub(crate) fn count_running(&self) -> usize {
        self.running.len()
    }

    /// Tells the scripts how far the agent's end is.
    pub(crate) fn set_stopping(&self, stage: Stopping) {
        self.shared.stopping.send_replace(stage);
    }

    /// Waits until every script has ended; none can start meanwhile, since the stop was announced.
    pub(crate) async fn all_ended(&self) {
        self.running.close();
        self.running.wait().await;
    }

    fn is_stopping(&self) -> bool {
        *self.shared.stopping.borrow() > Stopping::No
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<ScriptTicket, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, ticket: &ScriptTicket) -> Result<Arc<Slot>, ServiceError> {
        let mut slots = self.slots();
        if slots.len() >= MOST_TICKETS && !slots.contains_key(ticket) {
            return Err(ServiceError::threw(
                "System.InvalidOperationException",
                "The Tentacle holds too many scripts that were never completed; complete or remove some.",
            ));
        }
        Ok(Arc::clone(slots.entry(ticket.clone()).or_default()))
    }

    /// Forgets a ticket unless somebody else is at it.
    fn release(&self, ticket: &ScriptTicket, slot: &Arc<Slot>) {
        let mut slots = self.slots();
        if Arc::strong_count(slot) <= 2 {
            slots.remove(ticket);
        }
    }

    /// The script of a ticket, in memory or from the disk; none when nobody knows it.
    async fn find(&self, ticket: &ScriptTicket) -> Result<Option<Arc<Script>>, ServiceError> {
        let slot = self.slot(ticket)?;
        if let Some(script) = slot.script.get() {
            return Ok(Some(Arc::clone(script)));
        }
        let gate = slot.gate.lock().await;
        if slot.script.get().is_none()
            && let Some(script) =
                load(self.workspaces.of(ticket)).map_err(|error| failed("read", ticket, &error))?
        {
            slot.script.set(Arc::new(script)).expect("the gate is held");
        }
        let script = slot.script.get().map(Arc::clone);
        drop(gate);
        if script.is_none() {
            self.release(ticket, &slot);
        }
        Ok(script)
    }

    /// Makes the workspace of a new ticket and starts its script.
    async fn start(&self, command: StartScriptCommand) -> Result<Arc<Script>, ServiceError> {
        let ticket = command.ticket.clone();
        let workspace = self.workspaces.of(&ticket);
        let isolation = Isolation {
            name: command
                .mutex_name
                .clone()
                .unwrap_or_else(|| DEFAULT_MUTEX.to_owned()),
            level: command.isolation,
            timeout: command.mutex_timeout.filter(|timeout| !timeout.is_zero()),
            task_id: command.task_id.clone(),
        };
        let arguments = command.arguments.clone();
        let (root, largest_log) = (self.workspaces.root().to_owned(), self.largest_log);
        let prepared = tokio::task::spawn_blocking(move || {
            free_space::check(&root, free_space::WORKSPACE)?;
            prepare(workspace, command, largest_log)
        });
        let prepared = prepared
            .await
            .map_err(io::Error::other)
            .and_then(|prepared| prepared);
        let (script, state) = prepared.map_err(|error| failed("prepare", &ticket, &error))?;
        let script = Arc::new(script);
        let running = Arc::clone(&script).run(state, isolation, arguments, Arc::clone(&self.shared));
        self.running.spawn(running);
        Ok(script)
    }

    async fn status(
        &self,
        ticket: ScriptTicket,
        script: &Arc<Script>,
        after: i64,
    ) -> Result<ScriptStatus, ServiceError> {
        // the end is read first, so that a complete answer holds every line
        let (progress, exit_code) = script.progress();
        let reader = Arc::clone(script);
        let read = tokio::task::spawn_blocking(move || reader.log.read(after)).await;
        let lines = read.map_err(io::Error::other).and_then(|read| read);
        let Lines { lines, next, more } =
            lines.map_err(|error| failed("read the log of", &ticket, &error))?;
        let is_complete = progress == Progress::Complete && !more;
        Ok(ScriptStatus {
            ticket,
            logs: lines,
            next_log_sequence: next,
            state: match progress {
                Progress::Pending => ProcessState::Pending,
                _ if is_complete => ProcessState::Complete,
                _ => ProcessState::Running,
            },
            exit_code: if is_complete { exit_code } else { 0 },
        })
    }
}

#[async_trait]
impl ScriptService for Scripts {
    async fn start_script(&self, command: StartScriptCommand) -> Result<ScriptStatus, ServiceError> {
        let ticket = command.ticket.clone();
        let slot = self.slot(&ticket)?;
        // a repeated call waits here until the first has answered
        let _gate = slot.gate.lock().await;
        if let Some(script) = slot.script.get() {
            return self.status(ticket, script, 0).await;
        }
        let known = load(self.workspaces.of(&ticket)).map_err(|error| failed("read", &ticket, &error))?;
        if let Some(script) = known {
            let script = slot.script.get_or_init(|| Arc::new(script));
            return self.status(ticket, script, 0).await;
        }
        if self.is_stopping() {
            return Err(ServiceError::shutting_down());
        }
        let wait = command.wait.unwrap_or_default().min(LONGEST_WAIT);
        let script = self
            .start(command)
            .await
            .inspect_err(|_| self.release(&ticket, &slot))?;
        slot.script.set(Arc::clone(&script)).expect("the gate is held");
        if tokio::time::timeout(wait, script.completed()).await.is_err() {
            // it goes on; the caller asks again
        }
        self.status(ticket, &script, 0).await
    }

    async fn get_status(
        &self,
        ticket: ScriptTicket,
        last_log_sequence: i64,
    ) -> Result<ScriptStatus, ServiceError> {
        match self.find(&ticket).await? {
            Some(script) => self.status(ticket, &script, last_log_sequence).await,
            None => Ok(unknown(ticket, last_log_sequence)),
        }
    }

    async fn cancel_script(
        &self,
        ticket: ScriptTicket,
        last_log_sequence: i64,
    ) -> Result<ScriptStatus, ServiceError> {
        match self.find(&ticket).await? {
            Some(script) => {
                script.cancel.cancel();
                self.status(ticket, &script, last_log_sequence).await
            }
            None => Ok(unknown(ticket, last_log_sequence)),
        }
    }

    async fn complete_script(&self, ticket: ScriptTicket) -> Result<(), ServiceError> {
        let slot = self.slot(&ticket)?;
        let _gate = slot.gate.lock().await;
        if let Some(script) = slot.script.get() {
            if script.progress().0 != Progress::Complete {
                script.cancel.cancel();
            }
            if tokio::time::timeout(LAST_WAIT, script.completed()).await.is_err() {
                return Ok(()); // it cannot be ended; its workspace is swept later
            }
        }
        self.release(&ticket, &slot);
        let workspace = self.workspaces.of(&ticket);
        let removed = tokio::task::spawn_blocking(move || workspace.remove()).await;
        removed
            .map_err(io::Error::other)
            .and_then(|removed| removed)
            .map_err(|error| failed("remove", &ticket, &error))
    }
}

fn unknown(ticket: ScriptTicket, last_log_sequence: i64) -> ScriptStatus {
    ScriptStatus {
        ticket,
        logs: Vec::new(),
        next_log_sequence: last_log_sequence,
        state: ProcessState::Complete,
        exit_code: exit_code::UNKNOWN_TICKET,
    }
}

fn failed(attempt: &str, ticket: &ScriptTicket, error: &io::Error) -> ServiceError {
    ServiceError::threw(
        "System.IO.IOException",
        format!("Could not {attempt} the script {}: {error}.", ticket.as_str()),
    )
}

/// What an earlier agent left of a ticket. A script that was started and did not end is lost: its result is unknown,
/// and it never runs again. One that was never started is as if nobody had asked for it.
fn load(workspace: Workspace) -> io::Result<Option<Script>> {
    let path = workspace.state();
    let exit_code = match ScriptState::load(&path) {
        Ok(None) => return Ok(None),
        Ok(Some(state)) if state.state == Progress::Complete => {
            state.exit_code.unwrap_or(exit_code::UNKNOWN_RESULT)
        }
        Ok(Some(state)) if state.started.is_none() => return Ok(None),
        Ok(Some(mut state)) => {
            state.complete(exit_code::UNKNOWN_RESULT, false);
            state.save(&path, Lasting::Survives)?;
            exit_code::UNKNOWN_RESULT
        }
        Err(_) => exit_code::UNKNOWN_RESULT, // damaged: it may have run
    };
    let log = ScriptLog::open(&workspace.log())?;
    Ok(Some(Script::ended(workspace, log, exit_code)))
}

/// The folder, the body, the files, the log and the state. Blocks.
fn prepare(
    workspace: Workspace,
    command: StartScriptCommand,
    largest_log: u64,
) -> io::Result<(Script, ScriptState)> {
    workspace.create()?;
    let body = command.scripts.get(&ScriptType::Bash).unwrap_or(&command.body);
    workspace.write_body(body)?;
    for file in command.files {
        workspace.write_file(file)?;
    }
    let log = ScriptLog::create(&workspace.log(), largest_log)?;
    let state = ScriptState::created();
    state.save(&workspace.state(), Lasting::ThisMachine)?;
    Ok((Script::new(workspace, log), state))
}
