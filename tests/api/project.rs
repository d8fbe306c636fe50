use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, project};

on_both_engines! {
    async fn a_project_comes_with_channel_process_and_variables(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let body = json!({ "name": "Acme Web", "projectGroupId": "ProjectGroups-1", "LIFECYCLEID": "Lifecycles-1" });
        let answer = server.post("/api/projects", body).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.headers["location"], "/api/Spaces-1/projects/Projects-1");
        let project = answer.body;
        assert_eq!(project["Slug"], "acme-web");
        assert_eq!(project["VariableSetId"], "variableset-Projects-1");
        assert_eq!(project["DeploymentProcessId"], "deploymentprocess-Projects-1");
        assert_eq!(project["PersistenceSettings"]["Type"], "Database");
        let channels = server.get("/api/Spaces-1/projects/Projects-1/channels").await.fine();
        assert_eq!(all(&channels, "Name"), ["Default"]);
        assert_eq!(channels["Items"][0]["IsDefault"], true);
        for link in ["DeploymentProcess", "DeploymentSettings", "Variables", "Self", "Summary"] {
            let path = project["Links"][link].as_str().unwrap_or_else(|| panic!("there is no link {link}"));
            let _ = server.get(path).await.fine();
        }
        let summary = server.get("/api/Spaces-1/projects/Projects-1/summary").await.fine();
        assert_eq!(summary["HasDeploymentProcess"], false);
        let events = server.get("/api/Spaces-1/events?regarding=Projects-1").await.fine();
        assert_eq!(events["Items"][0]["Message"], "The project Acme Web was created.");
    }

    async fn a_project_is_found_by_id_and_slug_and_a_name_is_neither(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Fire Project").await;
        for id in ["Projects-1", "projects-1", "fire-project"] {
            assert_eq!(server.get(&format!("/api/Spaces-1/Projects/{id}")).await.fine()["Name"], "Fire Project");
        }
        let missing = server.get("/api/Spaces-1/projects/Fire%20Project").await;
        assert!(missing.body.get("Errors").is_none(), "a 404 has no list of errors: {}", missing.body);
        assert!(missing.refused(404).contains("'Fire Project' does not exist"));
        let found = server.get("/api/Spaces-1/projects?partialName=FIRE&take=2147483647").await.fine();
        assert_eq!((found["ItemType"].as_str(), found["TotalResults"].as_u64()), (Some("Project"), Some(1)));
    }

    async fn a_wrong_project_names_everything_that_is_wrong(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let body = json!({ "Name": "", "ProjectGroupId": "ProjectGroups-9" });
        let text = server.post("/api/Spaces-1/projects", body).await.refused(400);
        for part in ["has no name", "'ProjectGroups-9', which does not exist", "has no lifecycle"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let body = json!({ "Name": "A", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1",
            "VersioningStrategy": { "Template": "1.#{" } });
        let text = server.post("/api/Spaces-1/projects", body).await.refused(400);
        assert!(text.contains("of the project 'A'") && text.contains("does not parse"), "{text}");
        let text = server.post("/api/Spaces-1/projects", json!(["a list"])).await.refused(400);
        assert!(text.contains("wrong shape"), "{text}");
        let _ = project(&server, "Web").await;
        let body = json!({ "Name": "WEB", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1" });
        assert!(server.post("/api/Spaces-1/projects", body).await.refused(400).contains("already in use"));
        assert_eq!(server.get("/api/Spaces-1/projects").await.fine()["TotalResults"], 1);
    }

    async fn settings_are_the_same_values_under_another_address(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let path = "/api/Spaces-1/projects/Projects-1/deploymentsettings";
        let mut settings = server.get(path).await.fine();
        assert_eq!(settings["Id"], "deploymentsettings-Projects-1");
        settings["DefaultGuidedFailureMode"] = json!("Off");
        settings["ConnectivityPolicy"]["AllowDeploymentsToNoTargets"] = json!(true);
        let _ = server.put(path, settings).await.fine();
        let project = server.get("/api/Spaces-1/projects/web").await.fine();
        assert_eq!(project["DefaultGuidedFailureMode"], "Off");
        assert_eq!(project["ProjectConnectivityPolicy"]["AllowDeploymentsToNoTargets"], true);
    }

    async fn a_clone_has_the_steps_and_the_secrets_of_the_original(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let mut variables = server.get("/api/Spaces-1/variables/variableset-Projects-1").await.fine();
        variables["Variables"] = json!([{ "Name": "Key", "Value": "hunter2", "Type": "Sensitive" }]);
        let _ = server.put("/api/Spaces-1/variables/variableset-Projects-1", variables).await.fine();
        let body = json!({ "Name": "Copy", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1" });
        let copy = server.post("/api/Spaces-1/projects?clone=Projects-1", body).await.fine();
        assert_eq!(copy["ClonedFromProjectId"], "Projects-1");
        let process = server.get("/api/Spaces-1/deploymentprocesses/deploymentprocess-Projects-2").await.fine();
        assert_eq!(process["Steps"][0]["Name"], "Say hello");
        let variables = server.get("/api/Spaces-1/variables/variableset-Projects-2").await.fine();
        assert_eq!(variables["Variables"][0]["Name"], "Key");
        assert_eq!(variables["Variables"][0]["Value"], json!(null));
    }

    async fn deleting_a_project_takes_what_belongs_to_it(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let _ = server.post("/api/Spaces-1/releases", json!({ "ProjectId": "Projects-1", "Version": "1.0" })).await.fine();
        let text = server.delete("/api/Spaces-1/projectgroups/ProjectGroups-1").await.refused(400);
        assert!(text.contains("has projects in it"), "{text}");
        let deleted = server.delete("/api/Spaces-1/projects/Projects-1").await;
        assert_eq!((deleted.status, &deleted.body), (200, &json!({})));
        for gone in ["projects/Projects-1", "releases/Releases-1", "variables/variableset-Projects-1", "channels/Channels-1"] {
            assert_eq!(server.get(&format!("/api/Spaces-1/{gone}")).await.status, 404, "{gone}");
        }
    }
}
