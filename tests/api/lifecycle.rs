use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, environments, project};

on_both_engines! {
    async fn a_lifecycle_has_phases_or_one_for_each_environment(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let ids = environments(&server, &["Development", "Test"]).await;
        let preview = server.get("/api/Spaces-1/lifecycles/Lifecycles-1/preview").await.fine();
        assert_eq!(all(&preview["Phases"], "Name"), ["Development", "Test"]);
        let body = json!({ "Name": "Two", "Phases": [{ "Name": "First", "OptionalDeploymentTargets": [ids[0]] }] });
        let made = server.post("/api/Spaces-1/lifecycles", body).await.fine();
        assert!(!made["Phases"][0]["Id"].as_str().unwrap().is_empty());
        let body = json!({ "Name": "Bad", "Phases": [{ "Name": "A", "OptionalDeploymentTargets": ["Environments-9"] }] });
        let text = server.post("/api/Spaces-1/lifecycles", body).await.refused(400);
        assert!(text.contains("'Environments-9', which does not exist"), "{text}");
    }

    async fn a_lifecycle_in_use_stays(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let text = server.delete("/api/Spaces-1/lifecycles/Lifecycles-1").await.refused(400);
        assert!(text.contains("used by the project 'Web'"), "{text}");
        let projects = server.get("/api/Spaces-1/lifecycles/Lifecycles-1/projects").await.fine();
        assert_eq!(all(&projects, "Name"), ["Web"]);
    }
}
