use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, zip};

on_both_engines! {
    async fn the_built_in_feed_is_there_and_stays(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let feeds = server.get("/api/Spaces-1/feeds?feedType=BuiltIn&take=1").await.fine();
        assert_eq!(all(&feeds, "Id"), ["feeds-builtin"]);
        assert_eq!(server.get("/api/feeds?feedType=NuGet").await.fine()["TotalResults"], 0);
        let text = server.delete("/api/Spaces-1/feeds/feeds-builtin").await.refused(400);
        assert!(text.contains("cannot be deleted"), "{text}");
        let body = json!({ "Name": "nuget.org", "FeedType": "NuGet", "FeedUri": "https://api.nuget.org/v3/index.json" });
        let text = server.post("/api/Spaces-1/feeds", body).await.refused(400);
        assert!(text.contains("type NuGet, which this Server cannot use yet"), "{text}");
    }

    async fn versions_are_listed_from_the_highest(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for version in ["1.9.0", "1.10.0", "2.0.0-beta"] {
            let _ = server.push("", "file", &format!("Acme.Web.{version}.zip"), zip(version)).await.fine();
        }
        let _ = server.push("", "file", "Other.1.0.0.zip", zip("other")).await.fine();
        let at = "/api/Spaces-1/feeds/feeds-builtin/packages";
        let versions = server.get(&format!("{at}/versions?packageId=acme.web&take=2")).await.fine();
        assert_eq!(all(&versions, "Version"), ["2.0.0-beta", "1.10.0"]);
        assert_eq!((versions["TotalResults"].as_u64(), versions["ItemType"].as_str()), (Some(3), Some("PackageVersion")));
        let stable = server.get(&format!("{at}/versions?packageId=Acme.Web&includePreRelease=false&versionRange=[1.0,1.10)")).await.fine();
        assert_eq!(all(&stable, "Version"), ["1.9.0"]);
        let found = server.get(&format!("{at}/search?term=acme")).await.fine();
        assert_eq!((all(&found, "Id"), all(&found, "LatestVersion")), (vec!["Acme.Web"], vec!["2.0.0-beta"]));
        let newest = server.get(&format!("{at}?packageId=Acme.Web&includePreRelease=false&take=1")).await.fine();
        assert_eq!(all(&newest, "Version"), ["1.10.0"]);
        let text = server.get(&format!("{at}/versions?packageId=Acme.Web&versionRange=[2,1]")).await.refused(400);
        assert!(text.contains("not a version range"), "{text}");
    }
}
