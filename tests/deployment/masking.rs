//! What the Server does when it cannot search a line for secrets.

use serde_json::json;

use crate::stack::{Stack, script_step};

/// `security.md` 4.6. The runner's own masker has the same story in `src/calamari/golden`.
#[tokio::test(flavor = "multi_thread")]
async fn e12_a_line_on_which_the_mask_fails_is_left_out_and_the_task_goes_on() {
    let mut stack = Stack::start().await;
    stack.server().kill();
    stack
        .start_server(Some("security::masking=return(unlucky)"))
        .await;
    let body = "echo before\necho 'an unlucky line'\necho 'another unlucky line'\nset_octopusvariable Word 'is known'\necho after";
    let steps = json!([
        script_step("Speak", body),
        script_step("Listen", "echo \"the word #{Octopus.Action[Speak].Output.Word}\""),
    ]);
    stack.project("Unlucky", steps).await;
    stack.release("Unlucky", "1.0").await;
    let task = stack.deploy_to("one", "Unlucky", "1.0").await;
    stack.succeeds(&task).await;
    let log = stack.log(&task).await;
    let count = |text: &str| log.matches(text).count();
    assert_eq!(count("unlucky"), 0, "{log}");
    // Twice in the place of a line, once in the warning.
    assert_eq!(count("[masked: internal error]"), 3, "{log}");
    assert_eq!(count("could not be searched for sensitive values"), 1, "{log}");
    assert!(
        count("before") >= 1 && count("after") >= 1 && count("the word is known") >= 1,
        "{log}"
    );
    let seen = stack.get(&format!("tasks/{task}")).await;
    assert_eq!(seen["HasWarningsOrErrors"], true, "{seen}");
}
