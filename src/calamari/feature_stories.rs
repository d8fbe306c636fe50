//! Stories of features that come with the runner, with an nginx that only says what it was asked.

use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

struct Workspace {
    folder: tempfile::TempDir,
    variables: Vec<Value>,
}

impl Workspace {
    fn new(features: &str) -> Self {
        let mut workspace = Self {
            folder: tempfile::tempdir().expect("a folder"),
            variables: Vec::new(),
        };
        let mut package = zip::ZipWriter::new(File::create(workspace.path("Shop.1.0.zip")).expect("created"));
        package
            .start_file("index.html", zip::write::SimpleFileOptions::default())
            .expect("started");
        package.finish().expect("finished");
        std::fs::create_dir_all(workspace.path("temporary")).expect("made");
        workspace.tool("sudo", "shift\n[ \"$1\" = -l ] && exit 0\nexec \"$@\"");
        let applications = workspace.path("applications").display().to_string();
        for (name, value) in [
            (
                "Octopus.Tentacle.Agent.ApplicationDirectoryPath",
                applications.as_str(),
            ),
            ("Octopus.Action.EnabledFeatures", features),
            ("Octopus.Action.Package[].PackageId", "Shop"),
        ] {
            workspace.set(name, value);
        }
        workspace
    }

    fn with_server(mut self) -> Self {
        let places = [
            (
                "ConfigurationsDirectory",
                self.path("conf.d").display().to_string(),
            ),
            (
                "CertificatesDirectory",
                self.path("certificates").display().to_string(),
            ),
            (
                "Server.Bindings",
                r#"[{"protocol":"https","port":"443","certificateVariable":"Cert"}]"#.to_owned(),
            ),
            (
                "Server.Locations",
                r#"[{"path":"/"},{"path":"/api","reverseProxyUrl":"http://localhost:5000"}]"#.to_owned(),
            ),
        ];
        for (name, value) in places {
            self.set(&format!("Octopus.Action.Nginx.{name}"), &value);
        }
        for (name, value) in [
            ("SubjectCommonName", "shop"),
            ("CertificatePem", "C"),
            ("PrivateKeyPem", "K"),
        ] {
            self.set(&format!("Cert.{name}"), value);
        }
        for folder in ["conf.d/Shop.conf.d", "certificates"] {
            std::fs::create_dir_all(self.path(folder)).expect("made");
        }
        std::fs::write(self.path("conf.d/Shop.conf.d/location.7old.conf"), "").expect("written");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push(json!({"k": name, "v": value}));
    }

    /// A program that stands before those of the system.
    fn tool(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path("bin")).expect("made");
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    }

    fn deploy(&self) -> Output {
        let text = serde_json::to_vec(&self.variables).expect("JSON");
        std::fs::write(self.path("variables.json"), text).expect("written");
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new(env!("CARGO_BIN_EXE_calamari"))
            .args([
                "deploy-package",
                "--package=Shop.1.0.zip",
                "--variables=variables.json",
            ])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("TMPDIR", self.path("temporary"))
            .env("ASKED", self.path("asked"))
            .output()
            .expect("started")
    }

    fn assert_nothing_is_left(&self) {
        let temporary = std::fs::read_dir(self.path("temporary")).expect("a folder");
        assert_eq!(temporary.count(), 0, "the configuration is not left behind");
        for entry in std::fs::read_dir(self.path("applications/Shop/1.0")).expect("a folder") {
            let name = entry.expect("readable").file_name();
            assert_eq!(name, "index.html");
        }
    }
}

#[test]
fn nginx_gets_its_configuration_and_reads_it() {
    let workspace = Workspace::new("Octopus.Features.Nginx").with_server();
    workspace.tool("nginx", "echo \"$*\" >>\"$ASKED\"\necho 'all is well' >&2");
    let output = workspace.deploy();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{output:?}");
    let asked = std::fs::read_to_string(workspace.path("asked")).expect("nginx was asked");
    assert_eq!(asked, "-t\n-s reload\n");
    let server = std::fs::read_to_string(workspace.path("conf.d/Shop.conf")).expect("a server");
    let key = workspace.path("certificates/shop/shop.key");
    assert!(
        server.contains(&format!("ssl_certificate_key {};", key.display())),
        "{server}"
    );
    assert!(workspace.path("conf.d/Shop.conf.d/location.0api.conf").exists());
    assert!(!workspace.path("conf.d/Shop.conf.d/location.7old.conf").exists());
    let mode = key.metadata().expect("the key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a key is nobody else's to read");
    workspace.assert_nothing_is_left();
}

#[test]
fn a_configuration_that_nginx_refuses_fails_the_step() {
    let workspace = Workspace::new("Octopus.Features.Nginx").with_server();
    workspace.tool("nginx", "echo 'unknown directive' >&2\nexit 1");
    let output = workspace.deploy();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("##octopus[resultMessage"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown directive"));
    let temporary = std::fs::read_dir(workspace.path("temporary")).expect("a folder");
    assert_eq!(temporary.count(), 0);
}

#[test]
fn one_language_of_a_feature_will_do() {
    let workspace = Workspace::new("Octopus.Features.Unknown, Octopus.Features.HelloWorld");
    let output = workspace.deploy();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Hello world! I am a feature script."), "{text}");
    workspace.assert_nothing_is_left();
}
