//! Process 1 with stand-ins for the product's programs: what they are given, in which order, and how it ends.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Process 1 with a folder of stand-ins as its `PATH`.
struct Stage {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Stage {
    fn new(mantle: &str) -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("mantle");
        std::fs::write(&program, format!("#!/bin/bash\n{mantle}\n")).expect("a writable folder");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("our own file");
        Stage {
            folder,
            variables: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Stage {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_entrypoint"));
        command
            .arg("server")
            .env_clear()
            .envs(self.variables.iter().cloned());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.folder.path().display()));
        command.current_dir(self.folder.path()).stdout(Stdio::piped());
        command
    }

    fn output(&self) -> (i32, String) {
        let Output { status, stdout, .. } = self.command().output().expect("process 1 starts");
        (
            status.code().expect("an exit code"),
            String::from_utf8(stdout).expect("text"),
        )
    }

    /// Starts it and waits for a line.
    fn started(&self, line: &str) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut child = self.command().spawn().expect("process 1 starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut read = String::new();
        while lines.read_line(&mut read).expect("text") > 0 {
            if read.trim_end().ends_with(line) {
                return (child, lines);
            }
        }
        let status = child.wait();
        panic!("no line {line} in {read}; it ended: {status:?}");
    }
}

fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill")
            .args([name, &child.id().to_string()])
            .status()
            .expect("kill runs")
            .success()
    );
}

#[test]
fn the_server_is_prepared_and_then_served_with_canonical_names() {
    let stage = Stage::new("echo \"$1:\"; env | sort")
        .with("masterKey", "a2V5")
        .with("OctopusAdminPassword", "Corr3ct-horse")
        .with("ServerApiKey", "API-OTHERPROGRAM")
        .with("JAVA_HOME", "/opt/java");
    let (code, log) = stage.output();
    assert_eq!(code, 0, "{log}");
    let (prepare, serve) = log.split_once("serve:\n").unwrap();
    assert!(
        prepare.starts_with("prepare:\n") && prepare.contains("ADMIN_PASSWORD=Corr3ct-horse"),
        "{log}"
    );
    for part in [prepare, serve] {
        assert!(
            part.contains("MASTER_KEY=a2V5") && part.contains("JAVA_HOME=/opt/java"),
            "{part}"
        );
        assert!(!part.contains("masterKey") && !part.contains("API-"), "{part}");
    }
    assert!(!serve.contains("Corr3ct-horse"), "{serve}");
}

#[test]
fn all_problems_are_told_and_nothing_is_started() {
    let stage = Stage::new("echo started")
        .with("TASK_CAP", "many")
        .with("X_PORT", "1")
        .with("HTTP_PORT", "web");
    let (code, log) = stage.output();
    assert_eq!(code, 2);
    assert!(
        log.contains("TASK_CAP") && log.contains("HTTP_PORT") && !log.contains("started"),
        "{log}"
    );
}

#[test]
fn a_failed_preparation_is_the_exit_code_and_three_waits() {
    let (code, log) = Stage::new("echo $1; exit 7").output();
    assert_eq!((code, log.as_str()), (7, "prepare\n"));
    let start = Instant::now();
    assert_eq!(Stage::new("exit 3").output().0, 3);
    assert!(start.elapsed() >= Duration::from_secs(5), "code 3 does not wait");
}

#[test]
fn a_signal_reaches_the_program_and_orphans_are_reaped() {
    let stage = Stage::new(
        "[ $1 = serve ] || exit 0
         trap 'echo got it; exit 0' TERM
         (sleep 0.1 & echo $! >orphan); echo ready
         while :; do sleep 0.05; done",
    );
    let (mut child, mut lines) = stage.started("ready");
    let orphan = std::fs::read_to_string(stage.folder.path().join("orphan")).unwrap();
    let entry = format!("/proc/{}", orphan.trim());
    let limit = Instant::now() + Duration::from_secs(5);
    while std::path::Path::new(&entry).exists() {
        assert!(Instant::now() < limit, "the orphan is a zombie");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "-TERM");
    let mut rest = String::new();
    lines.read_line(&mut rest).unwrap();
    assert_eq!(
        (rest.as_str(), child.wait().unwrap().code()),
        ("got it\n", Some(0))
    );
}

#[test]
fn a_stop_during_the_preparation_starts_nothing_more() {
    let stage = Stage::new("trap '' INT; trap 'exit 1' TERM; echo $1; while :; do sleep 0.05; done");
    let (mut child, mut lines) = stage.started("prepare");
    signal(&child, "-INT");
    signal(&child, "-TERM");
    let mut rest = String::new();
    lines.read_line(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(
        child.wait().unwrap().code(),
        Some(143),
        "the second signal is the code"
    );
}

#[test]
fn another_first_word_is_executed_as_it_is() {
    let output = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_entrypoint"))
            .args(words)
            .output()
            .unwrap()
    };
    assert_eq!(output(&["echo", "one", "two"]).stdout, b"one two\n");
    assert_eq!(output(&["no-such-program"]).status.code(), Some(127));
    assert_eq!(output(&[]).status.code(), Some(2));
}
