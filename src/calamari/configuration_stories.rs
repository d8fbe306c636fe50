//! Stories of packages whose files take variables: by templates, and by the names of places in configuration files.

use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder with a package and its variables.
struct Workspace {
    folder: tempfile::TempDir,
    variables: Vec<Value>,
}

impl Workspace {
    /// The package holds these files, and a script that leaves a mark when the deployment failed.
    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut package =
            zip::ZipWriter::new(File::create(folder.path().join("Shop.1.0.zip")).expect("created"));
        let mark: (&str, &[u8]) = ("DeployFailed.sh", b"echo rolled back > ../failed");
        for (name, content) in files.iter().chain([&mark]) {
            package
                .start_file(*name, zip::write::SimpleFileOptions::default())
                .expect("started");
            package.write_all(content).expect("written");
        }
        package.finish().expect("finished");
        let mut workspace = Self {
            folder,
            variables: Vec::new(),
        };
        let applications = workspace.path("applications").display().to_string();
        for (name, value) in [
            (
                "Octopus.Tentacle.Agent.ApplicationDirectoryPath",
                applications.as_str(),
            ),
            (
                "Octopus.Action.EnabledFeatures",
                "Octopus.Features.SubstituteInFiles,Octopus.Features.JsonConfigurationVariables",
            ),
            ("Octopus.Action.Package[].PackageId", "Shop"),
            ("Octopus.Action.Package[].PackageVersion", "1.0"),
        ] {
            workspace.set(name, value);
        }
        workspace
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push(json!({"k": name, "v": value}));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the deployed package.
    fn deployed(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path("applications/Shop/1.0").join(name)).expect(name)
    }

    fn deploy(&self) -> Output {
        let text = serde_json::to_vec(&self.variables).expect("JSON");
        std::fs::write(self.path("variables.json"), text).expect("written");
        Command::new(env!("CARGO_BIN_EXE_calamari"))
            .args([
                "deploy-package",
                "--package=Shop.1.0.zip",
                "--variables=variables.json",
            ])
            .current_dir(self.folder.path())
            .env("TentacleJournal", self.path("journal.xml"))
            .output()
            .expect("started")
    }

    /// The deployment fails with all of this in its text, and was rolled back.
    #[track_caller]
    fn fails_with(&self, reasons: &[&str]) {
        let output = self.deploy();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!output.status.success(), "{text}");
        for reason in reasons {
            assert!(text.contains(reason), "{reason} is not in {text}");
        }
        assert!(self.path("applications/Shop/failed").exists(), "{text}");
        let journal = std::fs::read_to_string(self.path("journal.xml")).expect("a journal");
        assert!(journal.contains("WasSuccessful=\"False\""), "{journal}");
    }
}

#[test]
fn values_reach_every_format_and_nothing_else_changes() {
    let mut workspace = Workspace::with(&[
        (
            "app.json",
            b"{ // who\n  \"Db\": {\"Host\": 'old', \"Port\": 1},\r\n}",
        ),
        ("app.yml", b"db:   # who\n    host: old\n    port: 1\n"),
        (
            "app.xml",
            b"<?xml version='1.0'?>\n<db><host a='1'>old</host></db>\n",
        ),
        ("app.properties", b"! who\ndb.host : old\\\n  er\n"),
        ("other.conf", b"db.host=old\n"),
        ("page.txt", b"caf\xE9 #{Db:Host}\r\n"),
        ("untouched.json", b"{\"a\":1,   }"),
    ]);
    workspace.set("Octopus.Action.SubstituteInFiles.TargetFiles", "*.txt");
    workspace.set(
        "Octopus.Action.Package.JsonConfigurationVariablesTargets",
        "app.*\nother.conf\nuntouched.json",
    );
    workspace.set("Db:Host", "#{Name}");
    workspace.set("Db:Port", "0080");
    workspace.set("db.host", "#{Name}");
    workspace.set("/db/host", "#{Name}");
    workspace.set("Name", "new");
    let output = workspace.deploy();
    assert!(output.status.success(), "{output:?}");
    for (name, expected) in [
        (
            "app.json",
            &b"{ // who\n  \"Db\": {\"Host\": \"new\", \"Port\": 80},\r\n}"[..],
        ),
        ("app.yml", b"db:   # who\n    host: new\n    port: 0080\n"),
        (
            "app.xml",
            b"<?xml version='1.0'?>\n<db><host a='1'>new</host></db>\n",
        ),
        ("app.properties", b"! who\ndb.host : new\n"),
        ("other.conf", b"db.host=new\n"),
        ("page.txt", b"caf\xE9 new\r\n"),
        ("untouched.json", b"{\"a\":1,   }"),
    ] {
        let content = workspace.deployed(name);
        assert_eq!(content, expected, "{name}: {}", String::from_utf8_lossy(&content));
    }
}

