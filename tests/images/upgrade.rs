//! From one tag to the next, as the documentation says.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::client::{API_KEY, Client, text};
use crate::database::{load, postgres, text_for};
use crate::deployment::sensitive_project;
use crate::engine::{
    Container, Network, Run, Volume, docker, fresh, repository, seconds, server_image, shared_folder,
};
use crate::quiet::{alone, together};
use crate::stack::Stack;
use crate::volume::package;

/// The image under test as another version: a build argument of Dockerfile.server, and nothing else, tells them apart.
fn tag_as(version: &str) {
    let recipe = format!("FROM {}\nENV MANTLE_VERSION={version}\n", server_image());
    let mut building = Command::new("docker")
        .args([
            "build",
            "--quiet",
            "--tag",
            &format!("mantle/server:{version}"),
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker runs");
    let mut pipe = building.stdin.take().expect("it is piped");
    pipe.write_all(recipe.as_bytes()).expect("docker reads");
    drop(pipe);
    let built = building.wait_with_output().expect("it ends");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
}

/// REQ-041: the commands of README.md, word for word but for names, port and tags.
#[test]
fn the_documented_upgrade_works_word_for_word() {
    let _alone = alone();
    tag_as("1.2.3");
    tag_as("1.2.4");
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    let block = readme
        .split("```")
        .find(|block| block.contains("docker rm mantle-server"));
    let block = block.expect("README.md has a block with `docker rm mantle-server`, the documented upgrade");
    let script = block.split_once('\n').expect("the line of the language").1;
    assert!(
        script.contains("docker stop mantle-server") && script.contains("MASTER_KEY"),
        "{script}"
    );
    let (container, volume) = (
        Container {
            name: fresh("upgrade"),
        },
        Volume::new(),
    );
    let adapt = |text: &str| {
        let text = text
            .replace("mantle-server", &container.name)
            .replace("mantle-data", &volume.0);
        text.replace("127.0.0.1:5441:8080", "127.0.0.1::8080")
    };
    let first = format!(
        "docker run -d --name mantle-server -p 127.0.0.1:5441:8080 -v mantle-data:/data \
         -e ADMIN_PASSWORD=Corr3ct-horse -e ADMIN_API_KEY={API_KEY} mantle/server:1.2.3"
    );
    run(&adapt(&first));
    let client = Client::of(&container);
    client.post("/api/Spaces-1/projectgroups", &json!({"Name": "Kept"}));
    run(&adapt(script));
    assert_eq!(container.inspect("{{.Config.Image}}"), "mantle/server:1.2.4");
    let client = Client::of(&container);
    assert_eq!(client.get("/api")["ProductVersion"], "1.2.4");
    let groups = client.items("/api/Spaces-1/projectgroups/all");
    assert!(groups.iter().any(|group| group["Name"] == "Kept"), "{groups:?}");
}

fn run(script: &str) {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// REQ-006, REQ-016, REQ-035, REQ-043: a new container with a new image on the same volumes keeps projects,
/// packages and logs, and a sensitive variable is still usable.
#[test]
fn a_new_image_keeps_everything() {
    let _together = together();
    let volumes: Vec<(Volume, &str)> = ["/data", "/repository", "/artifacts", "/taskLogs"]
        .map(|path| (Volume::new(), path))
        .into();
    let mount = |run| {
        volumes
            .iter()
            .fold(run, |run: crate::engine::Run, (volume, path)| {
                run.mount(&volume.0, path)
            })
    };
    let stack = Stack::with(mount);
    let _agent = stack.listening("web01").start();
    stack.client.healthy_machine("web01");
    let content = package("index.html", "kept");
    stack.client.push("Acme.Web.1.0.0.zip", content.clone());
    let (project, hash) = sensitive_project(&stack.client);
    let task = stack.client.deploy(&project, "1.0.0", "Dev", &json!([]));
    let log = stack.client.task(&task, "Success", seconds(60));
    let key = stack.server.exec(&["mantle", "show-master-key"]);
    let Stack { server, network, .. } = stack;
    server.stop();
    docker(&["rm", "--force", &server.name]);

    let stack = Stack::on(network, |run| mount(run).env("MASTER_KEY", &key));
    let client = &stack.client;
    assert!(
        client
            .items("/api/Spaces-1/projects/all")
            .iter()
            .any(|found| text(&found["Id"]) == project)
    );
    assert_eq!(client.text(&format!("/api/tasks/{task}/raw")), log);
    let raw = client
        .try_get("/api/Spaces-1/packages/packages-Acme.Web.1.0.0/raw")
        .expect("an answer");
    assert_eq!(raw.bytes().expect("the package"), content);
    client.healthy_machine("web01");
    let task = client.deploy(&project, "1.0.1", "Dev", &json!([]));
    assert!(client.task(&task, "Success", seconds(60)).contains(&hash));
}

/// The API key of the databases in `tests/fixtures/schema`.
const KEPT_KEY: &str = "API-STORYSTORYSTORYSTORY1";
/// The SHA-256 of the sensitive variable in them.
const KEPT_SECRET: &str = "a2a731ae5776a549c0d36b70e4aaa73eadc590384ebefe0e57d715948e29c224";

/// The kept databases of all schemas so far: each a folder with its master key.
fn kept() -> Vec<PathBuf> {
    let folder = repository().join("tests/fixtures/schema");
    let entries = std::fs::read_dir(folder).expect("the kept databases");
    let mut found: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    assert!(!found.is_empty());
    found
}

fn unpacked(file: PathBuf) -> Vec<u8> {
    let output = Command::new("gzip")
        .arg("-dc")
        .arg(&file)
        .output()
        .expect("gzip runs");
    assert!(output.status.success(), "{}", file.display());
    output.stdout
}

/// A Server of today with the key of a kept database; nothing else is told to it.
fn server_of(kept: &std::path::Path) -> Run {
    let key = std::fs::read_to_string(kept.join("master_key")).expect("the master key");
    Run::new(&server_image())
        .publish(8080)
        .env("MASTER_KEY", key.trim())
}

/// What was there is there, and a sensitive variable is used by a new deployment.
fn goes_on(server: &Container) {
    server.healthy(seconds(60));
    let client = Client::at(&format!("http://{}", server.address(8080)), Some(KEPT_KEY));
    let projects = client.items("/api/Spaces-1/projects/all");
    assert!(
        projects.iter().any(|project| project["Name"] == "Kept"),
        "{projects:?}"
    );
    assert_eq!(client.machine("kept01")["Name"], "kept01");
    let packages = client.items("/api/Spaces-1/packages");
    assert_eq!(packages[0]["PackageId"], "Kept.Web");
    assert_eq!(client.login("admin", "Corr3ct-horse"), 200);
    let task = client.deploy_release("Releases-1", "Test");
    assert!(client.task(&task, "Success", seconds(60)).contains(KEPT_SECRET));
}

/// REQ-043: embedded databases of every schema so far open in today's image, and are copied before they change.
#[test]
fn embedded_databases_of_all_schemas_open() {
    let _together = together();
    for kept in kept() {
        let data = shared_folder();
        let file = data.path().join("mantle.db");
        std::fs::write(&file, unpacked(kept.join("mantle.db.gz"))).expect("our own folder");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o660))
            .expect("our own file");
        let server = server_of(&kept)
            .mount(data.path().to_str().expect("text"), "/data")
            .start();
        goes_on(&server);
        let copies = std::fs::read_dir(data.path()).expect("our own folder");
        let copies = copies.filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().starts_with("mantle.db.schema-")
        });
        assert_eq!(copies.count(), 1, "of {}", kept.display());
    }
}

/// REQ-043: the same on PostgreSQL.
#[test]
fn postgres_databases_of_all_schemas_open() {
    let _together = together();
    for kept in kept() {
        let network = Network::new();
        let database = postgres(&network).start();
        load(&database, &unpacked(kept.join("postgres.sql.gz")));
        let server = server_of(&kept)
            .on(&network)
            .env("SqlDbConnectionString", &text_for("mantle"))
            .start();
        goes_on(&server);
        drop((server, database));
    }
}
