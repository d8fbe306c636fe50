//! A fresh folder in which packages are deployed, and the text of all that happened there.

use crate::pack::{Item, pack};
use calamari::command::{deploy_java_archive, deploy_package};
use calamari::convention::Convention;
use calamari::journal::Journal;
use calamari::log::Log;
use calamari::package_cache::hash_of;
use contracts::ServiceMessage;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer contents are told by their hash.
const LONGEST_SHOWN: usize = 600;

/// The folder, the variables of the next run, and what is known so far.
pub struct Place {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    path: String,
    story: String,
}

/// How a run ended.
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub error: String,
}

impl Place {
    /// A folder with nothing in it, and the variables that every deployment has.
    pub fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().expect("a folder"),
            variables: Vec::new(),
            path: std::env::var("PATH").unwrap_or_default(),
            story: String::new(),
        };
        let applications = place.path("applications").display().to_string();
        place
            .with("Octopus.Action.Name", "Deploy it")
            .with("Octopus.Machine.Name", "web01")
            .with("Octopus.Environment.Name", "Production")
            .with("OctopusRetentionPolicySet", "E/P/S/M")
            .with("Octopus.Tentacle.Agent.ApplicationDirectoryPath", &applications)
    }

    /// A variable; `<work>` in it is the folder.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The same, between two runs.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = value.replace("<work>", &self.folder.path().display().to_string());
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value));
    }

    /// Switches a feature on.
    pub fn feature(mut self, name: &str) -> Self {
        let known = self
            .variables
            .iter()
            .find(|(known, _)| known == "Octopus.Action.EnabledFeatures");
        let features = match known {
            Some((_, features)) => format!("{features},Octopus.Features.{name}"),
            None => format!("Octopus.Features.{name}"),
        };
        self.set("Octopus.Action.EnabledFeatures", &features);
        self
    }

    /// A path below the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, contents).expect("written");
    }

    /// Reads a file.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    /// A program that stands before others of its name.
    pub fn program(&mut self, name: &str, script: &str) {
        let file = format!("bin/{name}");
        self.write(&file, script);
        let permissions = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(&file), permissions).expect("set");
        let bin = self.path("bin").display().to_string();
        if !self.path.starts_with(&bin) {
            self.path = format!("{bin}:{}", self.path);
        }
    }

    /// The command that runs the program with the variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let variables: Vec<_> = self
            .variables
            .iter()
            .map(|(name, value)| json!({"k": name, "v": value}))
            .collect();
        let variables = serde_json::to_vec(&variables).expect("JSON");
        // A run that is going on may be reading it.
        if std::fs::read(self.path("variables.json")).ok().as_ref() != Some(&variables) {
            self.write("variables.json", variables);
        }
        // Files have the modes that most systems give them, whatever the tests are started with.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "umask 022 && exec \"$@\"",
                "sh",
                env!("CARGO_BIN_EXE_calamari"),
            ])
            .args(arguments)
            .arg("--variables=variables.json")
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .env("HOME", self.path("home"))
            .env("TentacleHome", self.path("agent"))
            .env("TentacleJournal", self.path("agent/DeploymentJournal.xml"));
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        std::fs::create_dir_all(self.path("agent")).expect("made");
        outcome(self.command(arguments))
    }

    /// Makes a package and deploys it; all of it goes into the story.
    pub fn deploy(&mut self, package: &str, items: &[Item<'_>]) -> Outcome {
        let mut names: Vec<&str> = items.iter().map(|item| item.name()).collect();
        names.sort_unstable();
        let contents = names.iter().map(|name| shown(name)).collect();
        self.deploy_and_tell(package, &pack(package, items), contents)
    }

    /// Deploys a package as it is; all of it goes into the story.
    pub fn deploy_bytes(&mut self, package: &str, bytes: &[u8]) -> Outcome {
        self.deploy_and_tell(package, bytes, Vec::new())
    }

    fn deploy_and_tell(&mut self, package: &str, bytes: &[u8], contents: Vec<String>) -> Outcome {
        self.prepare(package, bytes, contents);
        self.tell_run(&["deploy-package", "--package", package])
    }

    /// Makes a Java archive and deploys it with the command for such; all of it goes into the story.
    pub fn deploy_archive(&mut self, archive: &str, items: &[Item<'_>]) -> Outcome {
        let bytes = pack(archive, items);
        self.write(archive, &bytes);
        let mut entries = Vec::new();
        list(&self.path(archive), "", &mut entries);
        self.prepare(archive, &bytes, entries);
        self.tell_run(&["deploy-java-archive", "--archive", archive])
    }

    fn prepare(&mut self, package: &str, bytes: &[u8], contents: Vec<String>) {
        self.write(package, bytes);
        let name = versioning::PackageFileName::parse(package).expect("the name of a package");
        let about = "Octopus.Action.Package[]";
        self.set(&format!("{about}.PackageId"), &name.package_id);
        self.set(&format!("{about}.PackageVersion"), &name.version.to_string());
        self.set(&format!("{about}.OriginalPath"), &format!("<work>/{package}"));
        self.tell(&format!("package {package}"), contents.into_iter());
        self.tell_tree("before");
    }

    /// Runs the program; what it did goes into the story.
    pub fn tell_run(&mut self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        let lines: Vec<String> = outcome.output.lines().map(str::to_owned).collect();
        self.tell(
            &format!("{} ended with {}", arguments[0], outcome.code),
            outcome.error.lines().map(str::to_owned),
        );
        let stages: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("Stage: "))
            .collect();
        if !stages.is_empty() {
            let list: &[Convention] = match arguments[0] {
                "deploy-java-archive" => &deploy_java_archive::INSTALL,
                _ => &deploy_package::INSTALL,
            };
            self.tell("stages", described(&stages, list).into_iter());
        }
        let outputs: Vec<String> = lines
            .iter()
            .flat_map(|line| ServiceMessage::find(line))
            .filter_map(|found| found.message)
            .filter(|message| message.name == "setVariable")
            .map(|message| {
                let attribute = |name| message.get(name).unwrap_or_default().to_owned();
                format!("{} = {}", attribute("name"), attribute("value"))
            })
            .collect();
        self.tell("output", outputs.into_iter());
        self.tell_tree("after");
        self.tell_journal();
        outcome
    }

    /// Compares the story with the one that is kept.
    pub fn is_golden(&self, name: &str) {
        let story = self
            .story
            .replace(&self.folder.path().display().to_string(), "<work>");
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("golden/tree")
            .join(format!("{name}.txt"));
        if std::env::var("MANTLE_GOLDEN").is_ok_and(|value| value == "write") {
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(&file, &story).expect("written");
            return;
        }
        let kept = std::fs::read_to_string(&file).expect("a golden file; MANTLE_GOLDEN=write makes it");
        assert!(
            kept == story,
            "{} says\n{kept}\nbut what happened is\n{story}",
            file.display()
        );
    }

    fn tell(&mut self, heading: &str, lines: impl Iterator<Item = String>) {
        writeln!(self.story, "{heading}").expect("a String takes everything");
        for line in lines {
            writeln!(self.story, "  {line}").expect("a String takes everything");
        }
    }

    fn tell_tree(&mut self, heading: &str) {
        let mut lines = Vec::new();
        for name in ["applications", "site", "staging"] {
            if self.path(name).exists() {
                tree(&self.path(name), name, &mut lines);
            }
        }
        self.tell(heading, lines.into_iter());
    }

    fn tell_journal(&mut self) {
        let journal = Journal::at(self.path("agent/DeploymentJournal.xml"));
        let log = Log::new(std::io::sink(), std::io::sink());
        let lines: Vec<String> = journal
            .entries(&log)
            .expect("a journal")
            .iter()
            .map(|entry| {
                let package = entry.packages.first();
                format!(
                    "{} {} to {} and {}",
                    package.map_or("no package", |package| package.version.as_str()),
                    if entry.was_successful {
                        "deployed"
                    } else {
                        "failed"
                    },
                    entry.extracted_to,
                    entry.custom_installation_directory
                )
            })
            .collect();
        self.tell("journal", lines.into_iter());
    }
}

