//! What lies on which volume.

use serde_json::json;

use crate::client::{Client, script_properties, text};
use crate::engine::{eventually, seconds, shared_folder};
use crate::quiet::together;
use crate::stack::{Stack, server};

/// All files under a folder of the host, as paths.
fn files(folder: &std::path::Path) -> Vec<String> {
    let output = std::process::Command::new("find")
        .arg(folder)
        .args(["-type", "f"])
        .output()
        .expect("find runs");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A package of one file, as a zip archive.
pub fn package(name: &str, content: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file(name, zip::write::SimpleFileOptions::default())
        .expect("a new file");
    std::io::Write::write_all(&mut archive, content.as_bytes()).expect("memory");
    archive.finish().expect("a whole archive").into_inner()
}

/// REQ-032: a pushed package is a file of the repository volume.
#[test]
fn a_pushed_package_is_a_file() {
    let _together = together();
    let folder = shared_folder();
    let container = server()
        .mount(folder.path().to_str().unwrap(), "/repository")
        .start();
    let client = Client::of(&container);
    let content = package("index.html", "hello");
    client.push("Acme.Web.1.0.0.zip", content.clone());
    let found = files(folder.path())
        .into_iter()
        .find(|file| file.contains("1.0.0"))
        .expect("a file of the package");
    assert_eq!(std::fs::read(found).unwrap(), content);
}

/// REQ-033, REQ-034: artifacts and task logs are files of their volumes, a log named after its task.
#[test]
fn artifacts_and_task_logs_are_files() {
    let _together = together();
    let (artifacts, logs) = (shared_folder(), shared_folder());
    let stack = Stack::with(|run| {
        let run = run.mount(artifacts.path().to_str().unwrap(), "/artifacts");
        run.mount(logs.path().to_str().unwrap(), "/taskLogs")
    });
    let _agent = stack.listening("web01").start();
    stack.client.healthy_machine("web01");
    let script =
        "echo a line to find; echo content of the artifact > result.txt; new_octopusartifact result.txt";
    let action =
        json!({"Name": "Run", "ActionType": "Octopus.Script", "Properties": script_properties(script)});
    let project = stack.client.project("Collects", "web", action);
    let task = stack.client.deploy(&project, "1.0.0", "Dev", &json!([]));
    stack.client.task(&task, "Success", seconds(60));
    let log = files(logs.path()).into_iter().filter(|file| file.contains(&task));
    let log: String = log.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert!(log.contains("a line to find"), "{log}");
    let content = b"content of the artifact\n";
    let is_there = || {
        files(artifacts.path())
            .iter()
            .any(|file| std::fs::read(file).unwrap() == content)
    };
    eventually("the artifact is a file", seconds(20), || is_there().then_some(()));
}

/// REQ-037: with a root that could be written, nothing is: what was made lies on the declared volumes.
#[test]
fn nothing_is_written_outside_the_volumes() {
    let _together = together();
    let stack = Stack::with(|run| run.plain());
    let agent = stack.listening("web01").plain().start();
    stack.client.healthy_machine("web01");
    stack
        .client
        .push("Acme.Web.1.0.0.zip", package("index.html", "hello"));
    let project = stack.client.script_project("Plain", "web", "pwd; ls -la");
    let task = stack.client.deploy(&project, "1.0.0", "Dev", &json!([]));
    stack.client.task(&task, "Success", seconds(60));
    for container in [&stack.server, &agent] {
        assert_eq!(container.changes(), "", "{}", container.name);
    }
    let root = stack.client.get("/api");
    assert!(!text(&root["ProductVersion"]).is_empty());
}
