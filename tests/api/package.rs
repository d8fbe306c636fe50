use reqwest::Method;
use serde_json::json;
use tests::on_both_engines;
use tests::server::{API_KEY, TestServer};

use crate::{all, zip};

on_both_engines! {
    async fn a_pushed_package_can_be_listed_read_and_deleted(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let bytes = zip("hello");
        let pushed = server.push("?overwriteMode=FailIfExists", "fileToUpload", "Acme.Web.1.0.0.zip", bytes.clone()).await;
        assert_eq!(pushed.status, 201);
        let package = pushed.body;
        assert_eq!(package["Id"], "packages-Acme.Web.1.0.0");
        assert_eq!((&package["FeedId"], &package["NuGetFeedId"]), (&json!("feeds-builtin"), &json!("feeds-builtin")));
        assert_eq!((&package["PackageId"], &package["NuGetPackageId"]), (&json!("Acme.Web"), &json!("Acme.Web")));
        assert_eq!((&package["FileExtension"], package["PackageSizeBytes"].as_u64()), (&json!(".zip"), Some(bytes.len() as u64)));
        for id in ["packages-Acme.Web.1.0.0", "Acme.Web.1.0.0", "packages-acme.web.1.0"] {
            assert_eq!(server.get(&format!("/api/Spaces-1/packages/{id}")).await.fine()["Id"], package["Id"], "{id}");
        }
        let listed = server.get("/api/Spaces-1/packages?nuGetPackageId=acme.web").await.fine();
        assert_eq!(all(&listed, "Version"), ["1.0.0"]);
        assert!(listed["Items"][0].get("ReleaseNotes").is_none());
        let file = server.get("/api/Spaces-1/packages/packages-Acme.Web.1.0.0/raw").await;
        assert_eq!(file.bytes, bytes);
        assert_eq!(file.headers["content-disposition"], "attachment; filename=\"Acme.Web.1.0.0.zip\"");
        let _ = server.delete("/api/Spaces-1/packages/packages-Acme.Web.1.0.0").await.fine();
        assert_eq!(server.get("/api/Spaces-1/packages/packages-Acme.Web.1.0.0").await.status, 404);
        assert_eq!(server.get("/api/Spaces-1/packages/packages-Acme.Web.1.0.0/raw").await.status, 404);
    }

    async fn the_same_version_with_other_bytes_is_refused_and_the_first_stays(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let first = zip("one");
        let raw = "/api/Spaces-1/packages/packages-Acme.Web.1.0.0/raw";
        assert_eq!(server.push("", "file", "Acme.Web.1.0.0.zip", first.clone()).await.status, 201);
        let text = server.push("", "file", "acme.web.1.0.0.zip", zip("two")).await.refused(409);
        assert!(text.contains("with other content; the one that was there is kept"), "{text}");
        assert_eq!(server.get(raw).await.bytes, first);
        let kept = server.push("?overwriteMode=IgnoreIfExists", "file", "Acme.Web.1.0.0.zip", zip("two")).await;
        assert_eq!((kept.status, server.get(raw).await.bytes), (200, first));
        let replaced = server.push("?replace=true", "file", "Acme.Web.1.0.0.tar.gz", zip("two")).await;
        assert_eq!(replaced.status, 201);
        assert_eq!(server.get(raw).await.bytes, zip("two"));
        let files = std::fs::read_dir(server.folder.path().join("repository/Acme.Web")).unwrap().count();
        assert_eq!(files, 1, "the file of the replaced package is gone");
    }

    async fn a_name_that_is_no_package_name_stores_nothing(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for name in ["../x.1.0.0.zip", "..\\..\\x.1.0.0.zip", "a/b.1.0.0.zip", "x.zip", "x.1.0.0.exe", "..1.0.0.zip"] {
            let text = server.push("", "file", name, zip("x")).await.refused(400);
            assert!(!text.is_empty(), "{name}");
        }
        let text = server.push("", "file", "Acme.Web.1.0.0.zip", vec![]).await.refused(400);
        assert!(text.contains("is empty"), "{text}");
        let text = server.push("", "file", "Acme.Web.1.0.0.nupkg", b"PK\x03\x04half".to_vec()).await.refused(400);
        assert!(text.contains("not a whole zip archive"), "{text}");
        assert_eq!(server.get("/api/Spaces-1/packages").await.fine()["TotalResults"], 0);
        let stored: Vec<_> = std::fs::read_dir(server.folder.path().join("repository"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| !name.to_string_lossy().starts_with('.'))
            .collect();
        assert!(stored.is_empty(), "{stored:?}");
    }

    async fn the_manifest_of_a_nupkg_wins_over_its_file_name(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let nuspec = "<package><metadata><id>Acme.Lib</id><version>1.2.3-beta</version></metadata></package>";
        let form = |bytes: Vec<u8>| {
            let part = reqwest::multipart::Part::bytes(bytes).file_name("package");
            reqwest::multipart::Form::new().part("package", part)
        };
        let request = server
            .anonymous(Method::PUT, "/nuget/packages")
            .header("X-NuGet-ApiKey", API_KEY)
            .multipart(form(nupkg(nuspec)));
        let answer = server.send(request).await;
        assert_eq!((answer.status, &answer.body["Id"]), (201, &json!("packages-Acme.Lib.1.2.3-beta")));
        let evil = "<package><metadata><id>../x</id><version>1.0</version></metadata></package>";
        let text = server.push("", "file", "fine.1.0.0.nupkg", nupkg(evil)).await.refused(400);
        assert!(text.contains("'../x' cannot be the id of a package"), "{text}");
    }

    async fn nobody_and_no_form_are_refused(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let form = reqwest::multipart::Form::new().text("file", "no file name");
        let request = server.request(Method::POST, "/api/packages/raw").multipart(form);
        assert!(server.send(request).await.refused(400).contains("has no file in it"));
        let request = server.anonymous(Method::POST, "/api/packages/raw");
        assert_eq!(server.send(request).await.status, 401);
    }

    async fn of_two_pushes_at_once_one_wins(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let (one, two) = (zip("one"), zip("two"));
        let (first, second) = tokio::join!(
            server.push("", "file", "Acme.Web.1.0.0.zip", one.clone()),
            server.push("", "file", "ACME.Web.1.0.0.zip", two.clone()),
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        let kept = server.get("/api/Spaces-1/packages/Acme.Web.1.0.0/raw").await.bytes;
        assert_eq!(kept, if first.status == 201 { one } else { two });
    }

    async fn an_upload_that_breaks_off_leaves_nothing(database: TestDatabase) {
        use tokio::io::AsyncWriteExt as _;
        let server = TestServer::start(&database).await;
        let address = server.url.trim_start_matches("http://").to_string();
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /api/packages/raw HTTP/1.1\r\nHost: {address}\r\nX-Octopus-ApiKey: {API_KEY}\r\n\
             Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000000\r\n\r\n\
             --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"Acme.Web.1.0.0.zip\"\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![7; 3_000_000]).await.unwrap();
        let incoming = server.folder.path().join("repository/.incoming");
        let files = || std::fs::read_dir(&incoming).map_or(0, Iterator::count);
        until(|| files() == 1).await;
        drop(socket);
        until(|| files() == 0).await;
        assert_eq!(server.get("/api/Spaces-1/packages").await.fine()["TotalResults"], 0);
    }

    async fn several_are_deleted_at_once_and_the_latest_is_found(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for name in ["A.1.0.0.zip", "A.2.0.0.zip", "B.1.0.0.zip"] {
            let _ = server.push("", "file", name, zip(name)).await.fine();
        }
        let latest = server.get("/api/Spaces-1/packages?latest=true").await.fine();
        assert_eq!(all(&latest, "Id"), ["packages-A.2.0.0", "packages-B.1.0.0"]);
        let _ = server.delete("/api/Spaces-1/packages/bulk?ids=packages-A.1.0.0,packages-B.1.0.0,packages-C.1.0").await.fine();
        let left = server.get("/api/Spaces-1/packages").await.fine();
        assert_eq!(all(&left, "Id"), ["packages-A.2.0.0"]);
    }
}

/// Waits for what the Server does on its own, at most ten seconds.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not happen within ten seconds");
}

fn nupkg(nuspec: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file("any.nuspec", zip::write::SimpleFileOptions::default())
        .unwrap();
    archive.write_all(nuspec.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}
