use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{environments, project};

const SET: &str = "/api/Spaces-1/variables/variableset-Projects-1";

on_both_engines! {
    async fn a_sensitive_value_is_kept_and_never_read(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let mut set = server.get(SET).await.fine();
        set["Variables"] = json!([
            { "Name": "Key", "Value": "hunter2", "Type": "Sensitive" },
            { "Name": "Port", "Value": "8080" },
        ]);
        let stored = server.put(SET, set).await.fine();
        assert_eq!(stored["Variables"][0]["Value"], json!(null));
        assert_eq!(stored["Variables"][0]["IsSensitive"], true);
        assert_eq!(stored["Variables"][1]["Value"], "8080");
        let id = stored["Variables"][0]["Id"].clone();
        let again = server.put(SET, stored).await.fine();
        assert_eq!(again["Version"], 2);
        assert_eq!(again["Variables"][0]["Id"], id);
        let answer = server.get("/api/Spaces-1/projects/web/variables").await;
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("hunter2"));
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("odc1:"));
    }

    async fn scopes_must_exist_and_their_names_are_told(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let ids = environments(&server, &["Development", "Test"]).await;
        let mut set = server.get(SET).await.fine();
        assert_eq!(set["ScopeValues"]["Environments"][0], json!({ "Id": ids[0], "Name": "Development" }));
        assert_eq!(set["ScopeValues"]["Actions"][0]["Name"], "Say hello");
        assert_eq!(set["ScopeValues"]["Processes"][0]["ProcessType"], "Deployment");
        set["Variables"] = json!([{ "Name": "X", "Value": "1", "Scope": { "Environment": [ids[1]] } }]);
        let mut set = server.put(SET, set).await.fine();
        assert_eq!(set["Variables"][0]["Scope"], json!({ "Environment": [ids[1]] }));
        set["Variables"][0]["Scope"]["Environment"] = json!(["Environments-77"]);
        let text = server.put(SET, set).await.refused(400);
        assert!(text.contains("'X' is scoped to the environment 'Environments-77'"), "{text}");
    }

    async fn an_edit_of_an_old_version_is_refused(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let set = server.get(SET).await.fine();
        let _ = server.put(SET, set.clone()).await.fine();
        assert!(server.put(SET, set).await.refused(409).contains("changed by somebody else"));
    }
}
