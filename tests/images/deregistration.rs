//! What a stopped agent leaves behind (`containers.md` 3.4).

use std::time::Instant;

use crate::client::text;
use crate::engine::{Volume, docker, eventually, seconds};
use crate::quiet::{alone, together};
use crate::stack::Stack;

/// REQ-052: `docker stop` takes the machine out of every list, `docker start` brings the same one back.
#[test]
fn a_stopped_agent_is_gone_and_comes_back_as_the_same_machine() {
    let _alone = alone();
    let stack = Stack::new();
    for agent in [stack.listening("web01"), stack.polling("poll01")] {
        let agent = agent.start();
        agent.says("Machine registered successfully", seconds(30));
        let id = text(&stack.client.machines()[0]["Id"]);
        agent.becomes("healthy", seconds(30));
        let took = agent.stop();
        assert_eq!(agent.inspect("{{.State.ExitCode}}"), "0", "{}", agent.logs());
        assert!(
            took < seconds(4),
            "an idle stop with deregistration took {took:?}"
        );
        assert!(
            agent.logs().contains("Machine deregistered successfully"),
            "{}",
            agent.logs()
        );
        let gone = || stack.client.machines().is_empty().then_some(());
        eventually("the machine is gone", seconds(5), gone);
        agent.start_again();
        let all = eventually("the machine is back", seconds(15), || {
            Some(stack.client.machines()).filter(|all| !all.is_empty())
        });
        assert_eq!((all.len(), text(&all[0]["Id"])), (1, id));
        agent.stop();
    }
}

/// The rule: a container that vanished is replaced by a new one of the same name within 15 s, with its
/// volume or without.
#[test]
fn a_killed_agent_is_replaced_by_one_of_the_same_name() {
    let _alone = alone();
    let stack = Stack::new();
    let volume = Volume::new();
    let first = stack.listening("web01").mount(&volume.0, "/agent").start();
    let id = text(&stack.client.machine("web01")["Id"]);
    docker(&["rm", "--force", &first.name]);
    for run in [
        stack.listening("web01").mount(&volume.0, "/agent"),
        stack.listening("web01"),
    ] {
        let start = Instant::now();
        let agent = run.start();
        agent.says("Machine registered successfully", seconds(15));
        let all = stack.client.machines();
        assert_eq!(
            (all.len(), text(&all[0]["Id"])),
            (1, id.clone()),
            "after {:?}",
            start.elapsed()
        );
        docker(&["rm", "--force", &agent.name]);
    }
}

/// REQ-053: the record can stay, and the Server sees the machine as unavailable.
#[test]
fn deregistration_can_be_turned_off() {
    let _together = together();
    let stack = Stack::new();
    let agent = stack.polling("poll01").env("DeregisterOnStop", "false").start();
    let id = text(&stack.client.healthy_machine("poll01")["Id"]);
    agent.stop();
    assert_eq!(agent.inspect("{{.State.ExitCode}}"), "0");
    let body = serde_json::json!({
        "Name": "Health",
        "Description": "Check of a stopped agent",
        "Arguments": {"Timeout": "00:00:20", "MachineIds": [id]},
    });
    let task = stack.client.post("/api/Spaces-1/tasks", &body);
    let path = format!("/api/tasks/{}", text(&task["Id"]));
    let is_over = || (stack.client.get(&path)["IsCompleted"] == true).then_some(());
    eventually("the check ends", seconds(90), is_over);
    let machine = stack.client.machine("poll01");
    assert_eq!(
        (text(&machine["Id"]), machine["HealthStatus"].as_str()),
        (id, Some("Unavailable"))
    );
}

/// REQ-087: an agent with a running script stops within its budget, and the container's exit is clean.
#[test]
fn a_stop_waits_its_grace_for_a_running_script() {
    let _alone = alone();
    let stack = Stack::new();
    let agent = stack.listening("web01").start();
    stack.client.healthy_machine("web01");
    let project = stack.client.script_project("Long", "web", "echo begun; sleep 60");
    let task = stack
        .client
        .deploy(&project, "1.0.0", "Dev", &serde_json::json!([]));
    eventually("the script runs", seconds(60), || {
        stack
            .client
            .text(&format!("/api/tasks/{task}/raw"))
            .contains("begun")
            .then_some(())
    });
    let took = agent.stop();
    assert!(took > seconds(3) && took < seconds(10), "the stop took {took:?}");
    assert_eq!(agent.inspect("{{.State.ExitCode}}"), "0", "{}", agent.logs());
}
