//! One line starts a Server, anywhere.

use std::time::Instant;

use crate::client::{Client, http};
use crate::engine::{Run, Volume, agent_image, docker, eventually, repository, seconds, server_image};
use crate::quiet::{alone, together};
use crate::stack::server;

/// REQ-002, REQ-004, REQ-007, REQ-036: no option is needed, and nothing is waited for long.
#[test]
fn one_line_starts_a_healthy_server() {
    let _alone = alone();
    let container = Run::new(&server_image()).plain().publish(8080).start();
    let start = Instant::now();
    let url = format!("http://{}/api", container.address(8080));
    let http = http();
    eventually("/api answers", seconds(10), || {
        http.get(&url).send().ok().filter(|answer| answer.status() == 200)
    });
    let answered = start.elapsed();
    assert!(answered <= seconds(2), "/api answered after {answered:?}");
    container.healthy(seconds(8).saturating_sub(start.elapsed()));
    assert_eq!(
        docker(&["inspect", "--format", "{{.Os}}", &server_image()]),
        "linux"
    );
    assert!(
        container
            .logs()
            .contains("Web server is ready to process requests"),
        "{}",
        container.logs()
    );
}

/// REQ-003: nothing but an engine is needed: no network, no writable root, with and without a volume.
#[test]
fn a_server_needs_neither_network_nor_a_writable_root() {
    let _together = together();
    let volume = Volume::new();
    let run = Run::new(&server_image()).option("--network=none");
    let with = run.clone().mount(&volume.0, "/data").start();
    let without = run.start();
    with.healthy(seconds(30));
    without.healthy(seconds(30));
}

/// REQ-008, REQ-081: standard input is never read.
#[test]
fn standard_input_makes_no_difference() {
    let _together = together();
    let start = |options: &[&str]| {
        let run = Run::new(&server_image());
        options.iter().fold(run, |run, option| run.option(option)).start()
    };
    let containers = [
        start(&[]),
        start(&["--interactive"]),
        start(&["--tty"]),
        start(&["--interactive", "--tty"]),
    ];
    containers
        .iter()
        .for_each(|container| container.becomes("healthy", seconds(30)));
}

/// REQ-009: stop, start and restart by name keep the state.
#[test]
pub fn stop_start_and_restart_keep_the_state() {
    let _together = together();
    let container = server().start();
    let client = Client::of(&container);
    let group = client.post(
        "/api/Spaces-1/projectgroups",
        &serde_json::json!({"Name": "Kept"}),
    );
    container.stop();
    assert_eq!(container.inspect("{{.State.ExitCode}}"), "0");
    container.start_again();
    container.restart();
    let client = Client::of(&container);
    let path = format!("/api/Spaces-1/projectgroups/{}", group["Id"].as_str().unwrap());
    assert_eq!(client.get(&path)["Name"], "Kept");
}

/// REQ-005: the Dockerfiles are here, and both hold the same text for the programs, so that one compilation serves
/// both. `tests/run` builds `--from-source` once.
#[test]
fn both_dockerfiles_build_the_programs_alike() {
    let stage = |name: &str| {
        let text = std::fs::read_to_string(repository().join(name)).unwrap();
        let from = text.find("# ---- programs").unwrap();
        let to = text.find("# ---- the image").unwrap();
        assert!(
            !text.contains("# syntax") && !text.contains("<<") && !text.contains("--mount"),
            "{name}"
        );
        text[from..to].to_owned()
    };
    assert_eq!(stage("Dockerfile.server"), stage("Dockerfile.tentacle"));
}

/// REQ-087: an idle Server stops at once.
#[test]
fn an_idle_server_stops_within_a_second() {
    let _alone = alone();
    let container = server().start();
    container.healthy(seconds(30));
    let took = container.stop();
    assert!(took < seconds(1), "the stop took {took:?}");
    assert_eq!(container.inspect("{{.State.ExitCode}}"), "0");
    assert!(
        container.logs().contains("Received SIGTERM"),
        "{}",
        container.logs()
    );
}

/// REQ-086: any user works, and none can read the environment of process 1.
#[test]
fn any_user_works_and_process_1_is_closed() {
    let _together = together();
    let container = server().start();
    container.healthy(seconds(30));
    assert_eq!(container.exec(&["id", "-u"]), "54321");
    let (code, _) = container.try_exec(&["cat", "/proc/1/environ"]);
    assert_ne!(code, 0, "process 1 shows its environment to its own user");
    assert_eq!(container.exec(&["cat", "/proc/1/comm"]), "entrypoint");
}

/// The budget: at most 40 MB over the base.
#[test]
fn both_images_are_small() {
    let size = |image: &str| {
        docker(&["image", "inspect", "--format", "{{.Size}}", image])
            .parse::<u64>()
            .unwrap()
    };
    let base = size("debian:bookworm-slim");
    for image in [server_image(), agent_image()] {
        let over = size(&image).saturating_sub(base) / 1_000_000;
        assert!(over <= 40, "{image} is {over} MB over its base");
    }
}
