//! The decision table of the master key (`containers.md` 2.3).

use std::process::Command;

use base64::Engine as _;

use crate::engine::{Container, Run, Volume, docker, fresh, seconds, server_image, shared_folder};
use crate::quiet::together;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

fn on(volume: &Volume) -> Run {
    Run::new(&server_image()).mount(&volume.0, "/data")
}

/// What the embedded database holds, as statements.
fn dump(volume: &Volume) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = fresh("dump");
    docker(&[
        "create",
        "--name",
        &name,
        "--volume",
        &format!("{}:/data", volume.0),
        &server_image(),
    ]);
    let copy = folder.path().to_str().expect("a path that is text").to_owned();
    docker(&["cp", &format!("{name}:/data/."), &copy]);
    docker(&["rm", &name]);
    let script = "import sqlite3,sys; [print(x) for x in sqlite3.connect(sys.argv[1]).iterdump()]";
    let file = folder.path().join("mantle.db");
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(&file)
        .output()
        .expect("python3 is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn shown(container: &Container) -> String {
    container.exec(&["mantle", "show-master-key"])
}

/// REQ-017, REQ-038, REQ-039, REQ-040, REQ-042: a key is generated, shown once, and not again.
#[test]
fn a_generated_key_is_shown_once() {
    let _together = together();
    let volume = Volume::new();
    let first = on(&volume).plain().start();
    first.healthy(seconds(30));
    let key = shown(&first);
    assert_eq!(
        base64::engine::general_purpose::STANDARD
            .decode(&key)
            .unwrap()
            .len(),
        16
    );
    let log = first.logs();
    let after = log
        .split("Display master key")
        .nth(1)
        .unwrap_or_else(|| panic!("{log}"));
    let line = after
        .lines()
        .take(5)
        .find(|line| line.contains(" | "))
        .unwrap_or_else(|| panic!("{log}"));
    assert!(line.ends_with(&format!(" | {key}")), "{line}");
    first.restart();
    first.becomes("starting", seconds(5));
    first.healthy(seconds(30));
    assert_eq!(first.logs().matches("Display master key").count(), 1);
    assert!(
        first.logs().to_lowercase().contains("existing database"),
        "{}",
        first.logs()
    );
    drop(first);

    let second = on(&volume).start();
    second.healthy(seconds(30));
    assert_eq!(shown(&second), key);
    assert_eq!(second.logs().matches("Display master key").count(), 0);
}

/// REQ-016, REQ-020: a given key makes the database and opens it again; it is not printed.
#[test]
pub fn a_given_key_is_used() {
    let _together = together();
    let volume = Volume::new();
    for _start in 0..2 {
        let container = on(&volume).env("masterKey", KEY).start();
        container.healthy(seconds(30));
        assert_eq!(shown(&container), KEY);
        assert!(!container.logs().contains(KEY), "{}", container.logs());
    }
}

/// REQ-018, REQ-019: without the key, or with another, nothing of an existing database is touched.
#[test]
fn a_missing_or_wrong_key_stops_the_start_and_touches_nothing() {
    let _together = together();
    let volume = Volume::new();
    let container = on(&volume).env("MASTER_KEY", KEY).start();
    container.healthy(seconds(30));
    container.stop();
    drop(container);
    let before = dump(&volume);
    assert!(before.contains("CREATE TABLE"), "{before}");

    let (code, log) = on(&volume).finish(seconds(30));
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("MASTER_KEY"), "{log}");
    let (code, log) = on(&volume)
        .env("MASTER_KEY", "ZmVkY2JhOTg3NjU0MzIxMA==")
        .finish(seconds(30));
    assert_eq!(code, 3, "{log}");
    let (code, log) = on(&volume).env("MASTER_KEY", "not base64").finish(seconds(30));
    assert_eq!(code, 3, "{log}");
    assert!(!log.contains("not base64"), "{log}");
    assert!(dump(&volume) == before, "the database changed");

    let container = on(&volume).env("MASTER_KEY", KEY).start();
    container.healthy(seconds(30));
}

/// REQ-038: on a mounted key folder the key is a file there, and the log names the file, not the key.
#[test]
fn a_mounted_key_folder_takes_the_key() {
    let folder = shared_folder();
    takes_the_key(folder.path().to_str().unwrap());
}

/// REQ-038: the same on a named volume.
#[test]
fn a_key_volume_takes_the_key() {
    takes_the_key(&Volume::new().0);
}

fn takes_the_key(keys: &str) {
    let _together = together();
    let data = Volume::new();
    let container = on(&data)
        .mount(keys, "/masterKey")
        .env("MASTER_KEY_LOG", "never")
        .start();
    container.healthy(seconds(30));
    let key = shown(&container);
    assert_eq!(container.exec(&["cat", "/masterKey/OctopusServer"]), key);
    assert_eq!(
        container.exec(&["stat", "-c", "%a", "/masterKey/OctopusServer"]),
        "600"
    );
    assert!(!container.logs().contains(&key), "{}", container.logs());
    drop(container);
    let without = on(&data).finish(seconds(30));
    assert_eq!(without.0, 3, "{}", without.1);
}
