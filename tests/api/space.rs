use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, environments};

on_both_engines! {
    async fn the_default_space_is_there_with_what_every_space_has(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let spaces = server.get("/api/spaces").await.fine();
        assert_eq!((all(&spaces, "Id"), spaces["ItemType"].as_str()), (vec!["Spaces-1"], Some("Space")));
        for id in ["Spaces-1", "spaces-1", "default", "DEFAULT"] {
            let space = server.get(&format!("/api/Spaces/{id}")).await.fine();
            assert_eq!((&space["Name"], &space["IsDefault"]), (&json!("Default"), &json!(true)), "{id}");
        }
        for query in ["name=DEFAULT", "partialName=ault", "ids=Spaces-9,spaces-1", "ids="] {
            assert_eq!(all(&server.get(&format!("/api/spaces/all?{query}")).await.fine(), "Id"), ["Spaces-1"], "{query}");
        }
        assert_eq!(server.get("/api/spaces/all?ids=Spaces-9").await.fine(), json!([]));
        for (path, name) in [("lifecycles", "Default Lifecycle"), ("projectgroups", "Default Project Group"),
            ("machinepolicies", "Default Machine Policy")] {
            assert_eq!(all(&server.get(&format!("/api/Spaces-1/{path}/all")).await.fine(), "Name"), [name]);
        }
        let policy = server.get("/api/machinepolicies/default-machine-policy").await.fine();
        assert_eq!(policy["IsDefault"], true);
        assert!(server.delete("/api/machinepolicies/MachinePolicies-1").await.refused(400).contains("default"));
    }

    async fn a_space_that_does_not_exist_has_nothing(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for path in ["/api/Spaces-2", "/api/spaces/Spaces-2", "/api/Spaces-2/environments", "/api/spaces/Spaces-2/environments"] {
            let missing = server.get(path).await;
            assert!(missing.body.get("Errors").is_none(), "{path}: {}", missing.body);
            assert!(missing.refused(404).contains("'Spaces-2' does not exist"), "{path}");
        }
    }

    async fn a_space_has_a_document_of_links(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development"]).await;
        let space = server.get("/api/Spaces-1").await.fine();
        assert_eq!(space["Id"], "Spaces-1");
        for absent in ["Version", "ApiVersion", "Application"] {
            assert!(space.get(absent).is_none(), "{absent}");
        }
        for (link, begins) in [("Environments", "/api/Spaces-1/environments"), ("Tasks", "/api/Spaces-1/tasks"),
            ("Events", "/api/Spaces-1/events"), ("Machines", "/api/Spaces-1/machines")] {
            let path = space["Links"][link].as_str().unwrap_or_else(|| panic!("there is no link {link}"));
            assert!(path.starts_with(begins), "{link}: {path}");
            let path = path.split('{').next().expect("it has a beginning");
            assert!(server.get(path).await.fine()["TotalResults"].is_u64(), "{path}");
        }
    }

    async fn one_resource_answers_under_all_its_addresses(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development"]).await;
        for path in ["/api/environments/Environments-1", "/api/Spaces-1/environments/Environments-1", "/API/SPACES-1/ENVIRONMENTS/ENVIRONMENTS-1",
            "/api/spaces/Spaces-1/environments/environments-1", "/api/Environments/development/", "/api/environments/DEVELOPMENT"] {
            let found = server.get(path).await.fine();
            assert_eq!(found["Links"]["Self"], "/api/Spaces-1/environments/Environments-1", "{path}");
        }
    }
}
