//! The official clients, unmodified, against the running program: each signs in, makes a project, pushes a
//! package, creates a release, deploys it, follows its task and deletes what it made.
//!
//! The programs `go` and `typescript` tell what they did line by line; what failed is in their output.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::program::{API_KEY, Program, target};

#[test]
fn the_go_client_deploys_a_release() {
    let server = Program::start();
    let program = target().join("go-client");
    run(
        Command::new("go").args(["build", "-o"]).arg(&program).arg("."),
        "go",
    );
    tell(Command::new(program), "go", &server);
}

#[test]
fn the_typescript_client_deploys_a_release() {
    let server = Program::start();
    run(
        Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
        "typescript",
    );
    let mut node = Command::new("node");
    node.arg("main.mjs");
    tell(node, "typescript", &server);
}

#[test]
fn the_clients_are_those_that_were_published() {
    let go = read("go/go.mod");
    assert!(go.contains("github.com/OctopusDeploy/go-octopusdeploy/v2 v2.114.1\n"));
    assert!(!go.contains("replace"), "the Go client must be the published one");
    let typescript = read("typescript/package.json");
    assert!(typescript.contains(r#""@octopusdeploy/api-client": "3.11.0""#));
    assert!(
        !read("typescript/package-lock.json").contains("\"resolved\""),
        "the lock file must not say which registry it was written with"
    );
}

/// Runs a client's program against the Server; its output is the message when it fails.
fn tell(mut program: Command, folder: &str, server: &Program) {
    run(
        program.env("SERVER_URL", &server.url).env("API_KEY", API_KEY),
        folder,
    );
}

fn run(command: &mut Command, folder: &str) {
    let output = command
        .current_dir(at(folder))
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn read(file: &str) -> String {
    std::fs::read_to_string(at(file)).expect("the file is in the repository")
}

fn at(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(file)
}
