//! A listening agent, set up with the commands that people use.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tempfile::TempDir;
use tests::program::{API_KEY, Program, target};

/// A running agent in the environment Development with the role `web`. It ends, and its folder goes, when this is
/// dropped.
pub struct Agent {
    process: Child,
    folder: TempDir,
}

impl Agent {
    /// Makes an instance, registers it under a name, and starts it.
    pub fn start(server: &Program, name: &str) -> Agent {
        let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
        let port = free_port().to_string();
        let run = |words: &[&str]| {
            let mut command = command(folder.path(), words);
            let output = command.output().expect("the agent's program runs");
            let told = [output.stdout, output.stderr].concat();
            assert!(
                output.status.success(),
                "{words:?}: {}",
                String::from_utf8_lossy(&told)
            );
        };
        let home = folder.path().display();
        run(&[
            "create-instance",
            &format!("--instance={name}"),
            &format!("--home={home}"),
        ]);
        run(&["new-certificate", "--if-blank"]);
        let applications = format!("--app={home}/Applications");
        let listens = format!("--port={port}");
        run(&[
            "configure",
            &applications,
            &listens,
            "--listenIpAddress=127.0.0.1",
        ]);
        run(&[
            "register-with",
            &format!("--server={}", server.url),
            &format!("--apiKey={API_KEY}"),
            &format!("--name={name}"),
            "--environment=Development",
            "--role=web",
            "--comms-style=TentaclePassive",
            "--publicHostName=127.0.0.1",
            &format!("--tentacle-comms-port={port}"),
        ]);
        Agent {
            process: spawn(folder.path()),
            folder,
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it puts the packages of Development.
    pub fn applications(&self) -> PathBuf {
        self.folder.path().join("Applications/Development")
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is a child of ours");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A story may have killed it already.
        if self.process.kill().is_ok() {
            self.process.wait().expect("it is a child of ours");
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("agent.log"));
            eprintln!("The agent's log:\n{}", log.unwrap_or_default());
        }
    }
}

fn spawn(folder: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("agent.log"));
    let log = log.expect("the log can be opened");
    let mut command = command(folder, &["agent", "--noninteractive"]);
    command
        .stdout(log.try_clone().expect("a file can be opened twice"))
        .stderr(log);
    command.spawn().expect("the agent's program runs")
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(target().join("tentacle"));
    command.env(
        "TentacleMachineConfigurationHomeDirectory",
        folder.join("machine"),
    );
    command.args(words);
    command.arg(format!("--config={}", folder.join("tentacle.config").display()));
    command
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}
