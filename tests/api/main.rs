//! The REST API, one file for each resource, on both engines.

mod artifact;
mod channel;
mod deployment;
mod deployment_process;
mod environment;
mod event;
mod feed;
mod lifecycle;
mod machine;
mod package;
mod permission;
mod project;
mod release;
mod server;
mod space;
mod task;
mod user;
mod variable_set;

use serde_json::{Value, json};
use tests::server::TestServer;

/// A project with one script step that runs on the Server; gives the project.
pub(crate) async fn project(server: &TestServer, name: &str) -> Value {
    let body = json!({ "Name": name, "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1" });
    let project = server.post("/api/Spaces-1/projects", body).await.fine();
    let id = project["Id"].as_str().expect("a project has an id");
    let path = format!("/api/Spaces-1/projects/{id}/deploymentprocesses");
    let mut process = server.get(&path).await.fine();
    process["Steps"] = json!([script_step("Say hello")]);
    let _ = server.put(&path, process).await.fine();
    project
}

/// A step that runs a script on the Server.
pub(crate) fn script_step(name: &str) -> Value {
    json!({
        "Name": name,
        "Actions": [{
            "Name": name,
            "ActionType": "Octopus.Script",
            "Properties": {
                "Octopus.Action.RunOnServer": "true",
                "Octopus.Action.Script.ScriptSource": "Inline",
                "Octopus.Action.Script.Syntax": "Bash",
                "Octopus.Action.Script.ScriptBody": "echo hello",
            },
        }],
    })
}

/// A step that deploys a package to the role `web`.
pub(crate) fn package_step(name: &str, package: &str) -> Value {
    json!({
        "Name": name,
        "Properties": { "Octopus.Action.TargetRoles": "web" },
        "Actions": [{
            "Name": name,
            "ActionType": "Octopus.TentaclePackage",
            "Packages": [{ "Name": "", "PackageId": package, "FeedId": "feeds-builtin" }],
        }],
    })
}

/// Environments of these names, in order; gives their ids.
pub(crate) async fn environments(server: &TestServer, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        let made = server
            .post("/api/Spaces-1/environments", json!({ "Name": name }))
            .await
            .fine();
        ids.push(made["Id"].as_str().expect("an environment has an id").to_string());
    }
    ids
}

/// A zip archive with one file.
pub(crate) fn zip(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file("index.html", zip::write::SimpleFileOptions::default())
        .expect("a new archive takes a file");
    archive.write_all(text.as_bytes()).expect("memory takes it");
    archive.finish().expect("memory takes it").into_inner()
}

/// The texts of one member of all items of a page or array.
pub(crate) fn all<'a>(body: &'a Value, member: &str) -> Vec<&'a str> {
    let items = body
        .as_array()
        .or_else(|| body["Items"].as_array())
        .expect("it is a list");
    items.iter().filter_map(|item| item[member].as_str()).collect()
}
