use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, project};

on_both_engines! {
    async fn a_new_default_takes_the_place_of_the_old_one(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let body = json!({ "Name": "Beta", "ProjectId": "Projects-1", "IsDefault": true });
        let beta = server.post("/api/Spaces-1/channels", body).await.fine();
        assert_eq!(beta["Id"], "Channels-2");
        let old = server.get("/api/Spaces-1/channels/Channels-1").await.fine();
        assert_eq!(old["IsDefault"], false);
        let text = server.delete("/api/Spaces-1/channels/Channels-2").await.refused(400);
        assert!(text.contains("default one"), "{text}");
        let _ = server.delete("/api/Spaces-1/channels/Channels-1").await.fine();
        let left = server.get("/api/Spaces-1/projects/web/channels").await.fine();
        assert_eq!(all(&left, "Name"), ["Beta"]);
    }

    async fn a_channel_with_releases_stays(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = project(&server, "Web").await;
        let beta = server.post("/api/Spaces-1/projects/Projects-1/channels", json!({ "Name": "Beta" })).await.fine();
        let body = json!({ "ProjectId": "Projects-1", "Version": "1.0", "ChannelId": beta["Id"] });
        let _ = server.post("/api/Spaces-1/releases", body).await.fine();
        let text = server.delete("/api/Spaces-1/channels/Channels-2").await.refused(400);
        assert!(text.contains("1 release(s)"), "{text}");
        let releases = server.get("/api/Spaces-1/channels/Channels-2/releases").await.fine();
        assert_eq!(all(&releases, "Version"), ["1.0"]);
        let text = server.post("/api/Spaces-1/channels", json!({ "Name": "BETA", "ProjectId": "Projects-1" })).await.refused(400);
        assert!(text.contains("already has a channel named 'BETA'"), "{text}");
        let body = json!({ "Name": "X", "ProjectId": "Projects-1", "LifecycleId": "Lifecycles-9" });
        let text = server.post("/api/Spaces-1/channels", body).await.refused(400);
        assert!(text.contains("'Lifecycles-9', which does not exist"), "{text}");
    }
}
