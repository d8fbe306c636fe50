//! The ports of a Server.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::{Client, http, text};
use crate::engine::{Run, docker, repository, seconds, server_image, shared_folder};
use crate::quiet::{alone, together};
use crate::stack::server;

fn openssl(words: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("openssl");
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl is installed");
    child
        .stdin
        .take()
        .expect("its input is piped")
        .write_all(input)
        .expect("it reads its input");
    let output = child.wait_with_output().expect("openssl ends");
    [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat()
}

/// REQ-010, REQ-025: portal and API are on one port of the container and any port of the host.
#[test]
fn portal_and_api_share_a_port() {
    let _together = together();
    let container = server().plain().start();
    let base = format!("http://{}", container.address(8080));
    let client = Client::at(&base, None);
    let root = client.get("/api");
    assert!(
        root["Version"].is_string() && root["ProductVersion"].is_string(),
        "{root}"
    );
    let http = http();
    let mut answer = http.get(format!("{base}/")).send().unwrap();
    if answer.status().is_redirection() {
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        answer = http.get(format!("{base}{to}")).send().unwrap();
    }
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        answer.text().unwrap().contains("<form"),
        "the portal asks to sign in"
    );
}

/// REQ-011: port 81 is served when asked for, by a user without any right.
#[test]
fn port_81_is_served_when_asked() {
    let _together = together();
    let container = Run::new(&server_image())
        .env("HTTP_PORT", "8080,81")
        .publish(81)
        .publish(8080)
        .start();
    for port in [81, 8080] {
        let client = Client::at(&format!("http://{}", container.address(port)), None);
        assert_eq!(client.status("/api"), 200, "{port}");
    }
}

/// REQ-026: 10943 speaks TLS with the certificate that the API publishes, and asks for the client's.
#[test]
fn the_polling_port_shows_the_published_certificate() {
    let _together = together();
    let container = server().publish(10943).start();
    let client = Client::of(&container);
    let address = container.address(10943);
    let answer = openssl(&["s_client", "-connect", &address], b"");
    assert!(
        answer.contains("Requested Signature Algorithms") || answer.contains("Client Certificate Types"),
        "{answer}"
    );
    let print = openssl(&["x509", "-noout", "-fingerprint", "-sha1"], answer.as_bytes());
    let thumbprint = print
        .split('=')
        .nth(1)
        .unwrap_or_default()
        .trim()
        .replace(':', "");
    let published = client.get("/api/configuration/certificates/certificate-global");
    assert_eq!(thumbprint, text(&published["Thumbprint"]));
    container.says("Listening for polling agents on", seconds(1));
}

/// REQ-027: HTTPS with a PFX or a PEM file; plain HTTP stays only where it is asked for; a missing file is told.
#[test]
fn https_works_with_a_certificate_file() {
    let _together = together();
    let folder = shared_folder();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate, pfx, pem) = (at("key.pem"), at("cert.pem"), at("site.pfx"), at("site.pem"));
    let request = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ];
    openssl(
        &[&request[..], &["-keyout", &key, "-out", &certificate]].concat(),
        b"",
    );
    let export = [
        "pkcs12",
        "-export",
        "-inkey",
        &key,
        "-in",
        &certificate,
        "-out",
        &pfx,
        "-passout",
        "pass:s3cret",
    ];
    openssl(&export, b"");
    let both = [std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap()].concat();
    std::fs::write(&pem, both).unwrap();
    let mode = Command::new("chmod")
        .args(["0640", &key, &pfx, &pem])
        .status()
        .unwrap();
    assert!(mode.success());

    let run = Run::new(&server_image())
        .publish(8080)
        .publish(8443)
        .mount(folder.path().to_str().unwrap(), "/tls:ro");
    for (file, password) in [("site.pfx", Some("s3cret")), ("site.pem", None)] {
        let run = run.clone().env("SSL_CERTIFICATE_FILE", &format!("/tls/{file}"));
        let run = password.map_or(run.clone(), |password| {
            run.env("SSL_CERTIFICATE_PASSWORD", password)
        });
        let forced = run.clone().start();
        let client = Client::at(&format!("https://{}", forced.address(8443)), None);
        assert_eq!(client.status("/api"), 200);
        let plain = http().get(format!("http://{}/api", forced.address(8080))).send();
        assert!(
            plain.is_err() || plain.unwrap().status().is_redirection(),
            "plain HTTP is served beside HTTPS"
        );
        forced.becomes("healthy", seconds(20));
        let both = run.env("WEB_FORCE_SSL", "False").start();
        Client::at(&format!("http://{}", both.address(8080)), None);
        Client::at(&format!("https://{}", both.address(8443)), None);
    }
    let (code, log) = run
        .clone()
        .env("SSL_CERTIFICATE_FILE", "/tls/none.pfx")
        .finish(seconds(20));
    assert!(code == 2 && log.contains("/tls/none.pfx"), "{code} {log}");
    let run = run
        .env("SSL_CERTIFICATE_FILE", "/tls/site.pfx")
        .env("SSL_CERTIFICATE_PASSWORD", "wr0ng");
    let (code, log) = run.finish(seconds(20));
    assert!(code == 2 && !log.contains("wr0ng"), "{code} {log}");
}

/// REQ-001, REQ-015: one command builds both images, and their tag is the product's version everywhere.
#[test]
fn the_tag_is_the_version_everywhere() {
    let _alone = alone();
    let version = "1.2.3";
    let build = repository().join("tests/images/build");
    let output = Command::new(build)
        .arg(version)
        .output()
        .expect("the build script runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (image, program) in [("mantle/server", "mantle"), ("mantle/tentacle", "tentacle")] {
        let image = format!("{image}:{version}");
        let label = "{{index .Config.Labels \"org.opencontainers.image.version\"}}";
        assert_eq!(docker(&["image", "inspect", "--format", label, &image]), version);
        let word = if program == "mantle" {
            "--version"
        } else {
            "version"
        };
        let (code, told) = Run::new(&image).words(&[program, word]).finish(seconds(20));
        assert!(
            code == 0 && told.split_whitespace().any(|word| word == version),
            "{program}: {told}"
        );
    }
    let container = Run::new(&format!("mantle/server:{version}"))
        .publish(8080)
        .start();
    let client = Client::at(&format!("http://{}", container.address(8080)), None);
    assert_eq!(client.get("/api")["ProductVersion"], version);
    let base = format!("http://{}", container.address(8080));
    let mut answer = http().get(format!("{base}/")).send().unwrap();
    if answer.status().is_redirection() {
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        answer = http().get(format!("{base}{to}")).send().unwrap();
    }
    let page = answer.text().unwrap();
    assert!(page.contains(version), "{page}");
}
