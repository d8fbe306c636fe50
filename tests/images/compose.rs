//! The evaluation stack.

use std::path::Path;
use std::process::Command;

use crate::client::{API_KEY, Client};
use crate::database::postgres_image;
use crate::engine::{docker, eventually, fresh, repository, seconds, tag};
use crate::quiet::alone;

/// A project of docker-compose in a folder of its own, with the repository's file; taken down with the story.
struct Project {
    name: String,
    folder: tempfile::TempDir,
    files: Vec<String>,
}

impl Project {
    fn new(environment: &str) -> Project {
        postgres_image();
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::copy(
            repository().join("docker-compose.yml"),
            folder.path().join("docker-compose.yml"),
        )
        .expect("a copy");
        if !environment.is_empty() {
            std::fs::write(folder.path().join(".env"), environment).expect("a new file");
        }
        Project {
            name: fresh("stack"),
            folder,
            files: vec!["docker-compose.yml".to_owned()],
        }
    }

    fn file(&mut self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).expect("a new file");
        self.files.push(name.to_owned());
    }

    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new("docker-compose");
        command.current_dir(self.folder.path()).args(["-p", &self.name]);
        self.files.iter().for_each(|file| {
            command.args(["-f", file]);
        });
        let output = command.args(words).output().expect("docker-compose is installed");
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn health(&self, service: &str) -> String {
        let id = self.run(&["ps", "-q", service]);
        docker(&["inspect", "--format", "{{.State.Health.Status}}", id.trim()])
    }

    fn healthy(&self) {
        for service in ["db", "server", "listening", "polling"] {
            eventually(service, seconds(60), || {
                (self.health(service) == "healthy").then_some(())
            });
        }
    }

    fn portal(&self) -> String {
        format!("http://{}", self.run(&["port", "server", "8080"]).trim())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.run(&["logs", "--no-color", "--tail=40"]));
        }
        let mut command = Command::new("docker-compose");
        command
            .current_dir(self.folder.path())
            .args(["-p", &self.name, "-f", "docker-compose.yml"]);
        command
            .args(["down", "--volumes", "--timeout", "2"])
            .output()
            .ok();
    }
}

/// Publishes at any free port, with the administrator that the stories know.
fn environment(more: &str) -> String {
    format!(
        "TAG={}\nPUBLISH_PORT=0\nADMIN_PASSWORD=Corr3ct-horse\nADMIN_API_KEY={API_KEY}\n{more}",
        tag()
    )
}

/// REQ-073, REQ-078: one file, no `.env`, no edit: everything is healthy within a minute, and both targets are in
/// both environments with their roles. The fixed port 5441 is this story's own.
#[test]
fn the_stack_comes_up_without_a_word() {
    let _alone = alone();
    let more = if tag() == "dev" {
        String::new()
    } else {
        format!("TAG={}\n", tag())
    };
    let mut project = Project::new(&more);
    project.name = format!("octopus{}", std::process::id());
    project.run(&["up", "-d"]);
    project.healthy();
    assert_eq!(project.portal(), "http://127.0.0.1:5441");
    let log = project.run(&["logs", "--no-color", "server"]);
    assert!(
        log.to_lowercase().contains("password"),
        "the log tells a generated password: {log}"
    );
    let log = project.run(&["logs", "--no-color", "listening", "polling"]);
    assert_eq!(log.matches("Machine registered successfully").count(), 2, "{log}");
}

