//! A Server with two agents in one environment, and a project for them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use storage::Location;
use tempfile::TempDir;
use tests::database::TestDatabase;

use crate::agent::{Agent, Mode, ServerAddress};
use crate::program::{Process, runners};

/// The key of the administrator.
const KEY: &str = "API-STORYSTORYSTORYSTORY1";
/// Longer than anything in a story takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs of a story.
pub struct Stack {
    /// Its folder.
    pub folder: TempDir,
    /// Its agents, `one` listening and `two` polling.
    pub agents: Vec<Agent>,
    /// Settings that the Server has from its next start on, besides those that every story needs.
    pub settings: Vec<(&'static str, String)>,
    address: ServerAddress,
    /// The URL of the database; none: the embedded one.
    database: Option<String>,
    server: Option<Process>,
    http: reqwest::Client,
}

impl Stack {
    /// Starts everything on the embedded database. Both agents have been found by a health check.
    pub async fn start() -> Self {
        Self::with_agents(None, &[("one", Mode::Listening), ("two", Mode::Polling)]).await
    }

    /// Starts a Server on PostgreSQL with a listening agent.
    pub async fn on(database: &TestDatabase) -> Self {
        let Location::Postgres(url) = &database.location else {
            panic!("this story is about PostgreSQL")
        };
        Self::with_agents(Some(url.clone()), &[("one", Mode::Listening)]).await
    }

