//! Files that scripts leave with the Server.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::{Stack, script_step, word};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_leaves_belongs_to_its_task() {
    let stack = Stack::start().await;
    let body = "echo \"from #{Octopus.Machine.Name}\" > result.txt\nmkdir sub\nhead -c 3000000 /dev/zero > sub/zero.bin\n\
                new_octopusartifact result.txt\nnew_octopusartifact sub/zero.bin \"a zero.bin\"";
    stack.project("Leaves", json!([script_step("Leave", body)])).await;
    stack.release("Leaves", "1.0").await;
    let task = stack.deploy("Leaves", "1.0").await;
    stack.succeeds(&task).await;
    let page = stack.get(&format!("artifacts?regarding={task}")).await;
    let artifacts = page["Items"].as_array().expect("a page");
    assert_eq!(artifacts.len(), 4, "two files of two machines: {page}");
    for agent in &stack.agents {
        let named = |name: &str| -> &Value {
            let found = artifacts
                .iter()
                .find(|one| one["Source"] == agent.name && one["Filename"] == name);
            found.unwrap_or_else(|| panic!("{name} of {}: {page}", agent.name))
        };
        let result = named("result.txt");
        assert_eq!(result["ServerTaskId"], task.as_str());
        assert_eq!(
            content(&stack, result).await,
            format!("from {}\n", agent.name).into_bytes()
        );
        assert_eq!(content(&stack, named("a zero.bin")).await, vec![0; 3_000_000]);
    }
    // A deployment and its project show them, too.
    let deployment = word(&stack.get("deployments").await["Items"][0]["Id"]);
    let page = stack
        .get(&format!(
            "artifacts?regarding={deployment}&partialName=RESULT&take=1"
        ))
        .await;
    assert_eq!(
        (&page["TotalResults"], page["Items"].as_array().map(Vec::len)),
        (&json!(2), Some(1))
    );
}

/// `security.md` 4.6: what a script names is fetched only where it is a file of its own.
#[tokio::test(flavor = "multi_thread")]
async fn e14_what_is_no_file_of_the_script_stays_where_it_is() {
    let stack = Stack::start().await;
    let message = |path: &str| {
        format!(
            "echo \"##octopus[createArtifact path='$(printf %s \"{path}\" | base64 -w0)' name='$(printf x | base64)' length='MQ==']\""
        )
    };
    let body = [
        "ln -s /etc/passwd link.txt; ln -s /etc folder; mkdir sub; ln -s ../../.. sub/up; mkfifo pipe"
            .to_owned(),
        message("../../etc/passwd"),
        message("$PWD/../../../../../../../../../../../etc/passwd"),
        message("$PWD/link.txt"),
        message("$PWD/folder/passwd"),
        message("$PWD/sub/up/tentacle.config"),
        message("$PWD/pipe"),
        message("$PWD/missing.txt"),
        message("$PWD"),
    ]
    .join("\n");
    stack
        .project("Escapes", json!([script_step("Escape", &body)]))
        .await;
    stack.release("Escapes", "1.0").await;
    let task = stack.deploy("Escapes", "1.0").await;
    stack.succeeds(&task).await;
    let page = stack.get(&format!("artifacts?regarding={task}")).await;
    assert_eq!(page["TotalResults"], 0, "{page}");
    let log = stack.log(&task).await;
    assert_eq!(
        log.matches("was not collected").count(),
        16,
        "eight on each machine\n{log}"
    );
    assert!(!log.contains("root:x:0"), "{log}");
}

async fn content(stack: &Stack, artifact: &Value) -> Vec<u8> {
    let path = word(&artifact["Links"]["Content"]);
    let path = path.rsplit_once("/artifacts/").expect("a link to the content").1;
    let answer = stack
        .request(Method::GET, &format!("artifacts/{path}"))
        .send()
        .await
        .expect("an answer");
    let disposition = answer.headers()["content-disposition"].to_str();
    assert!(disposition.is_ok_and(|text| text.starts_with("attachment;")));
    let policy = answer.headers()["content-security-policy"].to_str();
    assert!(
        policy.as_ref().is_ok_and(|text| text.contains("sandbox")),
        "{policy:?}"
    );
    answer.bytes().await.expect("the content").to_vec()
}
