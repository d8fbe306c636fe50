//! One script from its turn to its end.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use contracts::script_service::{OutputSource, exit_code};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::environment::ScriptEnvironment;
use super::isolation::{Isolation, IsolationTable, NotHeld};
use super::line::LineSplitter;
use super::log::ScriptLog;
use super::process_table::Children;
use super::state::{Progress, ScriptState};
use super::workspace::Workspace;
use crate::durable_file::Lasting;

const SHELL: &str = "/bin/bash";
/// How long output is awaited that grandchildren may still write after the shell has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// What the original reports for a script that was cancelled while it ran (`observed.md` 11.4).
const CANCELLED: i32 = -1;

/// How far the agent is with its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stopping {
    No,
    /// No new script starts; running ones go on.
    Announced,
    /// Running scripts are asked to end.
    Asked,
    /// Running scripts are killed.
    Killed,
}

/// A script that this agent knows: it waits, runs, or has ended.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) workspace: Workspace,
    pub(crate) log: ScriptLog,
    pub(crate) cancel: CancellationToken,
    progress: watch::Sender<(Progress, i32)>,
}

/// What every script of an agent shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) table: IsolationTable,
    pub(crate) children: Children,
    pub(crate) environment: ScriptEnvironment,
    pub(crate) stopping: watch::Sender<Stopping>,
}

impl Script {
    pub(crate) fn new(workspace: Workspace, log: ScriptLog) -> Script {
        Script {
            workspace,
            log,
            cancel: CancellationToken::new(),
            progress: watch::Sender::new((Progress::Pending, 0)),
        }
    }

    /// A script of an earlier agent, which has ended in one way or another.
    pub(crate) fn ended(workspace: Workspace, log: ScriptLog, exit_code: i32) -> Script {
        let script = Script::new(workspace, log);
        script.progress.send_replace((Progress::Complete, exit_code));
        script
    }

    /// How far it is, and its exit code, which is 0 until it is complete.
    pub(crate) fn progress(&self) -> (Progress, i32) {
        *self.progress.borrow()
    }

    /// Waits until it has ended.
    pub(crate) async fn completed(&self) {
        let mut progress = self.progress.subscribe();
        let ended = progress
            .wait_for(|(progress, _)| *progress == Progress::Complete)
            .await;
        ended.expect("the script itself holds the sender");
    }

    /// Waits for its turn, runs, and records its end.
    pub(crate) async fn run(
        self: Arc<Script>,
        mut state: ScriptState,
        isolation: Isolation,
        arguments: Vec<String>,
        shared: Arc<Shared>,
    ) {
        let stop_waiting = self.cancel.child_token();
        let announced = shared.until(Stopping::Announced);
        let held = tokio::select! {
            biased;
            () = announced => {
                self.say(OutputSource::StdErr, "The Tentacle is stopping; this script was not started.");
                Err(NotHeld::Cancelled)
            }
            held = shared.table.acquire(&isolation, &stop_waiting, &self.log) => held,
        };
        let (exit_code, ran) = match &held {
            Ok(_) => self.execute(&mut state, &arguments, &shared).await,
            Err(NotHeld::Cancelled) => {
                self.say(OutputSource::StdOut, "Script execution canceled.");
                (exit_code::CANCELLED_BEFORE_START, false)
            }
            Err(NotHeld::TimedOut) => {
                self.say(OutputSource::StdOut, "Script execution timed out.");
                (exit_code::ISOLATION_TIMEOUT, false)
            }
        };
        state.complete(exit_code, ran);
        let recorded = self.record(state).await;
        drop(held);
        let exit_code = if recorded.is_ok() {
            exit_code
        } else {
            exit_code::FATAL
        };
        self.progress.send_replace((Progress::Complete, exit_code));
    }

    async fn execute(
        self: &Arc<Self>,
        state: &mut ScriptState,
        arguments: &[String],
        shared: &Shared,
    ) -> (i32, bool) {
        state.start();
        // before the shell starts: whatever happens now, this ticket never runs a second time
        if let Err(error) = self.record(state.clone()).await {
            self.say(
                OutputSource::StdErr,
                &format!("The state of the script could not be written: {error}"),
            );
            return (exit_code::FATAL, false);
        }
        self.progress.send_replace((Progress::Running, 0));
        let folder = self.workspace.folder().display();
        self.say(OutputSource::Debug, "Executable directory is /bin");
        self.say(
            OutputSource::Debug,
            &format!("Executable name or full path: {SHELL}"),
        );
        self.say(
            OutputSource::Debug,
            &format!(
                "Starting {SHELL} in working directory '{folder}' using 'Unicode (UTF-8)' encoding running as '{}'",
                user_name()
            ),
        );
        let child = match self.spawn(arguments, shared) {
            Ok(child) => child,
            Err(error) => {
                self.say(
                    OutputSource::StdErr,
                    &format!("{SHELL} could not be started: {error}"),
                );
                return (exit_code::SHELL_NOT_STARTED, false);
            }
        };
        let exit_code = self.follow(child, shared).await;
        self.log.append_end(
            OutputSource::Debug,
            &format!("Process {SHELL} in {folder} exited with code {exit_code}"),
        );
        (exit_code, true)
    }

