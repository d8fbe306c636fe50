//! Stories of Java archives, which are built again after their files were changed.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Workspace {
    folder: tempfile::TempDir,
    variables: Vec<Value>,
}

impl Workspace {
    fn new() -> Self {
        let mut workspace = Self {
            folder: tempfile::tempdir().expect("a folder"),
            variables: Vec::new(),
        };
        let applications = workspace.path("applications").display().to_string();
        workspace.set("Octopus.Tentacle.Agent.ApplicationDirectoryPath", &applications);
        workspace.set("Octopus.Action.Package[].PackageId", "shop");
        let mut archive = zip::ZipWriter::new(File::create(workspace.path("shop.1.0.war")).expect("created"));
        for (name, text) in [
            ("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"),
            ("WEB-INF/web.xml", "<web-app/>"),
            ("PreDeploy.sh", "echo changed > WEB-INF/web.xml"),
        ] {
            archive
                .start_file(name, zip::write::SimpleFileOptions::default())
                .expect("started");
            archive.write_all(text.as_bytes()).expect("written");
        }
        archive.finish().expect("finished");
        workspace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push(json!({"k": name, "v": value}));
    }

    fn deploy(&self) -> Output {
        let text = serde_json::to_vec(&self.variables).expect("JSON");
        std::fs::write(self.path("variables.json"), text).expect("written");
        Command::new(env!("CARGO_BIN_EXE_calamari"))
            .args([
                "deploy-java-archive",
                "--archive=shop.1.0.war",
                "--variables=variables.json",
            ])
            .current_dir(self.folder.path())
            .env("TentacleJournal", self.path("journal.xml"))
            .output()
            .expect("started")
    }
}

fn entries(archive: &Path) -> Vec<(String, String)> {
    let mut archive = zip::ZipArchive::new(File::open(archive).expect("there")).expect("a zip");
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            (entry.name().expect("a name").into_owned(), text)
        })
        .collect()
}

const CHANGED: [(&str, &str); 2] = [
    ("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"),
    ("WEB-INF/web.xml", "changed\n"),
];

fn changed() -> Vec<(String, String)> {
    CHANGED
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .to_vec()
}

#[test]
fn an_archive_is_changed_and_built_again_under_the_name_that_the_step_gives() {
    let mut workspace = Workspace::new();
    workspace.set("Octopus.Action.Package.CustomPackageFileName", "ROOT.war");
    let site = workspace.path("site").display().to_string();
    workspace.set("Octopus.Action.Package.CustomInstallationDirectory", &site);
    let output = workspace.deploy();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert_eq!(
        entries(&workspace.path("applications/shop/1.0/ROOT.war")),
        changed()
    );
    assert_eq!(entries(&workspace.path("site/ROOT.war")), changed());
    let journal = std::fs::read_to_string(workspace.path("journal.xml")).expect("a journal");
    assert!(journal.contains("applications/shop/1.0\""), "{journal}");
    let again = workspace.deploy();
    assert!(again.status.success());
    assert!(workspace.path("applications/shop/1.0_1/ROOT.war").exists());
}

#[test]
fn an_archive_stays_unpacked_or_as_it_is_when_the_step_says_so() {
    let mut exploded = Workspace::new();
    exploded.set("Octopus.Action.JavaArchive.DeployExploded", "True");
    assert!(exploded.deploy().status.success());
    assert_eq!(
        std::fs::read_to_string(exploded.path("applications/shop/1.0/WEB-INF/web.xml")).expect("text"),
        "changed\n"
    );
    let mut unchanged = Workspace::new();
    unchanged.set("Octopus.Action.Java.JavaArchiveExtractionDisabled", "True");
    assert!(unchanged.deploy().status.success());
    assert_eq!(
        std::fs::read(unchanged.path("applications/shop/1.0/shop.1.0.war")).expect("a file"),
        std::fs::read(unchanged.path("shop.1.0.war")).expect("a file")
    );
}
