//! What goes wrong is said, and has the effects that the conditions of the steps ask for.

use serde_json::{Value, json};

use crate::stack::{Stack, script_step};

fn with(mut step: Value, condition: &str, expression: Option<&str>) -> Value {
    step["Condition"] = json!(condition);
    if let Some(expression) = expression {
        step["Properties"]["Octopus.Step.ConditionVariableExpression"] = json!(expression);
    }
    step
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_steps_run_that_ask_for_it_and_secrets_never_show() {
    let stack = Stack::start().await;
    let project = stack
        .project(
            "Fails",
            json!([
                script_step("First", "set_octopusvariable Token 'tok-123456789' -sensitive\nset_octopusvariable Plain \"from #{Octopus.Machine.Name}\""),
                script_step("Second", "echo \"plain: #{Octopus.Action[First].Output.Plain}\"\necho \"token: $(get_octopusvariable 'Octopus.Action[First].Output.Token')\"\necho \"password: $(get_octopusvariable Password)\""),
                script_step("Breaks", "echo to-stderr >&2\nfail_step 'the disk is too small'"),
                with(script_step("On success", "echo 'never on success'"), "Success", None),
                with(script_step("On failure", "echo 'ran on failure'"), "Failure", None),
                with(script_step("Always", "echo \"error: #{Octopus.Deployment.Error}\""), "Always", None),
                with(script_step("If", "echo 'ran because of Go'"), "Variable", Some("#{Go}")),
                with(script_step("If not", "echo 'never because of Go'"), "Variable", Some("#{unless Go}True#{/unless}")),
            ]),
        )
        .await;
    let variables = json!([
        { "Name": "Go", "Value": "True" },
        { "Name": "Password", "Value": "hunter2-and-more", "Type": "Sensitive", "IsSensitive": true },
    ]);
    stack.set_variables(&project, variables).await;
    stack.release("Fails", "1.0").await;
    let task = stack.deploy("Fails", "1.0").await;
    let ended = stack.ended(&task).await;
    let log = stack.log(&task).await;
    assert_eq!(ended["State"], "Failed", "{log}");
    let why = ended["ErrorMessage"].as_str().unwrap_or_default();
    assert!(
        why.contains("'Breaks'") && why.contains("the disk is too small"),
        "{why}"
    );
    for agent in &stack.agents {
        let mine = format!("plain: from {}", agent.name);
        assert_eq!(log.matches(&mine).count(), 1, "{log}");
    }
    for shown in [
        "ran on failure",
        "ran because of Go",
        "token: ********",
        "password: ********",
        "to-stderr",
    ] {
        assert!(log.contains(shown), "{shown}\n{log}");
    }
    assert!(log.contains("error: The step 'Breaks' failed"), "{log}");
    for hidden in [
        "never on success",
        "never because of Go",
        "hunter2",
        "tok-123456789",
    ] {
        assert!(!log.contains(hidden), "{hidden}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_cannot_be_planned_or_started_says_why() {
    let mut stack = Stack::start().await;
    stack
        .project("Exits", json!([script_step("Exit", "exit 3")]))
        .await;
    stack.release("Exits", "1.0").await;
    let ended = stack.ended(&stack.deploy_to("one", "Exits", "1.0").await).await;
    let why = ended["ErrorMessage"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("exit code 3"), "{why}");

    let killed = "kill -9 $$";
    stack.project("Kills", json!([script_step("Kill", killed)])).await;
    stack.release("Kills", "1.0").await;
    let ended = stack.ended(&stack.deploy_to("two", "Kills", "1.0").await).await;
    assert_eq!(ended["State"], "Failed");

    // Its certificate changes: nothing is sent to it any more.
    stack.agents[0].kill();
    let agent = &stack.agents[0];
    let words = [
        "new-certificate".to_owned(),
        format!("--config={}", agent.home.join("tentacle.config").display()),
    ];
    let environment = [(
        "TentacleMachineConfigurationHomeDirectory",
        agent.home.join("machine").display().to_string(),
    )];
    crate::program::run_to_end("agent", &words, &environment);
    stack.agents[0].start();
    let task = stack.deploy_to("one", "Exits", "1.0").await;
    let ended = stack.ended(&task).await;
    let why = ended["ErrorMessage"].as_str().unwrap_or_default().to_owned();
    assert!(
        why.to_lowercase().contains("certificate"),
        "{why}\n{}",
        stack.log(&task).await
    );
}
