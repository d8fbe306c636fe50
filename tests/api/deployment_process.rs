use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{package_step, project, script_step, zip};

const PROCESS: &str = "/api/Spaces-1/deploymentprocesses/deploymentprocess-Projects-1";

on_both_engines! {
    async fn a_step_keeps_its_id_and_the_version_grows(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let mut process = server.get(PROCESS).await.fine();
        assert_eq!(process["Version"], 1);
        let id = process["Steps"][0]["Id"].clone();
        process["Steps"].as_array_mut().unwrap().push(script_step("Second"));
        let stored = server.put(PROCESS, process).await.fine();
        assert_eq!((stored["Version"].as_i64(), &stored["Steps"][0]["Id"]), (Some(2), &id));
        assert_eq!(server.get("/api/Spaces-1/projects/web/deploymentprocesses").await.fine(), stored);
    }

    async fn an_edit_of_an_old_version_is_refused(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let process = server.get(PROCESS).await.fine();
        let _ = server.put(PROCESS, process.clone()).await.fine();
        let answer = server.put(PROCESS, process).await;
        assert!(answer.refused(409).contains("changed by somebody else"));
    }

    async fn a_secret_property_goes_in_and_never_comes_out(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let mut process = server.get(PROCESS).await.fine();
        process["Steps"][0]["Actions"][0]["Properties"]["Token"] = json!({ "HasValue": true, "NewValue": "hunter2" });
        let stored = server.put(PROCESS, process).await.fine();
        assert_eq!(stored["Steps"][0]["Actions"][0]["Properties"]["Token"], json!({ "HasValue": true, "NewValue": null, "Hint": null }));
        let again = server.put(PROCESS, stored).await.fine();
        assert_eq!(again["Steps"][0]["Actions"][0]["Properties"]["Token"]["HasValue"], true);
        let answer = server.get(PROCESS).await;
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("hunter2"));
    }

    async fn wrong_steps_are_named(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let mut process = server.get(PROCESS).await.fine();
        process["Steps"] = json!([script_step("Same"), script_step("same"), { "Name": "Empty" }]);
        let text = server.put(PROCESS, process).await.refused(400);
        for part in ["Two steps or actions are named", "'Empty' has no action"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(server.get(PROCESS).await.fine()["Version"], 1);
    }

    async fn the_template_of_a_release_names_packages_and_the_next_number(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let _ = server.push("", "file", "Acme.Web.1.0.0.zip", zip("one")).await.fine();
        let mut process = server.get(PROCESS).await.fine();
        process["Steps"] = json!([package_step("Deploy web", "Acme.Web")]);
        let _ = server.put(PROCESS, process).await.fine();
        let template = server.get(&format!("{PROCESS}/template?channel=Channels-1")).await.fine();
        assert_eq!(template["NextVersionIncrement"], "0.0.1");
        assert_eq!(template["Packages"][0]["PackageId"], "Acme.Web");
        assert_eq!(template["Packages"][0]["NuGetFeedId"], "feeds-builtin");
        assert_eq!(template["Packages"][0]["IsResolvable"], true);
        let _ = server.post("/api/Spaces-1/releases", json!({ "ProjectId": "Projects-1", "Version": "2.0.0" })).await.fine();
        let template = server.get("/api/Spaces-1/projects/web/deploymentprocesses/template").await.fine();
        assert_eq!(template["NextVersionIncrement"], "2.0.1");
        assert_eq!(template["LastReleaseVersion"], "2.0.0");
        assert_eq!(template["Packages"][0]["VersionSelectedLastRelease"], "1.0.0");
    }
}