    async fn with_agents(database: Option<String>, agents: &[(&'static str, Mode)]) -> Self {
        let mut stack = Self::server_on(database).await;
        let ports = free_ports(1);
        for &(name, mode) in agents {
            let home = stack.folder.path().join(name);
            let mut agent = Agent::register(name, mode, home, &stack.address, ports[0]);
            agent.start();
            stack.agents.push(agent);
        }
        let count = agents.len();
        stack
            .until("the health of all machines is known", async |stack: &Stack| {
                let machines = stack.get("machines").await;
                let known = |machine: &Value| {
                    matches!(machine["HealthStatus"].as_str(), Some("Healthy" | "HasWarnings"))
                };
                machines["Items"]
                    .as_array()
                    .is_some_and(|all| all.len() == count && all.iter().all(known))
            })
            .await;
        stack
    }

    /// Starts the Server alone, with the environment `Story`.
    pub async fn without_agents() -> Self {
        Self::server_on(None).await
    }

    async fn server_on(database: Option<String>) -> Self {
        let ports = free_ports(2);
        let address = ServerAddress {
            url: format!("http://127.0.0.1:{}", ports[0]),
            communications: ports[1],
            key: KEY.into(),
        };
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client needs no more");
        let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
        let mut stack = Self {
            folder,
            agents: Vec::new(),
            settings: Vec::new(),
            address,
            database,
            server: None,
            http,
        };
        stack.start_server(None).await;
        stack
    }

    /// Starts the Server, dying at a fail point if one is given.
    pub async fn start_server(&mut self, fail_points: Option<&str>) {
        self.server = Some(self.serve("first", fail_points).await);
    }

    /// Starts another Server on the same database and volumes, talks to it from now on, and gives the former one.
    pub async fn replace_server(&mut self, name: &str) -> Process {
        let ports = free_ports(2);
        self.address.url = format!("http://127.0.0.1:{}", ports[0]);
        self.address.communications = ports[1];
        let next = self.serve(name, None).await;
        self.server.replace(next).expect("the Server was started")
    }

    async fn serve(&self, name: &str, fail_points: Option<&str>) -> Process {
        let port = self.address.url.rsplit(':').next().unwrap_or_default().to_owned();
        let mut environment = vec![
            ("HTTP_PORT", port),
            ("ADMIN_PASSWORD", "Story-Password-1".into()),
            ("ADMIN_API_KEY", KEY.into()),
            ("CREATE_ENVIRONMENTS", "Story".into()),
        ];
        if let Some(url) = &self.database {
            environment.extend([
                ("DB_CONNECTION_STRING", url.clone()),
                ("OCTOPUS_SERVER_NODE_NAME", name.into()),
            ]);
        }
        environment.extend(self.settings.clone());
        environment.extend(fail_points.map(|points| ("FAILPOINTS", points.to_owned())));
        let home = self.folder.path().join("server");
        let words = [
            home.display().to_string(),
            self.address.communications.to_string(),
            runners().display().to_string(),
        ];
        let output = self.folder.path().join("server.log");
        let mut server = Process::start("server", &words, &environment, &output);
        let ready = format!("{}/healthz/ready", self.address.url);
        let end = Instant::now() + PATIENCE;
        while !self
            .http
            .get(&ready)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            assert!(server.is_running(), "the Server ended: {}", self.said());
            assert!(Instant::now() < end, "the Server is not ready: {}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    /// The Server's process.
    pub fn server(&mut self) -> &mut Process {
        self.server.as_mut().expect("the Server was started")
    }

    /// Waits until the Server has ended by itself.
    pub async fn server_has_died(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.server().is_running() {
            assert!(Instant::now() < end, "the Server did not die");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the Server said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// A resource of the space.
    pub async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Puts JSON.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.send(Method::PUT, path, Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.said()));
        let status = answer.status();
        let text = answer.text().await.expect("an answer has an end");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// A request of the administrator.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/Spaces-1/{path}", self.address.url);
        self.http.request(method, url).header("X-Octopus-ApiKey", KEY)
    }

    /// Makes a project with these steps and gives its id.
    pub async fn project(&self, name: &str, steps: Value) -> String {
        let group = self.get("projectgroups").await["Items"][0]["Id"].clone();
        let lifecycle = self.get("lifecycles").await["Items"][0]["Id"].clone();
        let project = self
            .post(
                "projects",
                json!({ "Name": name, "ProjectGroupId": group, "LifecycleId": lifecycle }),
            )
            .await;
        let id = word(&project["Id"]);
        self.set_steps(&id, steps).await;
        id
    }

    /// Replaces the steps of a project.
    pub async fn set_steps(&self, project: &str, steps: Value) {
        let path = format!("deploymentprocesses/deploymentprocess-{project}");
        let mut process = self.get(&path).await;
        process["Steps"] = steps;
        self.put(&path, process).await;
    }

    /// Replaces the variables of a project.
    pub async fn set_variables(&self, project: &str, variables: Value) {
        let path = format!("variables/variableset-{project}");
        let mut set = self.get(&path).await;
        set["Variables"] = variables;
        self.put(&path, set).await;
    }

    /// Makes a release of a project.
    pub async fn release(&self, project: &str, version: &str) {
        let body = json!({
            "SpaceIdOrName": "Default", "ProjectName": project, "ReleaseVersion": version, "PackageVersion": version,
        });
        self.post("releases/create/v1", body).await;
    }

    /// Deploys a release and gives the id of the task.
    pub async fn deploy(&self, project: &str, version: &str) -> String {
        let body = json!({
            "SpaceIdOrName": "Default", "ProjectName": project, "ReleaseVersion": version, "EnvironmentNames": ["Story"],
        });
        let answer = self.post("deployments/create/untenanted/v1", body).await;
        word(&answer["DeploymentServerTasks"][0]["ServerTaskId"])
    }

    /// Deploys to one of the machines.
    pub async fn deploy_to(&self, machine: &str, project: &str, version: &str) -> String {
        let body = json!({
            "SpaceIdOrName": "Default", "ProjectName": project, "ReleaseVersion": version, "EnvironmentNames": ["Story"],
            "SpecificMachineNames": [machine],
        });
        let answer = self.post("deployments/create/untenanted/v1", body).await;
        word(&answer["DeploymentServerTasks"][0]["ServerTaskId"])
    }

    /// Waits until a task has ended and gives it.
    pub async fn ended(&self, task: &str) -> Value {
        let path = format!("tasks/{task}");
        self.until(&format!("{task} ends"), async |stack: &Stack| {
            stack.get(&path).await["IsCompleted"] == true
        })
        .await;
        self.get(&path).await
    }

    /// The log of a task as text.
    pub async fn log(&self, task: &str) -> String {
        let answer = self
            .request(Method::GET, &format!("tasks/{task}/raw"))
            .send()
            .await
            .expect("the Server answers");
        answer.text().await.expect("an answer has an end")
    }

    /// Waits until a task has ended with success.
    pub async fn succeeds(&self, task: &str) {
        self.succeeds_within(task, PATIENCE).await;
    }

    /// Waits longer.
    pub async fn succeeds_within(&self, task: &str, patience: Duration) {
        let (path, end) = (format!("tasks/{task}"), Instant::now() + patience);
        while Instant::now() < end && self.get(&path).await["IsCompleted"] != true {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ended = self.get(&path).await;
        assert_eq!(
            ended["State"],
            "Success",
            "{}\n{}",
            self.log(task).await,
            self.said()
        );
    }

    /// Waits for something.
    pub async fn until(&self, what: &str, mut is_so: impl AsyncFnMut(&Stack) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self).await {
            assert!(
                Instant::now() < end,
                "it took too long until {what}\n{}",
                self.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A file in the folder of the story.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A step that runs a bash script on the machines.
pub fn script_step(name: &str, body: &str) -> Value {
    json!({
        "Name": name,
        "Properties": { "Octopus.Action.TargetRoles": "web" },
        "Actions": [{
            "Name": name,
            "ActionType": "Octopus.Script",
            "Properties": {
                "Octopus.Action.RunOnServer": "false",
                "Octopus.Action.Script.ScriptSource": "Inline",
                "Octopus.Action.Script.Syntax": "Bash",
                "Octopus.Action.Script.ScriptBody": body,
            },
        }],
    })
}

/// The lines of a file; none when it is not there.
pub fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A text in an answer.
pub fn word(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

fn free_ports(count: usize) -> Vec<u16> {
    let sockets: Vec<_> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free"))
        .collect();
    sockets
        .iter()
        .map(|socket| socket.local_addr().expect("it has an address").port())
        .collect()
}
