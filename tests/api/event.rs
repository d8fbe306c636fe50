use reqwest::Method;
use serde_json::{Value, json};
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, environments};

on_both_engines! {
    async fn every_change_is_told_once_newest_first(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let ids = environments(&server, &["Development"]).await;
        let path = format!("/api/Spaces-1/environments/{}", ids[0]);
        let mut environment = server.get(&path).await.fine();
        environment["Name"] = json!("Dev <b>");
        let request = server.request(Method::PUT, &path).header("User-Agent", "OctopusClient-dotnet/22.3");
        let _ = server.send(request.json(&environment)).await.fine();
        let _ = server.delete(&path).await.fine();
        assert_eq!(server.delete(&path).await.status, 404);
        let events = server.get("/api/events?regarding=Environments-1").await.fine();
        assert_eq!(all(&events, "Category"), ["Deleted", "Modified", "Created"]);
        let changed = &events["Items"][1];
        assert_eq!((&changed["Message"], &changed["MessageHtml"]),
            (&json!("The environment Dev <b> was changed."), &json!("The environment Dev &lt;b&gt; was changed.")));
        assert_eq!(changed["MessageReferences"], json!([{ "ReferencedDocumentId": "Environments-1", "StartIndex": 16, "Length": 7 }]));
        assert_eq!((&changed["UserAgent"], &changed["IpAddress"]), (&json!("OctopusClient-dotnet/22.3"), &json!("127.0.0.1")));
        assert_eq!((&changed["Username"], &changed["UserId"]), (&json!("admin"), &json!("Users-1")));
        assert_eq!((&changed["IdentityEstablishedWith"], &changed["IsService"]), (&json!("API key"), &json!(true)));
        assert_eq!((&changed["Occurred"], &changed["SpaceId"]), (&json!("2026-01-01T00:00:00.000+00:00"), &json!("Spaces-1")));
        let one = server.get(changed["Links"]["Self"].as_str().expect("an event has an address")).await.fine();
        assert_eq!(&one, changed);
        for missing in ["Events-999999", "Events-x", "Environments-1", "99999999999999999999"] {
            assert_eq!(server.get(&format!("/api/events/{missing}")).await.status, 404, "{missing}");
        }
    }

    async fn the_audit_is_read_in_pages_and_by_document(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["A", "B", "C"]).await;
        for query in ["regarding=Environments-2", "regardingAny=Environments-9,Environments-2", "regardingAny=Environments-2&regardingAny=x"] {
            let found = server.get(&format!("/api/Spaces-1/events?{query}")).await.fine();
            assert_eq!(all(&found, "Message"), ["The environment B was created."], "{query}");
        }
        let both = server.get("/api/events?regardingAny=Environments-1,Environments-3").await.fine();
        assert_eq!((all(&both, "Message").len(), &both["TotalResults"]), (2, &json!(2)));
        let many: Vec<String> = (0..9).map(|number| format!("A-{number}")).collect();
        assert!(server.get(&format!("/api/events?regardingAny={}", many.join(","))).await.refused(400).contains("8 documents"));
        let first = server.get("/api/events?take=1").await.fine();
        assert_eq!(all(&first, "Message"), ["The environment C was created."]);
        let next = server.get(first["Links"]["Page.Next"].as_str().expect("there are more")).await.fine();
        assert_eq!(all(&next, "Message"), ["The environment B was created."]);
        let everything = server.get("/api/events?take=2147483647").await.fine();
        let total = everything["TotalResults"].as_u64().expect("a number");
        assert_eq!(everything["Items"].as_array().map(|items| items.len() as u64), Some(total));
        assert_eq!(server.get("/api/events?skip=9999999999").await.fine()["Items"], Value::Array(vec![]));
    }

    async fn nobody_changes_the_audit(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(server.send(server.request(method.clone(), "/api/events/Events-1")).await.status, 405, "{method}");
        }
    }
}