/// REQ-076, REQ-077, REQ-079: `.env` supplies administrator and port, the portal renders in a browser, and both
/// targets are healthy with their roles.
#[test]
fn dot_env_supplies_administrator_and_port() {
    let _alone = alone();
    let project = Project::new(&environment("ADMIN_USERNAME=carol\n"));
    project.run(&["up", "-d"]);
    project.healthy();
    let portal = project.portal();
    let client = Client::at(&portal, Some(API_KEY));
    assert_eq!(client.login("carol", "Corr3ct-horse"), 200);
    for (name, role) in [("listening", "web-server"), ("polling", "app-server")] {
        let machine = client.healthy_machine(name);
        assert_eq!(machine["Roles"], serde_json::json!([role]));
        assert_eq!(machine["EnvironmentIds"].as_array().map(Vec::len), Some(2));
    }

    let picture = project.folder.path().join("portal.png");
    let chromium = |words: &[&str]| {
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--window-size=1000,800",
            ])
            .args(words);
        let profile = format!(
            "--user-data-dir={}",
            project.folder.path().join("profile").display()
        );
        let output = command
            .arg(profile)
            .arg(format!("{portal}/"))
            .output()
            .expect("chromium is installed");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let page = chromium(&["--dump-dom"]);
    assert!(
        page.contains("<form") && page.contains("type=\"password\""),
        "{page}"
    );
    chromium(&[&format!("--screenshot={}", picture.display())]);
    assert!(is_painted(&picture), "the picture of the portal is one colour");
}

/// A picture of one colour compresses to almost nothing.
fn is_painted(picture: &Path) -> bool {
    std::fs::metadata(picture).is_ok_and(|file| file.len() > 5_000)
}

/// REQ-075, REQ-076: the database's check is in exec form, and every variable has its line in `.env.example`.
#[test]
fn the_file_is_valid_and_explained() {
    let project = Project::new("");
    let config = project.run(&["config"]);
    let check = config.split("healthcheck:").nth(1).expect("a health check");
    assert!(
        check.contains("- CMD\n") && check.contains("- pg_isready"),
        "{check}"
    );
    let text = std::fs::read_to_string(repository().join("docker-compose.yml")).unwrap();
    let example = std::fs::read_to_string(repository().join(".env.example")).unwrap();
    for part in text.split("${").skip(1) {
        let name: String = part
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let line = format!("{name}=");
        assert!(
            example
                .lines()
                .any(|known| known.trim_start_matches('#').starts_with(&line)),
            "{name}"
        );
    }
}

/// REQ-080: an upgrade is a key and a tag in `.env`.
#[test]
fn an_upgrade_is_two_lines_of_dot_env() {
    let _alone = alone();
    let build = repository().join("tests/images/build");
    let output = Command::new(build)
        .arg("1.2.4")
        .output()
        .expect("the build script runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let project = Project::new(&environment(""));
    project.run(&["up", "-d"]);
    project.healthy();
    let before = Client::at(&project.portal(), Some(API_KEY));
    before.post(
        "/api/Spaces-1/projectgroups",
        &serde_json::json!({"Name": "Kept"}),
    );
    let key = project.run(&["exec", "-T", "server", "mantle", "show-master-key"]);
    let next = environment("").replace(&format!("TAG={}", tag()), "TAG=1.2.4") + &format!("MASTER_KEY={key}");
    std::fs::write(project.folder.path().join(".env"), next).unwrap();
    project.run(&["up", "-d"]);
    project.healthy();
    let after = Client::at(&project.portal(), Some(API_KEY));
    assert_eq!(after.get("/api")["ProductVersion"], "1.2.4");
    assert!(
        after
            .items("/api/Spaces-1/projectgroups/all")
            .iter()
            .any(|group| group["Name"] == "Kept")
    );
    assert_eq!(after.machines().len(), 2);
}

/// REQ-084: secrets of compose are files.
#[test]
fn compose_secrets_work() {
    let _alone = alone();
    let mut project = Project::new(&format!(
        "TAG={}\nPUBLISH_PORT=0\nADMIN_API_KEY={API_KEY}\n",
        tag()
    ));
    std::fs::write(project.folder.path().join("password"), "Corr3ct-horse\n").unwrap();
    project.file(
        "secrets.yml",
        "services:\n  server:\n    environment: {ADMIN_PASSWORD_FILE: /run/secrets/password}\n    secrets: [password]\n\
         secrets:\n  password: {file: ./password}\n",
    );
    project.run(&["up", "-d", "server"]);
    eventually("server", seconds(60), || {
        (project.health("server") == "healthy").then_some(())
    });
    let client = Client::at(&project.portal(), None);
    assert_eq!(client.login("admin", "Corr3ct-horse"), 200);
}
