//! A cancel ends everything that a script has started.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::stack::{Stack, lines, script_step};

#[tokio::test(flavor = "multi_thread")]
async fn ten_seconds_after_a_cancel_nothing_of_the_script_is_left() {
    let stack = Stack::start().await;
    // A child, a child that ignores the request to end, and a grandchild with a session of its own.
    let body = format!(
        "pids='{}'\n\
         sleep 600 & echo $! >> \"$pids\"\n\
         (trap '' TERM INT HUP; echo $BASHPID >> \"$pids\"; while true; do sleep 1; done) &\n\
         setsid bash -c 'echo $$ >> \"$0\"; exec sleep 600' \"$pids\" &\n\
         echo $$ >> \"$pids\"\necho ready\nwait\n",
        stack.file("pids").display()
    );
    let always = json!({
        "Name": "Always", "Condition": "Always", "Properties": { "Octopus.Action.TargetRoles": "web" },
        "Actions": script_step("Always", "echo 'this never runs'")["Actions"],
    });
    stack
        .project("Cancel", json!([script_step("Wait", &body), always]))
        .await;
    stack.release("Cancel", "1.0").await;
    let task = stack.deploy("Cancel", "1.0").await;
    stack
        .until("both scripts run", async |stack: &Stack| {
            lines(&stack.file("pids")).len() == 8
        })
        .await;
    let cancelled = Instant::now();
    stack.post(&format!("tasks/{task}/cancel"), json!({})).await;
    let ended = stack.ended(&task).await;
    let log = stack.log(&task).await;
    assert_eq!(ended["State"], "Canceled", "{log}");
    assert!(!log.contains("this never runs"), "{log}");
    let pids = lines(&stack.file("pids"));
    while pids.iter().any(|pid| is_alive(pid)) {
        assert!(
            cancelled.elapsed() < Duration::from_secs(10),
            "{:?} live",
            pids.iter().filter(|pid| is_alive(pid))
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(cancelled.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_a_killed_server_did_not_carry_out_is_carried_out_after_its_start() {
    let mut stack = Stack::start().await;
    stack.server().kill();
    stack
        .start_server(Some("engine::script::cancelling=return"))
        .await;
    let body = format!("echo $$ >> '{}'\nsleep 600", stack.file("pids").display());
    stack.project("Cancel", json!([script_step("Wait", &body)])).await;
    stack.release("Cancel", "1.0").await;
    let task = stack.deploy("Cancel", "1.0").await;
    stack
        .until("both scripts run", async |stack: &Stack| {
            lines(&stack.file("pids")).len() == 2
        })
        .await;
    let cancel = stack.request(Method::POST, &format!("tasks/{task}/cancel"));
    // The Server may die before it answers.
    drop(cancel.json(&json!({})).send().await);
    stack.server_has_died().await;
    let pids = lines(&stack.file("pids"));
    assert!(pids.iter().all(|pid| is_alive(pid)));
    stack.start_server(None).await;
    let ended = stack.ended(&task).await;
    assert_eq!(ended["State"], "Canceled", "{}", stack.log(&task).await);
    assert!(
        !pids.iter().any(|pid| is_alive(pid)),
        "{}",
        stack.log(&task).await
    );
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}
