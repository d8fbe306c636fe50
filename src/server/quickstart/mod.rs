//! `mantle quickstart`: a Server, two agents and a first deployment on this machine, with nothing installed.
//!
//! It uses what everybody uses: the programs with their public commands, and the REST API.

mod agent;
mod client;
mod programs;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use settings::ExitCode;
use tokio::time::Instant;

use agent::{Agent, Mode};
use client::Client;
use programs::{Program, Programs, free_ports};

/// Environments, and the agent that stands in each.
const STAGES: [(&str, &str, Mode); 2] = [
    ("Development", "hello-listening", Mode::Listening),
    ("Test", "hello-polling", Mode::Polling),
];
const ROLE: &str = "web";
const PACKAGE: &str = "Hello.Web";
const VERSION: &str = "1.0.0";
/// Longer than any of its steps takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why the quickstart did not get to its end: what it did, and what failed.
pub(crate) type Failure = String;

/// Runs it. With `once` it ends after the deployments; else it stays until Ctrl-C.
pub async fn run(once: bool) -> ExitCode {
    match story(once).await {
        Ok(true) => ExitCode::Success,
        Ok(false) => ExitCode::Failure,
        Err(failure) => {
            eprintln!("\nThe quickstart stopped: {failure}");
            ExitCode::Failure
        }
    }
}

async fn story(once: bool) -> Result<bool, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("mantle-quickstart-")
        .tempdir()
        .map_err(|error| {
            format!(
                "no folder could be made in {}: {error}.",
                std::env::temp_dir().display()
            )
        })?
        .keep();
    say("Building what is missing");
    let programs = Programs::build().await?;

    say("Starting a Server on the embedded database");
    let ports = free_ports(3)?;
    let (http, communications, listening) = (ports[0], ports[1], ports[2]);
    let password = format!("Q1-{}", security::token::identifier());
    let key = security::api_key::generate();
    let home = folder.join("server");
    let environment = [
        ("HTTP_PORT", http.to_string()),
        ("ADMIN_PASSWORD", password.clone()),
        ("ADMIN_API_KEY", key.expose().to_string()),
        (
            "CREATE_ENVIRONMENTS",
            STAGES.map(|(environment, _, _)| environment).join(","),
        ),
        ("MASTER_KEY_LOG", "first".to_string()),
    ];
    programs
        .run_to_end(
            Program::Server,
            &["prepare", "--home", &text(&home)],
            &environment,
            &folder,
        )
        .await?;
    let arguments = [
        "serve",
        "--home",
        &text(&home),
        "--bind",
        "127.0.0.1",
        "--communications-port",
        &communications.to_string(),
        "--runners",
        &text(&programs.runners),
    ];
    let mut server = programs.start(
        Program::Server,
        &arguments,
        &environment,
        &folder.join("server.log"),
    )?;
    let url = format!("http://127.0.0.1:{http}");
    let client = Client::new(&url, key.expose())?;
    client.wait_until_ready(&mut server, PATIENCE).await?;

    let mut agents = Vec::new();
    for (environment, name, mode) in STAGES {
        say(&format!(
            "Registering the {} Tentacle {name} in {environment}",
            mode.word()
        ));
        let agent = Agent {
            name,
            environment,
            role: ROLE,
            mode,
            home: folder.join(name),
            port: listening,
        };
        let process = agent.start(&programs, &url, communications, key.expose()).await?;
        agents.push((agent, process));
    }

    let deployed = deploy(
        &client,
        &agents.iter().map(|(agent, _)| agent).collect::<Vec<_>>(),
    )
    .await;
    let succeeded = match deployed {
        Ok(succeeded) => succeeded,
        Err(failure) => {
            eprintln!("The logs of the programs are in {}.", folder.display());
            return Err(failure);
        }
    };
    println!(
        "\n  Portal    {url}\n  User      admin\n  Password  {password}\n  Folder    {}",
        folder.display()
    );
    if !once {
        println!("\nEverything stays up until you press Ctrl-C.");
        tokio::signal::ctrl_c()
            .await
            .map_err(|error| format!("Ctrl-C cannot be waited for: {error}."))?;
    }
    for (_, process) in agents {
        process.stop().await;
    }
    server.stop().await;
    Ok(succeeded)
}

