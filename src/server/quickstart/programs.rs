//! The programs of the quickstart as processes: built when missing, started, stopped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::{Failure, text};

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Server,
    Agent,
}

/// Where the programs are.
pub(crate) struct Programs {
    server: PathBuf,
    agent: PathBuf,
    /// The folder with the runner.
    pub(crate) runners: PathBuf,
}

impl Programs {
    /// Finds agent and runner beside this program; builds them with cargo in the same profile when this
    /// program was started by cargo, so that they are of one version.
    pub(crate) async fn build() -> Result<Self, Failure> {
        let server =
            std::env::current_exe().map_err(|error| format!("this program's path is not known: {error}."))?;
        let folder = server
            .parent()
            .ok_or("this program has no folder.")?
            .to_path_buf();
        let programs = Self {
            server,
            agent: folder.join("tentacle"),
            runners: folder.clone(),
        };
        if let Some(cargo) = std::env::var_os("CARGO") {
            let profile: &[&str] = if cfg!(debug_assertions) {
                &[]
            } else {
                &["--release"]
            };
            let mut build = Command::new(cargo);
            build
                .args(["build", "-p", "tentacle", "-p", "calamari"])
                .args(profile);
            // What cargo tells the program that it runs would make it build crates again that look at it, now and the
            // next time.
            for (name, _) in std::env::vars_os() {
                let told = ["CARGO_MANIFEST_", "CARGO_PKG_"];
                if told.iter().any(|told| name.to_string_lossy().starts_with(told)) {
                    build.env_remove(name);
                }
            }
            let status = build
                .status()
                .await
                .map_err(|error| format!("cargo could not be started: {error}."))?;
            if !status.success() {
                return Err("agent and runner could not be built; see above.".into());
            }
        }
        for program in [&programs.agent, &folder.join("calamari")] {
            if !program.is_file() {
                return Err(format!(
                    "{} is missing. Start the quickstart with `cargo run --release -- quickstart`, which builds it.",
                    program.display()
                ));
            }
        }
        Ok(programs)
    }

    fn command(&self, program: Program, arguments: &[&str], environment: &[(&str, String)]) -> Command {
        let path = match program {
            Program::Server => &self.server,
            Program::Agent => &self.agent,
        };
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(settings::is_setting) {
                command.env_remove(name);
            }
        }
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Runs a command to its end and shows what it said when it failed.
    pub(crate) async fn run_to_end(
        &self,
        program: Program,
        arguments: &[&str],
        environment: &[(&str, String)],
        folder: &Path,
    ) -> Result<(), Failure> {
        let output = self
            .command(program, arguments, environment)
            .current_dir(folder)
            .output()
            .await
            .map_err(|error| format!("{program:?} could not be started: {error}."))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!(
            "`{} {}` ended with {}:\n{}{}",
            if program == Program::Server {
                "mantle"
            } else {
                "tentacle"
            },
            arguments.first().unwrap_or(&""),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    /// Starts a program that goes on; what it says goes to a file.
    pub(crate) fn start(
        &self,
        program: Program,
        arguments: &[&str],
        environment: &[(&str, String)],
        log: &Path,
    ) -> Result<Process, Failure> {
        let failed = |error: std::io::Error| format!("{program:?} could not be started: {error}.");
        let file = std::fs::File::create(log).map_err(failed)?;
        let twin = file.try_clone().map_err(failed)?;
        let child = self
            .command(program, arguments, environment)
            .stdout(file)
            .stderr(twin)
            .spawn()
            .map_err(failed)?;
        Ok(Process {
            child,
            log: log.to_path_buf(),
        })
    }
}

/// A program that runs.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Fails with the end of its log when the program has ended.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(20)..].join("\n");
                Err(format!(
                    "a program ended with {status}. The end of {}:\n{last}",
                    text(&self.log)
                ))
            }
            Err(error) => Err(format!("a program cannot be asked for its state: {error}.")),
        }
    }

    /// Asks the program to end, and waits for it.
    pub(crate) async fn stop(mut self) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok())
            && let Some(id) = rustix::process::Pid::from_raw(id)
            && let Err(error) = rustix::process::kill_process(id, rustix::process::Signal::TERM)
        {
            eprintln!("A program could not be asked to end: {error}.");
        }
        if tokio::time::timeout(Duration::from_secs(10), self.child.wait())
            .await
            .is_err()
            && let Err(error) = self.child.kill().await
        {
            eprintln!("A program could not be ended: {error}.");
        }
    }
}

/// Ports of the loopback address that were free a moment ago.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let failed = |error: std::io::Error| format!("no free port on 127.0.0.1: {error}.");
    let sockets: Vec<std::net::TcpListener> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    sockets
        .iter()
        .map(|socket| socket.local_addr().map(|address| address.port()).map_err(failed))
        .collect()
}
