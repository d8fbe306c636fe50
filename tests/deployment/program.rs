//! The programs of the stories as processes. Server and agent are this very test program, started again: so they have the
//! fail points, and nothing more has to be linked. The runner is the real program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Says in the environment of a process what it is to be.
const ROLE: &str = "MANTLE_STORY_ROLE";
/// The separator of arguments in the environment.
const BETWEEN: char = '\u{1f}';

/// A process that is killed when this is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a role with arguments and an environment of its own.
    pub fn start(role: &str, arguments: &[String], environment: &[(&str, String)], output: &Path) -> Self {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(output)
            .expect("the story's folder is writable");
        let twin = file.try_clone().expect("a file has a second handle");
        let child = command(role, arguments, environment)
            .stdout(file)
            .stderr(twin)
            .spawn();
        Self {
            child: child.expect("this program can be started again"),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill().is_ok();
        self.child.wait().expect("a child can be waited for");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a child has an id"), signal).expect("the child is there");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a role to its end.
pub fn run_to_end(role: &str, arguments: &[String], environment: &[(&str, String)]) {
    let output = command(role, arguments, environment)
        .output()
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{role} {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn command(role: &str, arguments: &[String], environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    let arguments: String = arguments.join(&BETWEEN.to_string());
    command
        .args([
            "program::a_process_of_a_story_is_this_program_in_a_role",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env_clear()
        .envs(
            ["PATH", "HOME", "TMPDIR"]
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env(ROLE, format!("{role}{BETWEEN}{arguments}"))
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null());
    command
}

/// The folder with the runner, built once in the profile of the stories.
pub fn runners() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let own = std::env::current_exe().expect("this program has a path");
        let folder = own
            .ancestors()
            .nth(2)
            .expect("it lies in target/<profile>/deps")
            .to_path_buf();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = folder.parent().expect("a profile lies in the target folder");
        let mut build = Command::new(cargo);
        build
            .args([
                "build",
                "--quiet",
                "-p",
                "calamari",
                "-p",
                "tentacle",
                "--target-dir",
            ])
            .arg(target);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let status = build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo can be started");
        assert!(status.success(), "the runner could not be built");
        folder
    });
    built.clone()
}

/// Not a story of its own: what a process of a story does. Without a role it does nothing.
#[test]
fn a_process_of_a_story_is_this_program_in_a_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut words = role.split(BETWEEN).map(str::to_owned);
    let role = words.next().unwrap_or_default();
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    let code = match role.as_str() {
        "server" => server(&words),
        "agent" => agent(&words),
        other => panic!("there is no role '{other}'"),
    };
    std::process::exit(code);
}

fn server(words: &[String]) -> i32 {
    let points = fail::FailScenario::setup();
    drop(rustls::crypto::ring::default_provider().install_default());
    let environment = settings::Environment::of_process(settings::Program::Server);
    let settings = environment
        .server()
        .unwrap_or_else(|problems| panic!("{problems}"));
    let [home, communications, runners] = words else {
        panic!("home, port and runners are needed")
    };
    let home = server::command::Home {
        home: Some(home.into()),
    };
    let options = server::command::Serve {
        home: home.clone(),
        bind: std::net::Ipv4Addr::LOCALHOST.into(),
        communications_port: communications.parse().expect("a port"),
        runners: runners.into(),
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let done = runtime.block_on(async {
        server::prepare::run(&settings, &home.folders()).await?;
        server::serve::run(settings, options).await
    });
    drop(points);
    match done {
        Ok(()) => 0,
        Err(failure) => {
            println!("{}", failure.message);
            1
        }
    }
}

fn agent(words: &[String]) -> i32 {
    let surroundings = tentacle::Surroundings::of_process().expect("the current folder can be used");
    i32::from(tentacle::run(words, surroundings, tentacle::Output::of_process()))
}
