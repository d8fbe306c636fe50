//! Work in agent containers.

use serde_json::json;

use crate::client::{API_KEY, Client, script_properties, text};
use crate::engine::{eventually, seconds, shared_folder};
use crate::quiet::together;
use crate::stack::Stack;
use crate::volume::package;

/// REQ-046, REQ-056: a script sees the container, not the host, and no name of the settings table.
#[test]
fn a_script_sees_the_container_and_no_setting() {
    let _together = together();
    let stack = Stack::new();
    let agents = [
        stack.listening("web01").env("JAVA_HOME", "/opt/java").start(),
        stack.polling("poll01").start(),
    ];
    let marker = format!("story-{}", std::process::id());
    let script = format!(
        "echo {marker} > /agent/{marker}; hostname; echo java=$JAVA_HOME; env | sort
         echo keys=$(env | grep -c API-)
         for p in /proc/[0-9]*; do cat $p/environ $p/cmdline 2>/dev/null | tr '\\0' '\\n' | grep API- && echo LEAK; done
         true"
    );
    let project = stack.client.script_project("Sees", "web", &script);
    for name in ["web01", "poll01"] {
        stack.client.healthy_machine(name);
    }
    let task = stack.client.deploy(&project, "1.0.0", "Dev", &json!([]));
    let log = stack.client.task(&task, "Success", seconds(60));
    assert!(log.contains("web01") && log.contains("java=/opt/java"), "{log}");
    assert_eq!(log.matches("keys=0").count(), 2, "{log}");
    assert!(!log.contains("LEAK") && !log.contains(API_KEY), "{log}");
    for setting in ["ServerUrl=", "ServerApiKey", "TargetRole=", "TargetEnvironment="] {
        assert!(!log.contains(setting), "{setting}: {log}");
    }
    for agent in &agents {
        assert_eq!(agent.exec(&["cat", &format!("/agent/{marker}")]), marker);
    }
    assert!(
        !std::path::Path::new(&format!("/agent/{marker}")).exists(),
        "the script ran on the host"
    );
}

/// REQ-072: a package is unpacked under the applications volume.
#[test]
pub fn a_package_is_unpacked_on_the_applications_volume() {
    let _together = together();
    let folder = shared_folder();
    let stack = Stack::new();
    let run = stack
        .listening("web01")
        .mount(folder.path().to_str().unwrap(), "/applications");
    let agent = run.start();
    stack.client.healthy_machine("web01");
    stack.client.push(
        "Acme.Web.1.0.0.zip",
        package("index.html", "hello from the story"),
    );
    let feed = stack.client.items("/api/Spaces-1/feeds/all");
    let feed = feed
        .iter()
        .find(|feed| feed["FeedType"] == "BuiltIn")
        .expect("the built-in feed");
    let package = json!({
        "Name": "", "PackageId": "Acme.Web", "FeedId": feed["Id"], "AcquisitionLocation": "Server", "Properties": {},
    });
    let action = json!({
        "Name": "Run",
        "ActionType": "Octopus.TentaclePackage",
        "Packages": [package],
        "Properties": {"Octopus.Action.Package.PackageId": "Acme.Web", "Octopus.Action.Package.FeedId": feed["Id"]},
    });
    let project = stack.client.project("Web", "web", action);
    let packages = json!([{"ActionName": "Run", "PackageReferenceName": "", "Version": "1.0.0"}]);
    let task = stack.client.deploy(&project, "1.0.0", "Dev", &packages);
    stack.client.task(&task, "Success", seconds(90));
    let file = "/applications/Dev/Acme.Web/1.0.0/index.html";
    assert_eq!(agent.exec(&["cat", file]), "hello from the story");
    assert!(folder.path().join("Dev/Acme.Web/1.0.0/index.html").exists());
    assert_eq!(
        agent.exec(&[
            "cat",
            &file.replace("/applications", "/home/Octopus/Applications")
        ]),
        "hello from the story"
    );
}

/// REQ-088: a Server killed in the middle of a deployment ends it after its restart, once.
#[test]
fn a_killed_server_goes_on_with_the_deployment() {
    let _together = together();
    let stack = Stack::new();
    let agent = stack.listening("web01").start();
    stack.client.healthy_machine("web01");
    let script = "echo once >> /agent/counter; echo begun; sleep 8; echo done";
    let project = stack.client.script_project("Crash", "web", script);
    let task = stack.client.deploy(&project, "1.0.0", "Dev", &json!([]));
    let path = format!("/api/tasks/{task}/raw");
    eventually("the script runs", seconds(60), || {
        stack.client.text(&path).contains("begun").then_some(())
    });
    stack.server.kill("KILL");
    stack.server.exit_code(seconds(10));
    stack.server.start_again();
    stack.server.healthy(seconds(30));
    let base = stack
        .server
        .inspect("{{range .NetworkSettings.Networks}}http://{{.IPAddress}}:8080{{end}}");
    let client = Client::at(&base, Some(API_KEY));
    let log = client.task(&task, "Success", seconds(90));
    assert!(log.contains("done"), "{log}");
    assert_eq!(agent.exec(&["cat", "/agent/counter"]), "once");
}

/// REQ-043: a sensitive value is usable and not shown; `upgrade.rs` does it again after an upgrade.
#[test]
fn a_sensitive_value_is_used_and_masked() {
    let _together = together();
    let stack = Stack::new();
    let _agent = stack.listening("web01").start();
    stack.client.healthy_machine("web01");
    let (project, hash) = sensitive_project(&stack.client);
    let task = stack.client.deploy(&project, "1.0.0", "Dev", &json!([]));
    let log = stack.client.task(&task, "Success", seconds(60));
    assert!(log.contains(&hash), "{log}");
    assert!(!log.contains(SENSITIVE), "{log}");
}

const SENSITIVE: &str = "N0body-may-read-this";

/// A project whose script prints the hash of a sensitive variable; its id, and the hash.
pub fn sensitive_project(client: &Client) -> (String, String) {
    let script = "printf %s \"$(get_octopusvariable Secret)\" | sha256sum";
    let action =
        json!({"Name": "Run", "ActionType": "Octopus.Script", "Properties": script_properties(script)});
    let project = client.project("Sensitive", "web", action);
    let set = text(&client.get(&format!("/api/Spaces-1/projects/{project}"))["VariableSetId"]);
    let path = format!("/api/Spaces-1/variables/{set}");
    let mut variables = client.get(&path);
    variables["Variables"] = json!([{"Name": "Secret", "Value": SENSITIVE, "Type": "Sensitive", "IsSensitive": true, "Scope": {}}]);
    let saved = client.put(&path, &variables);
    assert!(!saved.to_string().contains(SENSITIVE), "{saved}");
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("printf %s {SENSITIVE} | sha256sum")])
        .output();
    let hash = String::from_utf8(output.expect("sha256sum runs").stdout).expect("text");
    (
        project,
        hash.split_whitespace().next().expect("a hash").to_owned(),
    )
}
