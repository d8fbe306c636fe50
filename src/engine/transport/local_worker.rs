//! The Server as its own worker (`BUILTIN_WORKER`): scripts run on this machine, under the Server's own user.
//!
//! The scripts live as long as the Server: after a crash what was running is unknown (−46), never run again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use contracts::script_service::exit_code;
use contracts::service_message::LONGEST;
use contracts::{
    OutputSource, ProcessOutput, ProcessState, ScriptStatus, ScriptTicket, StartScriptCommand, UploadResult,
};
use halibut::DataStream;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Answer, Transport, TransportError};

/// Lines that nobody has fetched yet; a script that prints more waits.
const MOST_LINES: usize = 20_000;

/// How long output is read after the end of the script, when something it started holds the pipe open.
const LINGER: Duration = Duration::from_secs(5);

/// Names of the environment that scripts get from the Server's own.
const INHERITED: &[&str] = &["PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "TMPDIR"];

/// Runs scripts on this machine, in folders below its home.
#[derive(Clone)]
pub struct LocalWorker {
    home: PathBuf,
    runs: Arc<Mutex<HashMap<String, Arc<Run>>>>,
}

/// One script.
struct Run {
    state: Mutex<State>,
    /// Told when lines were fetched.
    fetched: Notify,
    stop: CancellationToken,
}

struct State {
    lines: Vec<ProcessOutput>,
    /// The number of the line before `lines`.
    before: i64,
    complete: Option<i32>,
}

impl LocalWorker {
    /// A worker with its home in a folder, which is made when it is first used.
    #[must_use]
    pub fn new(home: PathBuf) -> Self {
        Self {
            home,
            runs: Arc::default(),
        }
    }

    fn run(&self, ticket: &ScriptTicket) -> Option<Arc<Run>> {
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key(ticket))
            .cloned()
    }

    fn workspace(&self, ticket: &ScriptTicket) -> PathBuf {
        self.home.join("Work").join(key(ticket))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    async fn prepare(&self, workspace: &Path, command: StartScriptCommand) -> std::io::Result<()> {
        private_folder(workspace).await?;
        let body = command
            .scripts
            .get(&contracts::ScriptType::Bash)
            .unwrap_or(&command.body);
        tokio::fs::write(workspace.join("Bootstrap.sh"), body.replace("\r\n", "\n")).await?;
        for file in command.files {
            let name = Path::new(&file.name);
            let plain = matches!(
                name.components().collect::<Vec<_>>().as_slice(),
                [std::path::Component::Normal(_)]
            );
            if !plain {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidInput,
                    "a file name is not a plain name",
                ));
            }
            file.contents.persist(workspace.join(name)).await?;
        }
        Ok(())
    }

    fn spawn(&self, workspace: &Path) -> std::io::Result<Child> {
        let home = self.home.display();
        let mut command = Command::new("/bin/bash");
        command
            .arg(workspace.join("Bootstrap.sh"))
            .current_dir(workspace)
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .env("TentacleHome", &self.home)
            .env("TentacleApplications", self.home.join("Applications"))
            .env("TentacleJournal", format!("{home}/DeploymentJournal.xml"))
            .env(
                "CalamariPackageRetentionJournalPath",
                format!("{home}/PackageRetentionJournal.json"),
            )
            .env("TentacleInstanceName", "BuiltInWorker")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn()
    }
}

