//! The Server dies, everywhere it can hurt; what it did goes on, and nothing is done twice.

use std::time::Duration;

use serde_json::json;

use crate::agent::Agent;
use crate::stack::{Stack, lines, script_step};

/// A script that leaves a line when it begins and when it ends, and a file, and lasts long enough to be interrupted.
fn counting(stack: &Stack) -> String {
    format!(
        "echo begun >> '{0}'-#{{Octopus.Machine.Name}}\necho working\nsleep 1\necho ended >> '{0}'-#{{Octopus.Machine.Name}}\n\
         new_octopusartifact '{0}'-#{{Octopus.Machine.Name}}\n\
         set_octopusvariable Done \"yes on #{{Octopus.Machine.Name}}\"\necho 'the work is done'",
        stack.file("counter").display()
    )
}

/// Points of a journal's life at which the Server dies, each for the first and for the second machine.
const IN_THE_JOURNAL: &[&str] = &[
    "journal::dispatched::before=return",
    "journal::dispatched::before=1*off->return",
    "journal::dispatched::after=return",
    "journal::dispatched::after=1*off->return",
    "journal::accepted::before=return",
    "journal::accepted::before=1*off->return",
    "journal::accepted::after=return",
    "journal::accepted::after=1*off->return",
    "journal::finished::before=return",
    "journal::finished::before=1*off->return",
    "journal::finished::after=return",
    "journal::finished::after=1*off->return",
];

/// Points of a task's life, each for the first and for the second machine where both pass it.
const IN_THE_WORK: &[&str] = &[
    "engine::plan::kept=return",
    "engine::script::started=return",
    "engine::script::running=return",
    "engine::script::running=6*off->return",
    "engine::script::ended=return",
    "engine::script::ended=1*off->return",
    "engine::artifact::stored=return",
    "engine::artifact::stored=1*off->return",
    "task::finish::before=return",
    "task::finish::after=return",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_its_journal_goes_on_and_no_script_runs_twice() {
    dies_at(IN_THE_JOURNAL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_its_work_goes_on_and_no_script_runs_twice() {
    dies_at(IN_THE_WORK).await;
}

async fn dies_at(points: &[&str]) {
    let mut stack = Stack::start().await;
    let after = "echo \"seen: #{Octopus.Action[Count].Output.Done}\"";
    let steps = json!([
        script_step("Count", &counting(&stack)),
        script_step("After", after)
    ]);
    stack.project("Crash", steps).await;
    stack.release("Crash", "1.0").await;
    // The runner is there before anything dies.
    let task = stack.deploy("Crash", "1.0").await;
    stack.succeeds(&task).await;
    for point in points {
        for agent in &stack.agents {
            std::fs::remove_file(counter(&stack, agent)).expect("the last deployment counted");
        }
        stack.server().kill();
        stack.start_server(Some(point)).await;
        let task = stack.deploy("Crash", "1.0").await;
        stack.server_has_died().await;
        stack.start_server(None).await;
        stack.succeeds(&task).await;
        let log = stack.log(&task).await;
        for agent in &stack.agents {
            let counted = lines(&counter(&stack, agent));
            assert_eq!(counted, ["begun", "ended"], "{point} on {}\n{log}", agent.name);
            let seen = format!("seen: yes on {}", agent.name);
            assert_eq!(log.matches(&seen).count(), 1, "{point}\n{log}");
        }
        let artifacts = stack.get(&format!("artifacts?regarding={task}")).await;
        assert_eq!(artifacts["TotalResults"], 2, "{point}\n{artifacts}");
        assert_eq!(log.matches("the work is done").count(), 2, "{point}\n{log}");
        assert_eq!(log.matches("|   working").count(), 2, "{point}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_fails_the_task_and_the_script_is_not_run_again() {
    let mut stack = Stack::start().await;
    let body = format!(
        "echo begun >> '{}'-#{{Octopus.Machine.Name}}\nsleep 3",
        stack.file("counter").display()
    );
    stack
        .project("Killed", json!([script_step("Count", &body)]))
        .await;
    stack.release("Killed", "1.0").await;
    for number in 0..stack.agents.len() {
        let task = stack.deploy_to(stack.agents[number].name, "Killed", "1.0").await;
        let path = counter(&stack, &stack.agents[number]);
        stack
            .until("the script runs", async |_: &Stack| path.exists())
            .await;
        stack.agents[number].kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stack.agents[number].start();
        let ended = stack.ended(&task).await;
        let log = stack.log(&task).await;
        assert_eq!(ended["State"], "Failed", "{log}");
        let why = ended["ErrorMessage"].as_str().unwrap_or_default();
        assert!(
            why.contains("restarted while the script ran") && why.contains(stack.agents[number].name),
            "{why}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(lines(&path), ["begun"], "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_gives_its_task_back_and_goes_on_after_the_start() {
    let mut stack = Stack::start().await;
    let body = format!(
        "echo begun >> '{}'-#{{Octopus.Machine.Name}}\nsleep 12\necho 'the work is done'",
        stack.file("counter").display()
    );
    stack.project("Stop", json!([script_step("Count", &body)])).await;
    stack.release("Stop", "1.0").await;
    let task = stack.deploy("Stop", "1.0").await;
    let paths: Vec<_> = stack.agents.iter().map(|agent| counter(&stack, agent)).collect();
    stack
        .until("the scripts run", async |_: &Stack| {
            paths.iter().all(|path| path.exists())
        })
        .await;
    stack.server().signal(rustix::process::Signal::TERM);
    stack.server_has_died().await;
    stack.start_server(None).await;
    stack.succeeds(&task).await;
    let log = stack.log(&task).await;
    assert_eq!(log.matches("the work is done").count(), 2, "{log}");
    for path in paths {
        assert_eq!(lines(&path), ["begun"]);
    }
}

fn counter(stack: &Stack, agent: &Agent) -> std::path::PathBuf {
    stack.file(&format!("counter-{}", agent.name))
}
