//! The container engine, by its own client: containers, volumes and networks that remove themselves.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Everything that a story makes bears this label.
const LABEL: &str = "mantle.story";
/// What an orchestrator that trusts nobody would set: no capability, a root that cannot be written, and a user
/// that the image does not know.
const HARDENED: &[&str] = &[
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=54321:0",
];

thread_local! {
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// Tells a story once more with containers as a newcomer would run them.
pub fn plainly(story: fn()) {
    PLAIN.set(true);
    story();
    PLAIN.set(false);
}

/// Runs the engine's client and expects success.
pub fn docker<S: AsRef<str>>(words: &[S]) -> String {
    let output = try_docker(words);
    let line = words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
    assert!(
        output.status.success(),
        "docker {line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs the engine's client.
pub fn try_docker<S: AsRef<str>>(words: &[S]) -> Output {
    let words = words.iter().map(AsRef::as_ref);
    Command::new("docker")
        .args(words)
        .output()
        .expect("the docker client is installed")
}

/// Looks again until there is an answer; panics with what was waited for.
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Some seconds.
pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A name that no other story uses.
pub fn fresh(word: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "mantle-story-{}-{word}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ has a parent")
        .to_owned()
}

/// The tag of the images under test.
pub fn tag() -> String {
    std::env::var("MANTLE_TEST_TAG").unwrap_or_else(|_| "dev".to_owned())
}

/// The server image.
pub fn server_image() -> String {
    format!("mantle/server:{}", tag())
}

/// The agent image.
pub fn agent_image() -> String {
    format!("mantle/tentacle:{}", tag())
}

/// A container that is about to be started.
#[derive(Clone)]
pub struct Run {
    image: String,
    options: Vec<String>,
    words: Vec<String>,
    is_hardened: bool,
}

impl Run {
    /// Of this image, hardened unless the whole story is told plainly.
    pub fn new(image: &str) -> Run {
        Run {
            image: image.to_owned(),
            options: Vec::new(),
            words: Vec::new(),
            is_hardened: !PLAIN.get(),
        }
    }

    /// As a newcomer would run it.
    pub fn plain(mut self) -> Run {
        self.is_hardened = false;
        self
    }

    /// An option of `docker run`.
    pub fn option(mut self, option: &str) -> Run {
        self.options.push(option.to_owned());
        self
    }

    /// A variable.
    pub fn env(self, name: &str, value: &str) -> Run {
        self.option(&format!("--env={name}={value}"))
    }

    /// A volume or a folder of the host at a path.
    pub fn mount(self, source: &str, path: &str) -> Run {
        self.option(&format!("--volume={source}:{path}"))
    }

    /// On this network.
    pub fn on(self, network: &Network) -> Run {
        self.option(&format!("--network={}", network.0))
    }

    /// A container port on a free port of the host's loopback.
    pub fn publish(self, port: u16) -> Run {
        self.option(&format!("--publish=127.0.0.1::{port}"))
    }

    /// Words for process 1.
    pub fn words(mut self, words: &[&str]) -> Run {
        self.words = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it in the background.
    pub fn start(self) -> Container {
        let name = fresh("container");
        let mut all = vec!["run".to_owned(), "--detach".to_owned()];
        all.extend(self.common(&name));
        docker(&all);
        Container { name }
    }

    /// Starts it, waits for its end, and tells exit code and log.
    pub fn finish(self, limit: Duration) -> (i32, String) {
        let container = self.start();
        let code = container.exit_code(limit);
        (code, container.logs())
    }

    /// What both ways share.
    pub fn common(&self, name: &str) -> Vec<String> {
        let mut all = vec![
            format!("--name={name}"),
            format!("--label={LABEL}={}", std::process::id()),
        ];
        if self.is_hardened {
            all.extend(HARDENED.iter().map(|option| (*option).to_owned()));
        }
        all.extend(self.options.iter().cloned());
        all.push(self.image.clone());
        all.extend(self.words.iter().cloned());
        all
    }
}

/// A container of a story; removed with it, anonymous volumes included.
pub struct Container {
    /// Its name.
    pub name: String,
}

impl Container {
    /// One value of `docker inspect`.
    pub fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.name])
    }

    /// Everything that it has printed.
    pub fn logs(&self) -> String {
        let output = try_docker(&["logs", &self.name]);
        [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    }

    /// `healthy`, `unhealthy` or `starting`.
    pub fn health(&self) -> String {
        self.inspect("{{.State.Health.Status}}")
    }

    /// Waits until the engine calls it healthy.
    pub fn healthy(&self, limit: Duration) -> &Container {
        self.becomes("healthy", limit);
        self
    }

    /// Waits for a state of health; tells the log if it does not come.
    pub fn becomes(&self, health: &str, limit: Duration) {
        let end = Instant::now() + limit;
        while self.health() != health {
            let is_over = Instant::now() >= end || (health == "healthy" && !self.is_running());
            assert!(
                !is_over,
                "{} is not {health} but {}:\n{}",
                self.name,
                self.health(),
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for a text in its log.
    pub fn says(&self, text: &str, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let logs = self.logs();
            if logs.contains(text) {
                return;
            }
            assert!(
                Instant::now() < end,
                "{} never said \"{text}\":\n{logs}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.inspect("{{.State.Running}}") == "true"
    }

    /// Waits for its end.
    pub fn exit_code(&self, limit: Duration) -> i32 {
        let end = Instant::now() + limit;
        while self.is_running() {
            assert!(
                Instant::now() < end,
                "{} does not end:\n{}",
                self.name,
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        self.inspect("{{.State.ExitCode}}").parse().expect("an exit code")
    }

    /// Runs a command in it and tells what it prints.
    pub fn exec(&self, words: &[&str]) -> String {
        docker(&[&["exec", &self.name], words].concat())
    }

    /// The same for a command that may fail: exit code and output.
    pub fn try_exec(&self, words: &[&str]) -> (i32, String) {
        let output = try_docker(&[&["exec", &self.name], words].concat());
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code().unwrap_or(-1), text.concat())
    }

    /// `docker stop`, and how long it took.
    pub fn stop(&self) -> Duration {
        let start = Instant::now();
        docker(&["stop", &self.name]);
        start.elapsed()
    }

    /// `docker start`.
    pub fn start_again(&self) {
        docker(&["start", &self.name]);
    }

    /// `docker restart`.
    pub fn restart(&self) {
        docker(&["restart", &self.name]);
    }

    /// `docker kill`, by SIGKILL unless named.
    pub fn kill(&self, signal: &str) {
        docker(&["kill", "--signal", signal, &self.name]);
    }

    /// The loopback address at which a container port is published.
    pub fn address(&self, port: u16) -> String {
        let answer = docker(&["port", &self.name, &port.to_string()]);
        answer.lines().next().expect("the port is published").to_owned()
    }

    /// What it changed outside its volumes.
    pub fn changes(&self) -> String {
        docker(&["diff", &self.name])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.logs();
            let tail: Vec<_> = logs.lines().rev().take(25).collect();
            eprintln!("---- {} ----", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        try_docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// A volume of a story.
pub struct Volume(pub String);

impl Volume {
    /// A new, empty one.
    pub fn new() -> Volume {
        let name = fresh("volume");
        docker(&[
            "volume",
            "create",
            "--label",
            &format!("{LABEL}={}", std::process::id()),
            &name,
        ]);
        Volume(name)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        try_docker(&["volume", "rm", "--force", &self.0]);
    }
}

/// A network of a story.
pub struct Network(pub String);

impl Network {
    /// A new bridge.
    pub fn new() -> Network {
        Network::with(&[])
    }

    /// A new bridge without a way out.
    pub fn isolated() -> Network {
        Network::with(&["--internal"])
    }

    fn with(options: &[&str]) -> Network {
        let name = fresh("network");
        let label = format!("{LABEL}={}", std::process::id());
        docker(&[&["network", "create", "--label", &label], options, &[&name]].concat());
        Network(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        try_docker(&["network", "rm", &self.0]);
    }
}

/// A folder of the host that any user of group 0 may write, as the documentation asks for bind mounts.
pub fn shared_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o2775)).expect("our own folder");
    folder
}
