//! The Server as people run it: the program `mantle` on the embedded database, in a folder of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The password of the administrator, whose name is `admin`.
pub const PASSWORD: &str = "Corr3ct-horse";
/// The administrator's API key.
pub const API_KEY: &str = "API-ABCDEFGHIJKLMNOPQRSTUVWX";

/// How long a Server may take from its start until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
/// What the Server logs once it answers.
const READY: &str = "Web server is ready to process requests";

/// A running Server with the environments Development and Test. It ends, and its folder goes, when this is dropped.
pub struct Program {
    /// Where it answers, without a slash at the end.
    pub url: String,
    process: Child,
    home: TempDir,
}

impl Program {
    /// Builds Server, agent and runner, prepares an empty folder and serves it on a free port.
    #[must_use]
    pub fn start() -> Self {
        let programs = build();
        let home = tempfile::tempdir().expect("the system has a folder for temporary files");
        let port = free_port();
        let mut prepare = command(&programs, "prepare", &home, port);
        let status = prepare.status().expect("the Server's program runs");
        assert!(
            status.success(),
            "mantle prepare ended with {status}: {}",
            read(&log_of(&home))
        );
        let mut serve = command(&programs, "serve", &home, port);
        serve.args(["--bind", "127.0.0.1", "--communications-port", "0", "--runners"]);
        serve.arg(&programs);
        let mut running = Self {
            url: format!("http://127.0.0.1:{port}"),
            process: serve.spawn().expect("the Server's program runs"),
            home,
        };
        running.wait_until_ready();
        running
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        read(&log_of(&self.home))
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(READY) {
            let ended = self.process.try_wait().expect("the Server is a child of ours");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the Server did not become ready: {}",
                self.log()
            );
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; nothing else can go wrong, and a story that fails says so itself.
        if self.process.kill().is_ok() {
            self.process.wait().expect("the Server is a child of ours");
        }
        if thread::panicking() {
            eprintln!("The Server's log:\n{}", self.log());
        }
    }
}

/// The folder of the test's own build, where cargo has put the programs too.
#[must_use]
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("tests are built into <target>/<profile>/deps");
    profile.to_path_buf()
}

/// Builds the programs beside the test, once in each process, and names their folder.
fn build() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build_now).clone()
}

fn build_now() -> PathBuf {
    let profile = target();
    let target = profile
        .parent()
        .expect("a profile's folder is in the target folder");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "server",
            "--package",
            "tentacle",
            "--package",
            "calamari",
        ])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the Server could not be built");
    profile
}

fn command(programs: &Path, verb: &str, home: &TempDir, port: u16) -> Command {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_of(home))
        .expect("the log can be opened");
    let mut command = Command::new(programs.join("mantle"));
    command
        .args([verb, "--home"])
        .arg(home.path().join("server"))
        .env("HTTP_PORT", port.to_string())
        .env("ADMIN_PASSWORD", PASSWORD)
        .env("ADMIN_API_KEY", API_KEY)
        .env("CREATE_ENVIRONMENTS", "Development,Test")
        .stdout(log.try_clone().expect("a file can be opened twice"))
        .stderr(log);
    command
}

fn log_of(home: &TempDir) -> PathBuf {
    home.path().join("server.log")
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}