    /// Writes the log, and then the state: whoever reads the end must find every line. A start that a power cut loses
    /// would let the script run again; an end that it loses only makes the result unknown.
    async fn record(self: &Arc<Self>, state: ScriptState) -> std::io::Result<()> {
        let script = Arc::clone(self);
        let lasting = if state.state == Progress::Complete {
            Lasting::OldOrNew
        } else {
            Lasting::Survives
        };
        let recorded = tokio::task::spawn_blocking(move || {
            if state.state == Progress::Complete {
                script.log.sync()?;
            }
            state.save(&script.workspace.state(), lasting)
        });
        recorded.await.map_err(std::io::Error::other)?
    }

    fn spawn(&self, arguments: &[String], shared: &Shared) -> std::io::Result<Child> {
        let mut command = Command::new(SHELL);
        command
            .arg(self.workspace.bootstrap())
            .args(super::argument::words(arguments))
            .current_dir(self.workspace.folder())
            .env_clear()
            .envs(shared.environment.of(self.workspace.folder()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        shared.children.spawn(&mut command)
    }

    /// Reads the output, waits for the end, and ends it on request.
    async fn follow(self: &Arc<Self>, mut child: Child, shared: &Shared) -> i32 {
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap_or(i32::MAX);
        let mut readers = JoinSet::new();
        readers.spawn(Arc::clone(self).read(child.stdout.take(), OutputSource::StdOut));
        readers.spawn(Arc::clone(self).read(child.stderr.take(), OutputSource::StdErr));
        let status = self.wait(&mut child, leader, shared).await;
        let mut was_cancelled = self.cancel.is_cancelled();
        let patience = tokio::time::sleep(LAST_OUTPUT);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                read = readers.join_next() => {
                    if read.is_none() {
                        break;
                    }
                }
                () = &mut patience => break,
                () = self.cancel.cancelled(), if !was_cancelled => {
                    was_cancelled = true;
                    self.kill(leader, shared).await;
                }
            }
        }
        readers.shutdown().await;
        shared.children.forget(leader);
        shared.children.reap();
        match status {
            _ if was_cancelled => CANCELLED,
            Ok(status) => status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .unwrap_or(exit_code::FATAL),
            Err(error) => {
                self.say(
                    OutputSource::StdErr,
                    &format!("The end of {SHELL} could not be awaited: {error}"),
                );
                exit_code::FATAL
            }
        }
    }

    /// Waits for the shell's end; a cancelled script is killed, and so is one that outlives the agent's stop.
    async fn wait(&self, child: &mut Child, leader: i32, shared: &Shared) -> std::io::Result<ExitStatus> {
        let mut stopping = shared.stopping.subscribe();
        let mut stage = Stopping::No;
        loop {
            let reached = *stopping.borrow_and_update();
            if stage < Stopping::Announced && reached >= Stopping::Announced {
                let text = "The Tentacle is stopping. This script is ended soon, unless it ends by itself.";
                self.say(OutputSource::StdErr, text);
            }
            if stage < Stopping::Asked && reached >= Stopping::Asked {
                shared.children.terminate_script(leader, self.workspace.folder());
            }
            if stage < Stopping::Killed && reached >= Stopping::Killed {
                self.kill(leader, shared).await;
            }
            stage = reached;
            tokio::select! {
                status = child.wait() => return status,
                () = self.cancel.cancelled() => {
                    self.kill(leader, shared).await;
                    return child.wait().await;
                }
                Ok(()) = stopping.changed() => {}
            }
        }
    }

    async fn kill(&self, leader: i32, shared: &Shared) {
        if !shared.children.kill_script(leader, self.workspace.folder()).await {
            self.say(
                OutputSource::StdErr,
                "Some processes of the script could not be killed.",
            );
        }
    }

    async fn read(self: Arc<Self>, pipe: Option<impl AsyncRead + Unpin>, source: OutputSource) {
        let Some(mut pipe) = pipe else { return };
        let mut splitter = LineSplitter::default();
        let mut buffer = vec![0; 32 << 10];
        loop {
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => splitter.feed(&buffer[..length], |line| self.say(source, line)),
            }
        }
        splitter.finish(|line| self.say(source, line));
    }

    fn say(&self, source: OutputSource, text: &str) {
        self.log.append(source, text);
    }
}

impl Shared {
    /// Waits until the agent's end got that far.
    async fn until(&self, stage: Stopping) {
        let mut stopping = self.stopping.subscribe();
        let reached = stopping.wait_for(|reached| *reached >= stage).await;
        reached.expect("the scripts themselves hold the sender");
    }
}

fn user_name() -> String {
    match rustix::process::getuid().as_raw() {
        0 => "root".to_owned(),
        uid => uid.to_string(),
    }
}
