//! A release is a snapshot, and what a machine has is not sent again.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::stack::{Stack, script_step};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_stays_as_it_was_made() {
    let stack = Stack::start().await;
    let project = stack
        .project(
            "Snapshot",
            json!([script_step("Say", "echo \"old step, #{Word}\"")]),
        )
        .await;
    stack
        .set_variables(&project, json!([{ "Name": "Word", "Value": "old word" }]))
        .await;
    stack.release("Snapshot", "1.0").await;
    stack
        .set_variables(&project, json!([{ "Name": "Word", "Value": "new word" }]))
        .await;
    stack
        .set_steps(
            &project,
            json!([script_step("Say", "echo \"new step, #{Word}\"")]),
        )
        .await;
    stack.release("Snapshot", "2.0").await;
    for (version, expected) in [
        ("1.0", "old step, old word"),
        ("2.0", "new step, new word"),
        ("1.0", "old step, old word"),
    ] {
        let task = stack.deploy("Snapshot", version).await;
        stack.succeeds(&task).await;
        let log = stack.log(&task).await;
        assert_eq!(log.matches(expected).count(), 2, "{version}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_deployment_sends_neither_runner_nor_package() {
    let stack = Stack::start().await;
    push(&stack, "Acme.Web.1.0.zip", "hello").await;
    stack.project("Web", json!([package_step()])).await;
    stack.release("Web", "1.0").await;
    let first = stack.deploy("Web", "1.0").await;
    stack.succeeds(&first).await;
    let log = stack.log(&first).await;
    assert_eq!(log.matches("Sending the runner").count(), 2, "{log}");
    assert_eq!(
        log.matches("Sending the package Acme.Web 1.0").count(),
        2,
        "{log}"
    );
    for agent in &stack.agents {
        let page = agent.home.join("Applications/Story/Acme.Web/1.0/index.html");
        assert_eq!(std::fs::read_to_string(&page).expect("it is deployed"), "hello");
    }
    stack
        .until(
            "the machines are known to have the runner",
            async |stack: &Stack| {
                let machines = stack.get("machines").await;
                let healthy = |machine: &Value| {
                    machine["HealthStatus"] == "Healthy" && machine["HasLatestCalamari"] == true
                };
                machines["Items"]
                    .as_array()
                    .is_some_and(|all| all.iter().all(healthy))
            },
        )
        .await;
    let second = stack.deploy("Web", "1.0").await;
    stack.succeeds(&second).await;
    let log = stack.log(&second).await;
    assert!(!log.contains("Sending"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_is_damaged_on_a_machine_is_sent_again() {
    let stack = Stack::start().await;
    push(&stack, "Acme.Web.1.0.zip", "hello").await;
    stack.project("Web", json!([package_step()])).await;
    stack.release("Web", "1.0").await;
    stack.succeeds(&stack.deploy_to("one", "Web", "1.0").await).await;
    let files = stack.agents[0].home.join("Files");
    let package = std::fs::read_dir(&files)
        .expect("packages are there")
        .next()
        .expect("one is")
        .expect("it can be read");
    std::fs::write(package.path(), "damaged").expect("the story may damage it");
    let task = stack.deploy_to("one", "Web", "1.0").await;
    stack.succeeds(&task).await;
    let log = stack.log(&task).await;
    assert!(
        log.contains("Sending the package") && !log.contains("Sending the runner"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_on_the_server_and_tells_later_steps_what_it_found() {
    let stack = Stack::without_agents().await;
    let mut first = script_step(
        "Look",
        "set_octopusvariable Answer 42\nenv | cut -d= -f1 | tr '\\n' ' '",
    );
    first["Properties"] = json!({});
    first["Actions"][0]["Properties"]["Octopus.Action.RunOnServer"] = json!("true");
    let mut second = script_step(
        "Use",
        "echo \"the answer is #{Octopus.Action[Look].Output.Answer}\"",
    );
    second["Properties"] = json!({});
    second["Actions"][0]["Properties"]["Octopus.Action.RunOnServer"] = json!("true");
    stack.project("Server", json!([first, second])).await;
    stack.release("Server", "1.0").await;
    let task = stack.deploy("Server", "1.0").await;
    stack.succeeds(&task).await;
    let log = stack.log(&task).await;
    assert!(log.contains("the answer is 42"), "{log}");
    for name in ["ADMIN_API_KEY", "ADMIN_PASSWORD", "HTTP_PORT", "MASTER_KEY"] {
        assert!(!log.contains(name), "{log}");
    }
}

fn package_step() -> Value {
    json!({
        "Name": "Deploy",
        "Properties": { "Octopus.Action.TargetRoles": "web" },
        "Actions": [{
            "Name": "Deploy",
            "ActionType": "Octopus.TentaclePackage",
            "Packages": [{ "Name": "", "PackageId": "Acme.Web", "FeedId": "feeds-builtin", "AcquisitionLocation": "Server" }],
            "Properties": {
                "Octopus.Action.Package.PackageId": "Acme.Web",
                "Octopus.Action.Package.FeedId": "feeds-builtin",
            },
        }],
    })
}

async fn push(stack: &Stack, name: &str, text: &str) {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file("index.html", zip::write::SimpleFileOptions::default())
        .expect("memory is enough");
    archive.write_all(text.as_bytes()).expect("memory is enough");
    let bytes = archive.finish().expect("memory is enough").into_inner();
    let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
    let form = reqwest::multipart::Form::new().part("file", part);
    let answer = stack
        .request(reqwest::Method::POST, "packages/raw")
        .multipart(form)
        .send()
        .await
        .expect("it answers");
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap_or_default()
    );
}