/// The stages that were logged: how far the list of a deployment was followed, and what came then. The list itself is kept
/// and compared elsewhere.
fn described(stages: &[&str], list: &[Convention]) -> Vec<String> {
    let followed = stages
        .iter()
        .zip(list)
        .take_while(|(stage, listed)| **stage == listed.name)
        .count();
    let first = match followed {
        all if all == list.len() => "the whole list".to_owned(),
        0 => "nothing of the list".to_owned(),
        some => format!("the list up to {}", list[some - 1].name),
    };
    let rest = stages[followed..].iter().map(|stage| format!("then {stage}"));
    std::iter::once(first).chain(rest).collect()
}

/// Runs a command to its end.
pub fn outcome(mut command: Command) -> Outcome {
    let output = command.output().expect("started");
    Outcome {
        code: output.status.code().expect("ended by itself"),
        output: String::from_utf8(output.stdout).expect("text"),
        error: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A line for each file, link and empty folder.
fn tree(folder: &Path, name: &str, lines: &mut Vec<String>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable"))
        .collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    if entries.is_empty() {
        lines.push(format!("{}/", shown(name)));
    }
    for entry in entries {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            tree(&entry.path(), &name, lines);
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).expect("a link");
            lines.push(format!("{} -> {}", shown(&name), target.display()));
        } else if name.ends_with(".war") {
            let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
            lines.push(format!("{} {mode:o} with", shown(&name)));
            list(&entry.path(), "  ", lines);
        } else {
            let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
            let text = match String::from_utf8(std::fs::read(entry.path()).expect("a file")) {
                Ok(text) if text.len() <= LONGEST_SHOWN => shown(&text),
                _ => format!("with SHA-1 {}", hash_of(&entry.path()).expect("a hash")),
            };
            lines.push(format!("{} {mode:o} {text}", shown(&name)));
        }
    }
}

/// A line for each entry of a Java archive, in its order: not the archive as a whole, whose entries have the time of day.
fn list(archive: &Path, indent: &str, lines: &mut Vec<String>) {
    let file = std::fs::File::open(archive).expect("an archive");
    let mut archive = zip::ZipArchive::new(file).expect("a zip");
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        let name = entry.name().expect("a name").into_owned();
        let mode = entry.unix_mode().unwrap_or_default() & 0o777;
        let method = entry.compression();
        lines.push(format!(
            "{indent}{} {mode:o} {method:?} {}",
            shown(&name),
            shown(&text)
        ));
    }
}

/// A text in one line.
fn shown(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\r', "\\r")
        .replace('\n', "\\n")
}
