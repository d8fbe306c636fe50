//! The Server itself, and what all of its answers have in common.

use reqwest::Method;
use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::environments;

on_both_engines! {
    async fn clients_find_their_way_from_the_root(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for path in ["/api", "/api/", "/API"] {
            let root = server.send(server.anonymous(Method::GET, path)).await.fine();
            assert_eq!((&root["ApiVersion"], &root["InstallationId"]), (&json!("3.0.0"), &json!("5d6d7a3f-0000-4000-8000-000000000001")));
            assert!(root["Version"].as_str().is_some_and(|version| version.starts_with("20")), "{path}");
            assert_eq!(root["Links"]["CurrentUser"], "/api/users/me");
            for link in ["Spaces", "SpaceHome", "BuildInformation", "CertificateConfiguration", "PackageDeltaSignature", "Channels", "Tenants",
                "SignIn", "SignOut", "Machines", "Workers", "Environments"] {
                assert!(root["Links"][link].is_string(), "there is no link {link}");
            }
        }
    }

    async fn what_is_open_to_all_is_open_and_the_rest_is_not(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for path in ["/api/authentication", "/api/octopusservernodes/ping", "/api/serverstatus/health"] {
            assert_eq!(server.send(server.anonymous(Method::GET, path)).await.status, 200, "{path}");
        }
        for path in ["/api/authentication/checklogininitiated", "/api/users/logout"] {
            assert_eq!(server.send(server.anonymous(Method::POST, path)).await.status, 200, "{path}");
        }
        let documents = ["/api/serverstatus", "/api/serverstatus/system-info", "/api/serverstatus/timezones", "/api/capabilities",
            "/api/configuration/certificates", "/api/configuration/certificates/certificate-global", "/api/certificates/Certificate-Global",
            "/api/configuration/feature-toggles?Name=x", "/api/mantle/remote-address", "/api/permissions/all", "/api/Spaces-1"];
        for path in documents {
            assert_eq!(server.send(server.anonymous(Method::GET, path)).await.status, 401, "{path}");
            assert_eq!(server.get(path).await.status, 200, "{path}");
        }
        let certificate = server.get("/api/configuration/certificates/certificate-global").await.fine();
        assert_eq!(certificate["Thumbprint"], "0123456789ABCDEF0123456789ABCDEF01234567");
        assert_eq!(server.get("/api/configuration/certificates/other").await.status, 404);
        assert_eq!(server.get("/api/mantle/remote-address").await.fine(), json!({ "Address": "127.0.0.1" }));
        let info = server.get("/api/serverstatus/system-info").await.fine();
        assert!(info["WorkingSetBytes"].as_u64().is_some_and(|bytes| bytes > 0), "{info}");
        server.clock.advance(61_000);
        assert_eq!(server.get("/api/serverstatus/system-info").await.fine()["Uptime"], "00:01:01");
        let toggles = server.get("/api/configuration/feature-toggles?Name=a").await.fine();
        assert_eq!(toggles["FeatureToggles"], json!([{ "Name": "a", "IsEnabled": false }]));
        server.context.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(server.get("/api/octopusservernodes/ping").await.status, 418);
    }

    async fn what_cannot_be_made_yet_is_empty(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for path in ["proxies", "tagsets", "tenants", "workerpools", "workers"] {
            let page = server.get(&format!("/api/Spaces-1/{path}?skip=0&take=2147483647")).await.fine();
            assert_eq!((&page["TotalResults"], &page["Items"]), (&json!(0), &json!([])), "{path}");
            assert_eq!(server.get(&format!("/api/{path}/all?ids=x")).await.fine(), json!([]), "{path}");
            assert_eq!(server.get(&format!("/api/{path}/x")).await.status, 404, "{path}");
            assert_eq!(server.post(&format!("/api/{path}"), json!({})).await.status, 405, "{path}");
        }
    }

    async fn errors_come_in_one_envelope(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for path in ["/api/nonsense", "/api/Spaces-1/nonsense/deeper", "/api/environments/a/b/c", "/api/environments/%2e%2e%2fusers"] {
            let missing = server.get(path).await;
            assert_eq!(missing.status, 404, "{path}");
            assert!(missing.body["ErrorMessage"].is_string() && missing.body.get("Errors").is_none(), "{path}: {}", missing.body);
        }
        for (method, path) in [(Method::DELETE, "/api"), (Method::PATCH, "/api/environments"), (Method::DELETE, "/api/users/login"),
            (Method::POST, "/api/tasks/ServerTasks-1")] {
            let wrong = server.send(server.request(method.clone(), path)).await;
            assert_eq!(wrong.status, 405, "{method} {path}");
            assert!(wrong.body["ErrorMessage"].as_str().is_some_and(|text| text.contains(method.as_str())), "{}", wrong.body);
            assert!(wrong.body.get("Errors").is_none());
        }
        let head = server.send(server.request(Method::HEAD, "/api/environments")).await;
        assert_eq!((head.status, head.bytes.len()), (200, 0));
        let refused = server.post("/api/environments", json!({ "Name": "" })).await;
        assert_eq!((refused.status, refused.body["Errors"].as_array().map(Vec::len)), (400, Some(1)));
        assert_eq!(refused.headers["content-type"], "application/json");
    }

    async fn bodies_that_nobody_means_are_refused(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development"]).await;
        let deep = "[".repeat(100_000);
        let nested = format!("{}1{}", "{\"Name\":".repeat(5000), "}".repeat(5000));
        let huge = format!("{{\"Name\":\"{}\"}}", "x".repeat(17 * 1024 * 1024));
        for body in [deep, nested, huge, "{".into(), "not json".into(), "{\"Name\":\"a\"}{".into(), "3".into(), "\"text\"".into(), "{\"Name\":{}}".into()] {
            let shown = body.chars().take(20).collect::<String>();
            let request = server.request(Method::POST, "/api/environments").header("Content-Type", "application/json");
            let answer = server.send(request.body(body)).await;
            assert!(answer.refused(400).contains("body"), "{shown}");
        }
        let binary = server.request(Method::POST, "/api/environments").body(vec![0xff, 0xfe, 0, 1]);
        assert_eq!(server.send(binary).await.status, 400);
        let plain = server.request(Method::POST, "/api/environments").body("{\"Name\":\"Plain\"}");
        assert_eq!(server.send(plain).await.status, 201, "the content type does not matter");
        let byte_order = server.request(Method::POST, "/api/environments").body("\u{feff}{\"Name\":\"Marked\"}");
        assert_eq!(server.send(byte_order).await.status, 201, "scripts on Windows write a byte order mark");
        assert_eq!(server.get("/api/environments").await.fine()["TotalResults"], 3);
    }
}