/// Project, package, release, and one deployment after the other.
async fn deploy(client: &Client, agents: &[&Agent]) -> Result<bool, Failure> {
    say(&format!("Packing and pushing {PACKAGE} {VERSION}"));
    client
        .push(&format!("{PACKAGE}.{VERSION}.tar.gz"), web_application()?)
        .await?;

    say("Making the project Hello with a script step and a package step");
    let group = client.first("projectgroups").await?;
    let lifecycle = client.first("lifecycles").await?;
    let project = json!({ "Name": "Hello", "ProjectGroupId": group["Id"], "LifecycleId": lifecycle["Id"] });
    let project = client.post("projects", &project).await?;
    let process_path = format!("deploymentprocesses/deploymentprocess-{}", word(&project, "Id")?);
    let mut process = client.get(&process_path).await?;
    process["Steps"] = steps();
    client.put(&process_path, &process).await?;

    say(&format!("Creating release {VERSION}"));
    let release = json!({ "SpaceIdOrName": "Default", "ProjectName": "Hello", "ReleaseVersion": VERSION, "PackageVersion": VERSION });
    client.post("releases/create/v1", &release).await?;

    let mut succeeded = true;
    for agent in agents {
        say(&format!("Deploying to {}", agent.environment));
        let deployment = json!({
            "SpaceIdOrName": "Default",
            "ProjectName": "Hello",
            "ReleaseVersion": VERSION,
            "EnvironmentNames": [agent.environment],
        });
        let answer = client
            .post("deployments/create/untenanted/v1", &deployment)
            .await?;
        let task = word(&answer["DeploymentServerTasks"][0], "ServerTaskId")?;
        let state = client.follow(&task, PATIENCE).await?;
        if state != "Success" {
            eprintln!("{task} ended {state}.");
            succeeded = false;
        }
    }
    println!("\nWhat was deployed where:");
    for agent in agents {
        let page = agent
            .applications()
            .join(agent.environment)
            .join(PACKAGE)
            .join(VERSION)
            .join("index.html");
        let found = if page.is_file() { "is at" } else { "is missing at" };
        succeeded &= page.is_file();
        println!(
            "  {PACKAGE} {VERSION} on {} ({}) {found} {}",
            agent.name,
            agent.environment,
            page.display()
        );
    }
    Ok(succeeded)
}

fn steps() -> Value {
    let targets = json!({ "Octopus.Action.TargetRoles": ROLE });
    json!([
        {
            "Name": "Say hello",
            "Properties": targets,
            "Actions": [{
                "Name": "Say hello",
                "ActionType": "Octopus.Script",
                "Properties": {
                    "Octopus.Action.RunOnServer": "false",
                    "Octopus.Action.Script.ScriptSource": "Inline",
                    "Octopus.Action.Script.Syntax": "Bash",
                    "Octopus.Action.Script.ScriptBody":
                        "echo \"Hello, $(get_octopusvariable \"Octopus.Machine.Name\"). Release #{Octopus.Release.Number} is on its way.\"",
                },
            }],
        },
        {
            "Name": "Deploy the page",
            "Properties": targets,
            "Actions": [{
                "Name": "Deploy the page",
                "ActionType": "Octopus.TentaclePackage",
                "Packages": [{
                    "Name": "",
                    "PackageId": PACKAGE,
                    "FeedId": "feeds-builtin",
                    "AcquisitionLocation": "Server",
                    "Properties": {},
                }],
                "Properties": {
                    "Octopus.Action.Package.PackageId": PACKAGE,
                    "Octopus.Action.Package.FeedId": "feeds-builtin",
                    "Octopus.Action.Package.DownloadOnTentacle": "False",
                },
            }],
        },
    ])
}

/// The small web application that ships with Mantle, as a tar.gz.
fn web_application() -> Result<Vec<u8>, Failure> {
    let files: [(&str, &[u8], u32); 3] = [
        ("index.html", include_bytes!("web/index.html"), 0o644),
        ("style.css", include_bytes!("web/style.css"), 0o644),
        ("PostDeploy.sh", include_bytes!("web/PostDeploy.sh"), 0o755),
    ];
    let packing = |error: std::io::Error| format!("the web application could not be packed: {error}.");
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (name, content, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        archive.append_data(&mut header, name, content).map_err(packing)?;
    }
    archive
        .into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(packing)
}

/// A text member of an answer.
pub(crate) fn word(answer: &Value, member: &str) -> Result<String, Failure> {
    let text = answer[member].as_str().map(str::to_string);
    text.ok_or_else(|| format!("the Server's answer has no {member}: {answer}"))
}

pub(crate) fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

fn say(what: &str) {
    println!("\x1b[1m» {what}\x1b[0m");
}

/// Waits until `test` gives something, asking again in short turns.
pub(crate) async fn until<T>(
    patience: Duration,
    what: &str,
    mut test: impl AsyncFnMut() -> Option<T>,
) -> Result<T, Failure> {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = test().await {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(format!("{what} did not happen within {} s.", patience.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The folder of an agent.
pub(crate) type Home = PathBuf;
