//! Two Servers on one PostgreSQL: what one leaves, the other goes on with; what one wants to write too late, it cannot.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use storage::Engine;
use tests::database::TestDatabase;

use crate::stack::{Stack, lines, script_step};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_that_comes_back_after_another_took_its_task_writes_nothing() {
    let Some(database) = TestDatabase::on(Engine::Postgres) else {
        return;
    };
    let mut stack = Stack::on(&database).await;
    let body = format!(
        "echo begun >> '{}'\nfor i in $(seq 40); do echo \"line $i\"; sleep 1; done",
        stack.file("counter").display()
    );
    stack
        .project("Paused", json!([script_step("Count", &body)]))
        .await;
    stack.release("Paused", "1.0").await;
    let task = stack.deploy_to("one", "Paused", "1.0").await;
    let counter = stack.file("counter");
    stack
        .until("the script runs", async |_: &Stack| counter.exists())
        .await;
    stack.server().signal(Signal::STOP);
    // The first one's connections hold its name, so its lease has to run out.
    let mut first = stack.replace_server("second").await;
    stack.succeeds_within(&task, Duration::from_secs(150)).await;
    let ended = stack.get(&format!("tasks/{task}")).await;
    assert_eq!(ended["ServerNode"], "second");
    let log = stack.log(&task).await;
    first.signal(Signal::CONT);
    // More than two renewals and many questions of the first one.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(first.is_running(), "{}", stack.said());
    assert_eq!(stack.log(&task).await, log);
    let still: Value = stack.get(&format!("tasks/{task}")).await;
    assert_eq!(
        (&still["State"], &still["ServerNode"]),
        (&ended["State"], &ended["ServerNode"])
    );
    assert_eq!(still["CompletedTime"], ended["CompletedTime"]);
    assert_eq!(lines(&counter), ["begun"]);
    for number in 1..=40 {
        assert_eq!(log.matches(&format!("line {number}\n")).count(), 1, "{log}");
    }
}
