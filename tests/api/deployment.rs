use serde_json::{Value, json};
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, environments, project};

const DEPLOY: &str = "/api/Spaces-1/deployments/create/untenanted/v1";

/// A project with release 1.0, in a space with Development and Test; gives the ids of both.
async fn released(server: &TestServer) -> Vec<String> {
    let ids = environments(server, &["Development", "Test"]).await;
    let _ = project(server, "Web").await;
    let _ = server
        .post(
            "/api/Spaces-1/releases",
            json!({ "ProjectId": "Projects-1", "Version": "1.0" }),
        )
        .await
        .fine();
    ids
}

fn deploy(environment: &str) -> Value {
    json!({ "spaceId": "Spaces-1", "projectName": "Web", "releaseVersion": "1.0", "environmentNames": [environment] })
}

on_both_engines! {
    async fn a_deployment_comes_with_its_task_and_its_event(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let ids = released(&server).await;
        let body = json!({ "ReleaseId": "Releases-1", "EnvironmentId": ids[0], "Comments": "go" });
        let answer = server.post("/api/Spaces-1/deployments", body).await;
        assert_eq!(answer.status, 201);
        let deployment = answer.body;
        assert_eq!((&deployment["Name"], &deployment["ProjectId"]), (&json!("Deploy to Development"), &json!("Projects-1")));
        assert_eq!((&deployment["DeployedBy"], &deployment["Comments"]), (&json!("admin"), &json!("go")));
        let task = server.get(deployment["Links"]["Task"].as_str().unwrap()).await.fine();
        assert_eq!((&task["Name"], &task["State"]), (&json!("Deploy"), &json!("Queued")));
        assert_eq!(task["Arguments"]["DeploymentId"], deployment["Id"]);
        assert_eq!(task["Description"], "Deploy Web release 1.0 to Development");
        let events = server.get(&format!("/api/events?regarding={}", deployment["Id"].as_str().unwrap())).await.fine();
        assert_eq!(events["Items"][0]["Category"], "DeploymentQueued");
        assert_eq!(events["Items"][0]["Message"], "Deploy Web release 1.0 to Development");
    }

    async fn names_slugs_and_ids_of_environments_are_understood(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let ids = released(&server).await;
        for environment in ["Development", "development", ids[0].as_str()] {
            let made = server.post(DEPLOY, deploy(environment)).await.fine();
            assert_eq!(made["DeploymentServerTasks"].as_array().unwrap().len(), 1, "{environment}");
        }
        let made = server.get("/api/Spaces-1/deployments?ids=Deployments-1,Deployments-3&take=2").await.fine();
        assert_eq!(all(&made, "Id"), ["Deployments-3", "Deployments-1"]);
        assert_eq!(all(&made, "EnvironmentId"), [ids[0].as_str(), ids[0].as_str()]);
        let queued = server.get("/api/Spaces-1/deployments?taskState=Queued&projects=Projects-1&environments=Environments-1").await.fine();
        assert_eq!(queued["TotalResults"], 3);
        assert_eq!(server.get("/api/Spaces-1/deployments?taskState=Success").await.fine()["TotalResults"], 0);
        let of_release = server.get("/api/Spaces-1/releases/Releases-1/deployments").await.fine();
        assert_eq!(of_release["TotalResults"], 3);
    }

    async fn what_is_wrong_is_named_and_nothing_is_queued(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = released(&server).await;
        let wrong = |member: &str, value: Value| {
            let mut body = deploy("Development");
            body[member] = value;
            body
        };
        for (body, part) in [
            (wrong("environmentNames", json!(["Nowhere"])), "The environment 'Nowhere' does not exist"),
            (wrong("environmentNames", json!([])), "names no environment"),
            (wrong("environmentNames", json!(["Test"])), "'Development' must come first"),
            (wrong("projectName", json!("Nope")), "The project 'Nope' does not exist"),
            (wrong("releaseVersion", json!("7.7")), "The release '7.7' does not exist in the project 'Web'"),
            (wrong("skipStepNames", json!(["Dance"])), "no step named 'Dance'"),
            (wrong("specificMachineNames", json!(["web01"])), "'web01'"),
            (wrong("variables", json!({ "Reason": "x" })), "the variable 'Reason', which is not asked for"),
        ] {
            let text = server.post(DEPLOY, body.clone()).await.refused(400);
            assert!(text.contains(part), "{body}: {text}");
        }
        let text = server.post("/api/Spaces-1/deployments/create/tenanted/v1", deploy("Development")).await.refused(400);
        assert!(text.contains("no tenants yet"), "{text}");
        assert_eq!(server.get("/api/Spaces-1/deployments").await.fine()["TotalResults"], 0);
        assert_eq!(server.get("/api/tasks").await.fine()["TotalResults"], 0);
    }

    async fn a_prompt_must_be_answered_and_a_secret_answer_is_not_shown(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development"]).await;
        let _ = project(&server, "Web").await;
        let set = "/api/Spaces-1/variables/variableset-Projects-1";
        let mut variables = server.get(set).await.fine();
        variables["Variables"] = json!([
            { "Name": "Reason", "Value": "", "Prompt": { "Label": "Why?", "Required": true } },
            { "Name": "Key", "Value": "old", "Type": "Sensitive", "Prompt": { "Label": "The key" } },
        ]);
        let _ = server.put(set, variables).await.fine();
        let _ = server.post("/api/Spaces-1/releases", json!({ "ProjectId": "Projects-1", "Version": "1.0" })).await.fine();
        let preview = server.get("/api/Spaces-1/releases/Releases-1/deployments/preview/Environments-1").await.fine();
        assert_eq!(preview["StepsToExecute"][0]["ActionName"], "Say hello");
        assert_eq!(preview["Form"]["Elements"][1]["Control"]["Label"], "Why?");
        let text = server.post(DEPLOY, deploy("Development")).await.refused(400);
        assert!(text.contains("'Why?' must be given a value"), "{text}");
        let mut body = deploy("Development");
        body["variables"] = json!({ "Reason": "because", "Key": "hunter2" });
        let made = server.post(DEPLOY, body).await.fine();
        let id = made["DeploymentServerTasks"][0]["DeploymentId"].as_str().unwrap().to_string();
        let answer = server.get(&format!("/api/Spaces-1/deployments/{id}")).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(text.contains("because") && !text.contains("hunter2") && !text.contains("odc1:"), "{text}");
    }

    async fn a_release_with_a_waiting_deployment_stays(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = released(&server).await;
        let _ = server.post(DEPLOY, deploy("Development")).await.fine();
        for path in ["releases/Releases-1", "projects/Projects-1", "deployments/Deployments-1"] {
            let text = server.delete(&format!("/api/Spaces-1/{path}")).await.refused(400);
            assert!(text.contains("waits or runs"), "{path}: {text}");
        }
        let template = server.get("/api/Spaces-1/releases/Releases-1/deployments/template").await.fine();
        assert_eq!(all(&template["PromoteTo"], "Name"), ["Development"]);
    }

    async fn the_method_can_hide_in_a_post(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = released(&server).await;
        let request = server
            .request(reqwest::Method::POST, "/api/Spaces-1/releases/Releases-1")
            .header("X-HTTP-Method-Override", "DELETE");
        assert_eq!(server.send(request).await.status, 200);
        assert_eq!(server.get("/api/Spaces-1/releases/Releases-1").await.status, 404);
    }
}