#[async_trait]
impl Transport for LocalWorker {
    async fn start(&self, command: &StartScriptCommand, _cancel: &CancellationToken) -> Answer<ScriptStatus> {
        let ticket = command.ticket.clone();
        if let Some(run) = self.run(&ticket) {
            return Ok(run.status(&ticket, 0));
        }
        let workspace = self.workspace(&ticket);
        if tokio::fs::try_exists(&workspace).await.unwrap_or(true) {
            return Ok(gone(&ticket, exit_code::UNKNOWN_RESULT));
        }
        let failed = |error: std::io::Error| {
            TransportError::Refused(format!(
                "The script could not be started on the Server in '{}': {error}.",
                workspace.display()
            ))
        };
        self.prepare(&workspace, command.fresh()).await.map_err(failed)?;
        let child = self.spawn(&workspace).map_err(failed)?;
        let run = Arc::new(Run {
            state: Mutex::new(State {
                lines: Vec::new(),
                before: 0,
                complete: None,
            }),
            fetched: Notify::new(),
            stop: CancellationToken::new(),
        });
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key(&ticket), run.clone());
        tokio::spawn(run.clone().watch(child));
        Ok(run.status(&ticket, 0))
    }

    async fn status(
        &self,
        ticket: &ScriptTicket,
        after: i64,
        _cancel: &CancellationToken,
    ) -> Answer<ScriptStatus> {
        match self.run(ticket) {
            Some(run) => Ok(run.status(ticket, after)),
            None if tokio::fs::try_exists(self.workspace(ticket))
                .await
                .unwrap_or(true) =>
            {
                Ok(gone(ticket, exit_code::UNKNOWN_RESULT))
            }
            None => Ok(gone(ticket, exit_code::UNKNOWN_TICKET)),
        }
    }

    async fn stop(
        &self,
        ticket: &ScriptTicket,
        after: i64,
        cancel: &CancellationToken,
    ) -> Answer<ScriptStatus> {
        if let Some(run) = self.run(ticket) {
            run.stop.cancel();
        }
        self.status(ticket, after, cancel).await
    }

    async fn complete(&self, ticket: &ScriptTicket, _cancel: &CancellationToken) -> Answer<()> {
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key(ticket));
        match tokio::fs::remove_dir_all(self.workspace(ticket)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(TransportError::Refused(
                format!("The workspace could not be removed: {error}."),
            )),
            _ => Ok(()),
        }
    }

    async fn upload(
        &self,
        path: &str,
        contents: &DataStream,
        _cancel: &CancellationToken,
    ) -> Answer<UploadResult> {
        let target = self.path(path);
        let failed = |error: std::io::Error| {
            TransportError::Refused(format!(
                "The file '{}' could not be written: {error}.",
                target.display()
            ))
        };
        let length = i64::try_from(contents.length()).unwrap_or(i64::MAX);
        if let Some(folder) = target.parent() {
            private_folder(folder).await.map_err(failed)?;
        }
        contents.fresh().persist(&target).await.map_err(failed)?;
        Ok(UploadResult {
            full_path: target.display().to_string(),
            hash: None,
            length,
        })
    }

    async fn download(&self, path: &str, _cancel: &CancellationToken) -> Answer<Option<DataStream>> {
        match DataStream::from_script_file(&self.home.join("Work"), &self.path(path)).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TransportError::Refused(format!(
                "The file '{path}' could not be read: {error}."
            ))),
        }
    }
}

impl Run {
    fn status(&self, ticket: &ScriptTicket, after: i64) -> ScriptStatus {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = usize::try_from(after - state.before)
            .unwrap_or(0)
            .min(state.lines.len());
        state.lines.drain(..fetched);
        state.before += i64::try_from(fetched).unwrap_or(0);
        self.fetched.notify_waiters();
        ScriptStatus {
            ticket: ticket.clone(),
            logs: state.lines.clone(),
            next_log_sequence: state.before + i64::try_from(state.lines.len()).unwrap_or(0),
            state: if state.complete.is_some() {
                ProcessState::Complete
            } else {
                ProcessState::Running
            },
            exit_code: state.complete.unwrap_or(0),
        }
    }

    /// Reads what the script prints, waits for its end, or kills it with everything in its process group.
    async fn watch(self: Arc<Self>, mut child: Child) {
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let mut readers = tokio::task::JoinSet::new();
        if let Some(output) = child.stdout.take() {
            readers.spawn(self.clone().read(output, OutputSource::StdOut));
        }
        if let Some(output) = child.stderr.take() {
            readers.spawn(self.clone().read(output, OutputSource::StdErr));
        }
        let kill = || {
            if let Some(group) = group
                && let Err(error) = kill_process_group(group, Signal::KILL)
            {
                tracing::debug!(%error, "the process group of a script has ended already");
            }
        };
        let status = tokio::select! {
            status = child.wait() => status,
            () = self.stop.cancelled() => {
                kill();
                child.wait().await
            }
        };
        tokio::select! {
            () = async { while readers.join_next().await.is_some() {} } => {}
            () = tokio::time::sleep(LINGER) => {}
            () = self.stop.cancelled() => kill(),
        }
        readers.abort_all();
        let code = status.ok().and_then(|status| status.code()).unwrap_or(-1);
        self.state.lock().unwrap_or_else(PoisonError::into_inner).complete = Some(code);
    }

