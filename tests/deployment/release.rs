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
async fn a_new_version_goes_to_a_machine_as_the_difference_to_an_older_one() {
    let stack = Stack::start().await;
    // Text that does not shrink, so that the difference of the archives is the difference of their contents.
    let mut number = 88_172_645_463_325_252_u64;
    let noise: String = std::iter::repeat_with(|| {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        format!("{number:016x}")
    })
    .take(20_000)
    .collect();
    push(&stack, "Acme.Web.1.0.zip", &noise).await;
    push(&stack, "Acme.Web.1.1.zip", &format!("{noise} and a little more")).await;
    push(&stack, "Acme.Web.1.2.zip", &format!("{noise} and more again")).await;
    push(&stack, "Acme.Web.1.3.zip", &format!("{noise} and then the end")).await;
    let project = stack.project("Web", json!([package_step()])).await;
    let deploy = async |version: &str| {
        stack.release("Web", version).await;
        let task = stack.deploy("Web", version).await;
        stack.succeeds(&task).await;
        for agent in &stack.agents {
            let page = agent
                .home
                .join(format!("Applications/Story/Acme.Web/{version}/index.html"));
            assert!(
                std::fs::read_to_string(&page)
                    .expect("it is deployed")
                    .starts_with(&noise)
            );
        }
        stack.log(&task).await
    };
    let as_difference = |log: &str| log.matches("as the difference to what is there").count();
    assert_eq!(as_difference(&deploy("1.0").await), 0);
    let log = deploy("1.1").await;
    assert_eq!(
        (as_difference(&log), log.matches("is sent whole").count()),
        (2, 0),
        "{log}"
    );
    // Again: what was made of a difference is found.
    let task = stack.deploy("Web", "1.1").await;
    stack.succeeds(&task).await;
    let log = stack.log(&task).await;
    assert!(!log.contains("Sending"), "{log}");
    // What the machine has is not what the Server thinks: the whole package goes.
    for agent in &stack.agents {
        for entry in std::fs::read_dir(agent.home.join("Files")).expect("packages are there") {
            std::fs::write(entry.expect("it can be read").path(), "damaged")
                .expect("the story may damage it");
        }
    }
    let log = deploy("1.2").await;
    assert_eq!(
        (as_difference(&log), log.matches("Sending the package").count()),
        (0, 2),
        "{log}"
    );
    // And where nobody wants differences.
    stack
        .set_variables(
            &project,
            json!([{ "Name": "Octopus.Acquire.DeltaCompressionEnabled", "Value": "False" }]),
        )
        .await;
    let log = deploy("1.3").await;
    assert_eq!(
        (as_difference(&log), log.matches("Sending the package").count()),
        (0, 2),
        "{log}"
    );
}

/// REQ-156.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_of_ones_own_is_used_in_place_of_ours() {
    let mut stack = Stack::start().await;
    let own = stack.file("runners").join("linux-x64");
    std::fs::create_dir_all(&own).expect("the story's own folder");
    let ours = crate::program::runners().join("calamari");
    let text = format!(
        "#!/bin/bash\necho 'a runner of our own'\nexec '{}' \"$@\"\n",
        ours.display()
    );
    std::fs::write(own.join("calamari"), text).expect("the story's own folder");
    stack.settings = vec![("CALAMARI_FOLDER", stack.file("runners").display().to_string())];
    stack.server().kill();
    stack.start_server(None).await;
    stack
        .project("Own", json!([script_step("Say", "echo said")]))
        .await;
    stack.release("Own", "1.0").await;
    let task = stack.deploy("Own", "1.0").await;
    stack.succeeds(&task).await;
    let log = stack.log(&task).await;
    assert_eq!(log.matches("a runner of our own").count(), 2, "{log}");
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
