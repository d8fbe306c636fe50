use std::collections::BTreeSet;

use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, environments, package_step, project, zip};

const PROCESS: &str = "/api/Spaces-1/deploymentprocesses/deploymentprocess-Projects-1";
const CREATE: &str = "/api/Spaces-1/releases/create/v1";

/// A project that deploys Acme.Web, with versions 1.0.0, 1.1.0 and 2.0.0-beta in the feed.
async fn shop(server: &TestServer) {
    let _ = project(server, "Web").await;
    for version in ["1.0.0", "1.1.0", "2.0.0-beta"] {
        let _ = server
            .push("", "file", &format!("Acme.Web.{version}.zip"), zip(version))
            .await
            .fine();
    }
    let mut process = server.get(PROCESS).await.fine();
    process["Steps"] = json!([package_step("Deploy web", "Acme.Web")]);
    let _ = server.put(PROCESS, process).await.fine();
}

on_both_engines! {
    async fn a_release_is_made_with_the_newest_package_and_the_next_number(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        shop(&server).await;
        let body = json!({ "spaceId": "Spaces-1", "spaceIdOrName": "Default", "ProjectName": "web" });
        let made = server.post(CREATE, body).await.fine();
        assert_eq!(made["ReleaseVersion"], "0.0.1");
        let release = server.get(&format!("/api/Spaces-1/releases/{}", made["ReleaseId"].as_str().unwrap())).await.fine();
        assert_eq!(release["SelectedPackages"][0]["Version"], "1.1.0");
        assert_eq!(release["SelectedPackages"][0]["ActionName"], "Deploy web");
        assert_eq!(release["ChannelId"], "Channels-1");
        let again = server.post(CREATE, json!({ "projectName": "Web" })).await.fine();
        assert_eq!(again["ReleaseVersion"], "0.0.2");
        let listed = server.get("/api/Spaces-1/projects/web/releases").await.fine();
        assert_eq!(all(&listed, "Version"), ["0.0.2", "0.0.1"]);
        assert_eq!(server.get("/api/Spaces-1/projects/Projects-1/releases/0.0.2").await.fine()["Id"], again["ReleaseId"]);
        assert_eq!(server.get("/api/Spaces-1/projects/Projects-1/releases/9.9").await.status, 404);
    }

    async fn packages_are_chosen_in_all_the_ways_clients_know(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        shop(&server).await;
        for (said, chosen) in [
            (json!({ "packages": ["Acme.Web:1.0.0"] }), "1.0.0"),
            (json!({ "packages": ["Deploy web:1.0.0"], "packageVersion": "1.1.0" }), "1.0.0"),
            (json!({ "packageVersion": "1.0" }), "1.0.0"),
            (json!({ "packagePrerelease": "beta" }), "2.0.0-beta"),
        ] {
            let mut body = said.clone();
            body["projectName"] = json!("Projects-1");
            let made = server.post(CREATE, body).await.fine();
            let release = server.get(&format!("/api/Spaces-1/releases/{}", made["ReleaseId"].as_str().unwrap())).await.fine();
            assert_eq!(release["SelectedPackages"][0]["Version"], chosen, "{said}");
        }
        let text = server.post(CREATE, json!({ "projectName": "Web", "packageVersion": "9.0.0" })).await.refused(400);
        assert!(text.contains("no version 9.0.0 of the package 'Acme.Web'"), "{text}");
        let text = server.post(CREATE, json!({ "projectName": "Web", "packages": ["Nothing:1.0"] })).await.refused(400);
        assert!(text.contains("'Nothing:1.0' names a package or step that the process does not have"), "{text}");
    }

    async fn what_is_wrong_is_named_and_nothing_is_made(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        shop(&server).await;
        for (body, part) in [
            (json!({ "projectName": "Nope" }), "The project 'Nope' does not exist"),
            (json!({}), "names no project"),
            (json!({ "projectName": "Web", "channelName": "Beta" }), "no channel 'Beta'"),
            (json!({ "projectName": "Web", "releaseVersion": "one" }), "'one' is not a valid"),
            (json!({ "projectName": "Web", "gitRef": "refs/heads/main" }), "Git reference"),
        ] {
            let text = server.post(CREATE, body.clone()).await.refused(400);
            assert!(text.contains(part), "{body}: {text}");
        }
        let fixed = json!({ "projectName": "Web", "releaseVersion": "1.0" });
        let first = server.post(CREATE, fixed.clone()).await.fine();
        assert!(server.post(CREATE, fixed.clone()).await.refused(400).contains("already has a release 1.0"));
        let mut same = fixed;
        same["ignoreIfAlreadyExists"] = json!(true);
        assert_eq!(server.post(CREATE, same).await.fine()["ReleaseId"], first["ReleaseId"]);
        assert_eq!(server.get("/api/Spaces-1/releases").await.fine()["TotalResults"], 1);
    }

    async fn a_release_is_a_copy_that_edits_do_not_touch(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        shop(&server).await;
        let set = "/api/Spaces-1/variables/variableset-Projects-1";
        let mut variables = server.get(set).await.fine();
        variables["Variables"] = json!([{ "Name": "X", "Value": "a" }, { "Name": "Key", "Value": "hunter2", "Type": "Sensitive" }]);
        let _ = server.put(set, variables).await.fine();
        let release = server.post("/api/Spaces-1/releases", json!({ "ProjectId": "Projects-1", "Version": "1.0" })).await.fine();
        let mut variables = server.get(set).await.fine();
        variables["Variables"][0]["Value"] = json!("b");
        let _ = server.put(set, variables).await.fine();
        let mut process = server.get(PROCESS).await.fine();
        process["Steps"][0]["Name"] = json!("Renamed");
        let _ = server.put(PROCESS, process).await.fine();

        let frozen = server.get(release["Links"]["ProjectVariableSnapshot"].as_str().unwrap()).await.fine();
        assert_eq!(frozen["Variables"][0]["Value"], "a");
        assert_eq!(frozen["Variables"][1]["Value"], json!(null));
        let copy = release["Links"]["ProjectDeploymentProcessSnapshot"].as_str().unwrap();
        let frozen = server.get(copy).await.fine();
        assert_eq!(frozen["Steps"][0]["Name"], "Deploy web");
        assert!(server.put(copy, frozen).await.refused(400).contains("never changes"));
        let template = server.get("/api/Spaces-1/releases/Releases-1/deployments/template").await.fine();
        assert_eq!((&template["IsDeploymentProcessModified"], &template["IsVariableSetModified"]), (&json!(true), &json!(true)));

        let updated = server.post("/api/Spaces-1/releases/Releases-1/snapshot-variables", json!({})).await.fine();
        let fresh = server.get(updated["Links"]["ProjectVariableSnapshot"].as_str().unwrap()).await.fine();
        assert_eq!(fresh["Variables"][0]["Value"], "b");
        let last = server.get(PROCESS).await.fine()["LastSnapshotId"].clone();
        assert_eq!(last, release["ProjectDeploymentProcessSnapshotId"]);
    }

    async fn releases_made_at_once_get_different_numbers(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        shop(&server).await;
        let make = || server.post(CREATE, json!({ "projectName": "Web" }));
        for round in 0..5 {
            let (one, two, three) = tokio::join!(make(), make(), make());
            let mut versions: Vec<String> = [one, two, three]
                .into_iter()
                .map(|answer| answer.fine()["ReleaseVersion"].as_str().unwrap().to_string())
                .collect();
            versions.sort();
            let expected = [1, 2, 3].map(|number| format!("0.0.{}", 3 * round + number));
            assert_eq!(versions.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
        }
    }

    async fn a_release_can_be_edited_and_deleted(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        shop(&server).await;
        let mut release = server.post("/api/Spaces-1/releases", json!({ "ProjectId": "Projects-1", "Version": "1.0" })).await.fine();
        release["Version"] = json!("1.0.1");
        release["ReleaseNotes"] = json!("Better.");
        let stored = server.put("/api/Spaces-1/releases/Releases-1", release).await.fine();
        assert_eq!((&stored["Version"], &stored["ReleaseNotes"]), (&json!("1.0.1"), &json!("Better.")));
        let _ = server.delete("/api/Spaces-1/packages/Acme.Web.1.1.0").await.fine();
        let missing = server.get("/api/Spaces-1/releases/Releases-1/missingpackages").await.fine();
        assert_eq!(missing["Packages"], json!([{ "Id": "Acme.Web", "Version": "1.1.0" }]));
        let _ = server.delete("/api/Spaces-1/releases/Releases-1").await.fine();
        assert_eq!(server.get("/api/Spaces-1/releases/Releases-1").await.status, 404);
        assert_eq!(server.get(stored["Links"]["ProjectVariableSnapshot"].as_str().unwrap()).await.status, 404);
    }

    async fn progression_shows_where_a_release_may_go(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        shop(&server).await;
        let ids = environments(&server, &["Development", "Test"]).await;
        let _ = server.post("/api/Spaces-1/releases", json!({ "ProjectId": "Projects-1", "Version": "1.0" })).await.fine();
        let progression = server.get("/api/Spaces-1/releases/Releases-1/progression").await.fine();
        assert_eq!(all(&progression["Phases"], "Name"), ["Development", "Test"]);
        assert_eq!(all(&progression["Phases"], "Progress"), ["Current", "Pending"]);
        assert_eq!(progression["NextDeployments"], json!([ids[0]]));
        let body = json!({ "ReleaseId": "Releases-1", "EnvironmentId": ids[0] });
        let _ = server.post("/api/Spaces-1/deployments", body).await.fine();
        let of_project = server.get("/api/Spaces-1/projects/web/progression").await.fine();
        assert_eq!(all(&of_project["Environments"], "Name"), ["Development", "Test"]);
        assert_eq!(of_project["ChannelEnvironments"]["Channels-1"][1]["Name"], "Test");
        let item = &of_project["Releases"][0]["Deployments"][&ids[0]][0];
        assert_eq!((&item["State"], &item["ReleaseVersion"]), (&json!("Queued"), &json!("1.0")));
    }
}