    async fn read(self: Arc<Self>, output: impl AsyncRead + Unpin, source: OutputSource) {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut reader)
                .take(LONGEST as u64)
                .read_until(b'\n', &mut line)
                .await
            {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            loop {
                let fetched = self.fetched.notified();
                {
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    if state.lines.len() < MOST_LINES {
                        state.lines.push(ProcessOutput {
                            source,
                            occurred: now(),
                            text,
                        });
                        break;
                    }
                }
                // The pause covers a fetch between the look and the wait.
                let _told = tokio::time::timeout(Duration::from_millis(100), fetched)
                    .await
                    .is_ok();
            }
        }
    }
}

fn key(ticket: &ScriptTicket) -> String {
    ticket.as_str().to_ascii_lowercase()
}

fn gone(ticket: &ScriptTicket, exit_code: i32) -> ScriptStatus {
    ScriptStatus {
        ticket: ticket.clone(),
        logs: Vec::new(),
        next_log_sequence: 0,
        state: ProcessState::Complete,
        exit_code,
    }
}

/// For the Server's user and group: the next container may run under another uid of the group.
async fn private_folder(folder: &Path) -> std::io::Result<()> {
    tokio::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o770)
        .create(folder)
        .await
}

/// The time that lines carry; nothing is decided by it.
fn now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker() -> (tempfile::TempDir, LocalWorker, CancellationToken) {
        let folder = tempfile::tempdir().unwrap();
        let worker = LocalWorker::new(folder.path().join("worker"));
        (folder, worker, CancellationToken::new())
    }

    async fn finish(worker: &LocalWorker, ticket: &ScriptTicket) -> (Vec<String>, i32) {
        let (mut lines, mut after) = (Vec::new(), 0);
        loop {
            let status = worker
                .status(ticket, after, &CancellationToken::new())
                .await
                .unwrap();
            after = status.next_log_sequence;
            lines.extend(status.logs.into_iter().map(|line| line.text));
            if status.state == ProcessState::Complete {
                return (lines, status.exit_code);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_script_runs_once_for_its_ticket() {
        let (folder, worker, cancel) = worker();
        let ticket = ScriptTicket::parse("Ticket1").unwrap();
        let counter = folder.path().join("counter");
        let body = format!("echo run >> '{}'\necho hello\nexit 3\n", counter.display());
        for _ in 0..3 {
            worker
                .start(
                    &StartScriptCommand::new(ticket.clone(), "ServerTasks-1", &body),
                    &cancel,
                )
                .await
                .unwrap();
        }
        assert_eq!(finish(&worker, &ticket).await, (vec!["hello".to_owned()], 3));
        let restarted = LocalWorker::new(folder.path().join("worker"));
        let again = restarted
            .start(
                &StartScriptCommand::new(ticket.clone(), "ServerTasks-1", &body),
                &cancel,
            )
            .await
            .unwrap();
        assert_eq!(again.exit_code, exit_code::UNKNOWN_RESULT);
        worker.complete(&ticket, &cancel).await.unwrap();
        assert_eq!(
            worker.status(&ticket, 0, &cancel).await.unwrap().exit_code,
            exit_code::UNKNOWN_TICKET
        );
        assert_eq!(std::fs::read_to_string(counter).unwrap(), "run\n");
    }

    #[tokio::test]
    async fn a_stop_kills_the_children_too() {
        let (folder, worker, cancel) = worker();
        let ticket = ScriptTicket::parse("Ticket2").unwrap();
        let pid = folder.path().join("pid");
        let body = format!("sleep 600 & echo $! > '{}'\necho ready\nwait\n", pid.display());
        let mut status = worker
            .start(
                &StartScriptCommand::new(ticket.clone(), "ServerTasks-1", &body),
                &cancel,
            )
            .await
            .unwrap();
        while status.logs.is_empty() {
            status = worker.status(&ticket, 0, &cancel).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        worker.stop(&ticket, 0, &cancel).await.unwrap();
        finish(&worker, &ticket).await;
        let pid = std::fs::read_to_string(pid).unwrap();
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }

    #[tokio::test]
    async fn the_environment_holds_nothing_of_the_server() {
        let (_folder, worker, cancel) = worker();
        let ticket = ScriptTicket::parse("Ticket3").unwrap();
        worker
            .start(
                &StartScriptCommand::new(ticket.clone(), "ServerTasks-1", "env | cut -d= -f1"),
                &cancel,
            )
            .await
            .unwrap();
        let (names, _) = finish(&worker, &ticket).await;
        let known = ["PWD", "SHLVL", "_", "OLDPWD"];
        for name in names {
            let expected = INHERITED.contains(&name.as_str()) || known.contains(&name.as_str());
            assert!(
                expected || name.starts_with("Tentacle") || name.starts_with("Calamari"),
                "{name}"
            );
        }
    }
}