#[test]
fn a_file_that_cannot_be_read_names_its_line_and_stays() {
    for (name, content, place) in [
        ("bad.json", &b"{\n  \"a\": tru\n}"[..], "line 2, column 8"),
        ("bad.yaml", b"a: 1\nb: c: d\n", "line 2 column 5"),
        ("bad.xml", b"<a>\n<b></a>", "line 2"),
        ("bad.properties", b"a=1\nb=\\u12\n", "line 2, column 3"),
    ] {
        let mut workspace = Workspace::with(&[(name, content)]);
        workspace.set(
            "Octopus.Action.Package.JsonConfigurationVariablesTargets",
            "bad.*",
        );
        workspace.set("a", "new");
        workspace.fails_with(&["Structured variable replacement failed on file", name, place]);
        assert_eq!(workspace.deployed(name), content);
    }
}

#[test]
fn a_template_that_says_nothing_is_told_or_fails_the_step() {
    let files: &[(&str, &[u8])] = &[("a.txt", b"#{Known} #{None} #{if"), ("b.txt", b"#{Known}")];
    let mut workspace = Workspace::with(files);
    workspace.set(
        "Octopus.Action.SubstituteInFiles.TargetFiles",
        "a.txt\nnone.txt\nb.txt",
    );
    workspace.set("Known", "yes");
    let output = workspace.deploy();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("a.txt' with Octostache returned the following error") && text.contains("'#{None}'")
    );
    assert!(
        text.contains("match the substitution target pattern 'none.txt'"),
        "{text}"
    );
    assert_eq!(workspace.deployed("a.txt"), b"yes #{None} #{if");
    assert_eq!(workspace.deployed("b.txt"), b"yes");

    let mut strict = Workspace::with(files);
    strict.variables.clone_from(&workspace.variables);
    let applications = strict.path("applications").display().to_string();
    strict.set("Octopus.Tentacle.Agent.ApplicationDirectoryPath", &applications);
    strict.set("OctopusShouldFailDeploymentOnSubstitutionFails", "True");
    strict.fails_with(&["a.txt", "'#{None}'"]);
    assert_eq!(strict.deployed("a.txt"), files[0].1);
    assert_eq!(strict.deployed("b.txt"), files[1].1);
}

#[test]
fn a_variable_that_means_itself_fails_the_step_and_names_the_circle() {
    let mut workspace = Workspace::with(&[("a.txt", b"#{A}"), ("a.json", b"{\"A\":1}")]);
    workspace.set("Octopus.Action.SubstituteInFiles.TargetFiles", "a.txt");
    workspace.set("A", "#{B}");
    workspace.set("B", "#{A}");
    workspace.fails_with(&["A -> B -> A"]);
    assert_eq!(workspace.deployed("a.txt"), b"#{A}");

    let mut workspace = Workspace::with(&[("a.json", b"{\"A\":1}")]);
    workspace.set(
        "Octopus.Action.Package.JsonConfigurationVariablesTargets",
        "a.json",
    );
    workspace.set("A", "#{B}");
    workspace.set("B", "#{A}");
    workspace.fails_with(&["self referencing loop", "B -> A -> B"]);
    assert_eq!(workspace.deployed("a.json"), b"{\"A\":1}");
}

#[test]
fn what_is_no_text_is_left_alone() {
    let mut workspace = Workspace::with(&[("a.bin", b"\x00#{A}\xFF")]);
    workspace.set("Octopus.Action.SubstituteInFiles.TargetFiles", "a.bin");
    workspace.set("A", "x");
    let output = workspace.deploy();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("is no text"));
    assert_eq!(workspace.deployed("a.bin"), b"\x00#{A}\xFF");
}
