//! Artifacts by hand: who adds, fills, renames and removes them. That scripts leave them is told in tests/deployment.

use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

on_both_engines! {
    async fn a_person_adds_an_artifact_to_a_task(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _machines = server.with_machines();
        let _ = crate::environments(&server, &["Dev"]).await;
        let machine = json!({ "Name": "web01", "EnvironmentIds": ["Environments-1"], "Roles": ["web"], "Endpoint": null });
        let _ = server.post("/api/Spaces-1/machines", machine).await.fine();
        let task = server.get("/api/tasks").await.fine()["Items"][0]["Id"].clone();
        let body = json!({ "Filename": "../reports/bericht \u{fc}.html", "ServerTaskId": task });
        let made = server.post("/api/Spaces-1/artifacts", body).await.fine();
        assert_eq!((&made["Id"], &made["Filename"]), (&json!("Artifacts-1"), &json!("bericht \u{fc}.html")));
        let content = "/api/Spaces-1/artifacts/Artifacts-1/content";
        assert_eq!(made["Links"]["Content"], content);

        let filling = server.request(reqwest::Method::PUT, content).body("<script>alert(1)</script>");
        let _ = server.send(filling).await.fine();
        let answer = server.get(content).await;
        assert_eq!(answer.bytes, b"<script>alert(1)</script>");
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/octet-stream");
        assert_eq!(header("content-disposition"), "attachment; filename=\"bericht _.html\"; filename*=UTF-8''bericht%20%C3%BC%2Ehtml");
        assert!(header("content-security-policy").contains("sandbox"));

        let renamed = server.put("/api/Spaces-1/artifacts/artifacts-1", json!({ "Filename": "report.html" })).await.fine();
        assert_eq!((&renamed["Filename"], &renamed["ServerTaskId"]), (&json!("report.html"), &task));
        for query in ["regarding=ServerTasks-1", "partialName=REPORT", "ids=Artifacts-1"] {
            let page = server.get(&format!("/api/Spaces-1/artifacts?{query}")).await.fine();
            assert_eq!(page["TotalResults"], 1, "{query}");
        }
        for query in ["regarding=Projects-1", "partialName=other", "ids=Artifacts-10"] {
            let page = server.get(&format!("/api/Spaces-1/artifacts?{query}")).await.fine();
            assert_eq!(page["TotalResults"], 0, "{query}");
        }
        let _ = server.delete("/api/Spaces-1/artifacts/Artifacts-1").await.fine();
        assert_eq!(server.get(content).await.status, 404);
        assert_eq!(server.get("/api/Spaces-1/artifacts/Artifacts-1").await.status, 404);
    }

    async fn an_artifact_that_cannot_be_is_refused(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let lost = server.post("/api/Spaces-1/artifacts", json!({ "Filename": "a", "ServerTaskId": "ServerTasks-9" })).await;
        assert_eq!(lost.status, 404);
        let nameless = server.post("/api/Spaces-1/artifacts", json!({ "Filename": "..", "ServerTaskId": "ServerTasks-9" })).await;
        assert_eq!(nameless.status, 400);
        for path in ["/api/Spaces-1/artifacts/Artifacts-1/content", "/api/Spaces-1/artifacts/..%2f..%2fetc%2fpasswd/content"] {
            assert_eq!(server.get(path).await.status, 404, "{path}");
        }
    }
}
