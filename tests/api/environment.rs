use reqwest::Method;
use serde_json::{Value, json};
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, environments};

const ENVIRONMENTS: &str = "/api/Spaces-1/environments";

on_both_engines! {
    async fn members_are_read_in_any_case_and_unknown_ones_come_back(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let body = json!({ "name": "Pre Production", "DESCRIPTION": null, "useGuidedFailure": true, "id": "Environments-77",
            "links": { "Self": "x" }, "FutureMember": { "a": 1 } });
        let answer = server.post("/api/environments", body).await;
        assert_eq!((answer.status, &answer.headers["location"]), (201, &"/api/Spaces-1/environments/Environments-1".parse().expect("a header")));
        let made = answer.body;
        assert_eq!((&made["Slug"], &made["SpaceId"], &made["UseGuidedFailure"]), (&json!("pre-production"), &json!("Spaces-1"), &json!(true)));
        assert_eq!((&made["Description"], &made["FutureMember"]), (&json!(""), &json!({ "a": 1 })));
        assert_eq!(made["Links"]["Self"], "/api/Spaces-1/environments/Environments-1");
        assert_eq!(server.get("/api/Spaces-1/environments/pre-production").await.fine(), made);
    }

    async fn a_name_is_used_once(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development", "Test"]).await;
        let refused = server.post(ENVIRONMENTS, json!({ "Name": "DEVELOPMENT" })).await;
        assert_eq!(refused.body["Errors"].as_array().map(Vec::len), Some(1), "{}", refused.body);
        assert!(refused.refused(400).contains("already in use"));
        let mut test = server.get(&format!("{ENVIRONMENTS}/Environments-2")).await.fine();
        test["Name"] = json!("development");
        assert!(server.put(&format!("{ENVIRONMENTS}/Environments-2"), test.clone()).await.refused(400).contains("already in use"));
        for wrong in ["", "   ", "a\u{0}b", &"x".repeat(1000)] {
            assert_eq!(server.post(ENVIRONMENTS, json!({ "Name": wrong })).await.status, 400, "{:.10}", wrong.escape_debug());
        }
        test["Name"] = json!("Test 2");
        test["Description"] = json!("with \u{0} and \u{1F600}");
        let renamed = server.put(&format!("{ENVIRONMENTS}/environments-2"), test).await.fine();
        assert_eq!((&renamed["Name"], &renamed["Slug"], &renamed["Id"]), (&json!("Test 2"), &json!("test"), &json!("Environments-2")));
        assert_eq!(renamed["Description"], "with \u{0} and \u{1F600}");
        assert_eq!(server.put(&format!("{ENVIRONMENTS}/Environments-9"), json!({ "Name": "x" })).await.status, 404);
        let events = server.get("/api/Spaces-1/events?regarding=Environments-2").await.fine();
        assert_eq!(all(&events, "Message"), ["The environment Test 2 was changed.", "The environment Test was created."]);
    }

    async fn lists_are_filtered_and_cut_into_pages(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["A1", "A2", "A3", "B1", "B2"]).await;
        let mut next = format!("{ENVIRONMENTS}?take=2");
        let mut seen = Vec::new();
        for pages in 1.. {
            let page = server.get(&next).await.fine();
            assert_eq!((&page["TotalResults"], &page["ItemsPerPage"], &page["NumberOfPages"]), (&json!(5), &json!(2), &json!(3)));
            assert_eq!((&page["LastPageNumber"], &page["IsStale"]), (&json!(2), &json!(false)));
            seen.extend(all(&page, "Name").into_iter().map(str::to_string));
            match page["Links"]["Page.Next"].as_str() {
                Some(link) => next = link.to_string(),
                None => {
                    assert_eq!(pages, 3);
                    break;
                }
            }
        }
        assert_eq!(seen, ["A1", "A2", "A3", "B1", "B2"]);
        let page = server.get(&format!("{ENVIRONMENTS}?partialName=a&skip=1&take=1")).await.fine();
        assert_eq!((all(&page, "Name"), &page["TotalResults"]), (vec!["A2"], &json!(3)));
        for link in ["Page.Next", "Page.Previous", "Page.Last", "Page.All", "Page.Current", "Self"] {
            let path = page["Links"][link].as_str().unwrap_or_else(|| panic!("there is no link {link}"));
            assert_eq!(server.get(path).await.fine()["TotalResults"], 3, "{link} keeps the filter");
        }
        for (query, names) in [("ids=Environments-1,Environments-4", vec!["A1", "B1"]), ("ids=environments-1%2CEnvironments-99", vec!["A1"]),
            ("ids=Environments-1&ids=Environments-2", vec!["A1", "A2"]), ("ids=Environments-99", vec![]), ("name=b2", vec!["B2"]),
            ("name=b", vec![]), ("partialName=", vec!["A1", "A2", "A3", "B1", "B2"]), ("ids=&PARTIALNAME=B", vec!["B1", "B2"]),
            ("take=2147483647&skip=4", vec!["B2"]), ("take=0", vec![])] {
            let path = format!("{ENVIRONMENTS}?{query}");
            assert_eq!(all(&server.get(&path).await.fine(), "Name"), names, "{query}");
            if !query.contains("take") {
                assert_eq!(all(&server.get(&format!("{ENVIRONMENTS}/all?{query}")).await.fine(), "Name"), names, "{query}");
                let newer = server.get(&format!("{ENVIRONMENTS}/v2?{query}")).await.fine();
                assert_eq!(all(&newer, "Name"), names, "{query}");
            }
        }
        for wrong in ["skip=-1", "take=x", "take=99999999999999999999"] {
            assert_eq!(server.get(&format!("{ENVIRONMENTS}?{wrong}")).await.status, 400, "{wrong}");
        }
    }

    async fn the_newer_list_tells_the_type(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development", "Test"]).await;
        let page = server.get(&format!("{ENVIRONMENTS}/v2?skip=0&take=2147483647")).await.fine();
        assert_eq!(all(&page, "Type"), ["Static", "Static"]);
        assert_eq!(all(&page, "Slug"), ["development", "test"]);
        assert_eq!(server.get(&format!("{ENVIRONMENTS}/v2?type=Ephemeral")).await.fine()["TotalResults"], 0);
        assert_eq!(server.get(&format!("{ENVIRONMENTS}/v2?type=Ephemeral,static")).await.fine()["TotalResults"], 2);
    }

    async fn environments_are_put_into_an_order(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["C", "B", "A"]).await;
        let answer = server.put(&format!("{ENVIRONMENTS}/SortOrder"), json!(["Environments-3", "environments-1"])).await;
        assert_eq!(answer.status, 200);
        let sorted = server.get(&format!("{ENVIRONMENTS}/all")).await.fine();
        assert_eq!(all(&sorted, "Name"), ["A", "C", "B"]);
        let orders: Vec<_> = sorted.as_array().expect("a list").iter().map(|one| one["SortOrder"].as_i64()).collect();
        assert_eq!(orders, [Some(0), Some(1), Some(2)]);
        let events = server.get("/api/Spaces-1/events").await.fine();
        assert!(all(&events, "Category").contains(&"Modified"), "the change has its event: {events}");
        let text = server.put(&format!("{ENVIRONMENTS}/sortorder"), json!({ "a": 1 })).await.refused(400);
        assert!(text.contains("wrong shape"), "{text}");
        assert_eq!(server.put(&format!("{ENVIRONMENTS}/sortorder"), json!(["Environments-9"])).await.status, 400);
    }

    async fn an_environment_in_use_stays(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _machines = server.with_machines();
        let _ = environments(&server, &["Development"]).await;
        let machine: Value = json!({ "Name": "web01", "EnvironmentIds": ["Environments-1"], "Roles": ["web"], "Endpoint": null });
        let _ = server.post("/api/Spaces-1/machines", machine).await.fine();
        let text = server.delete(&format!("{ENVIRONMENTS}/Environments-1")).await.refused(400);
        assert!(text.contains("used by 1 deployment target"), "{text}");
        let _ = server.delete("/api/Spaces-1/machines/Machines-1").await.fine();
        let phased = json!({ "Name": "Phased", "Phases": [{ "Name": "First", "OptionalDeploymentTargets": ["Environments-1"] }] });
        let lifecycle = server.post("/api/Spaces-1/lifecycles", phased).await.fine();
        let text = server.delete(&format!("{ENVIRONMENTS}/Environments-1")).await.refused(400);
        assert!(text.contains("'Phased'"), "{text}");
        let _ = server.delete(lifecycle["Links"]["Self"].as_str().expect("a link")).await.fine();
        let request = server.request(Method::POST, &format!("{ENVIRONMENTS}/Environments-1"));
        let gone = server.send(request.header("X-HTTP-Method-Override", "DELETE")).await;
        assert_eq!((gone.status, gone.body), (200, json!({})));
        assert_eq!(server.get(&format!("{ENVIRONMENTS}/Environments-1")).await.status, 404);
        assert_eq!(server.delete(&format!("{ENVIRONMENTS}/Environments-1")).await.status, 404);
    }
}
