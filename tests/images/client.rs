//! The REST API as a client sees it.

use std::time::Duration;

use reqwest::blocking::{Client as Http, Response};
use serde_json::{Value, json};

use crate::engine::{Container, eventually, seconds};

/// The administrator's key in every story that needs one.
pub const API_KEY: &str = "API-STORYSTORYSTORYSTORYSTORY01";

/// Somebody who talks to one Server.
pub struct Client {
    http: Http,
    base: String,
    key: Option<String>,
}

impl Client {
    /// With the key of the stories, to the published port of a Server's container, once it answers.
    pub fn of(server: &Container) -> Client {
        Client::at(&format!("http://{}", server.address(8080)), Some(API_KEY))
    }

    /// To any address; waits until it answers.
    pub fn at(base: &str, key: Option<&str>) -> Client {
        let http = http();
        let client = Client {
            http,
            base: base.to_owned(),
            key: key.map(str::to_owned),
        };
        eventually(&format!("{base}/api answers"), seconds(30), || {
            client.try_get("/api").filter(|r| r.status() == 200)
        });
        client
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::blocking::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.header("X-Octopus-ApiKey", key),
            None => request,
        }
    }

    /// The answer, whatever its status, if there is one.
    pub fn try_get(&self, path: &str) -> Option<Response> {
        self.request(reqwest::Method::GET, path).send().ok()
    }

    /// The status of a GET.
    pub fn status(&self, path: &str) -> u16 {
        self.try_get(path)
            .map_or(0, |response| response.status().as_u16())
    }

    /// A JSON document.
    pub fn get(&self, path: &str) -> Value {
        let response = self
            .try_get(path)
            .unwrap_or_else(|| panic!("GET {path}: no answer"));
        read(path, response)
    }

    /// A text.
    pub fn text(&self, path: &str) -> String {
        let response = self
            .try_get(path)
            .unwrap_or_else(|| panic!("GET {path}: no answer"));
        assert!(
            response.status().is_success(),
            "GET {path}: {}",
            response.status()
        );
        response.text().expect("a body")
    }

    /// Creates.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        read(path, self.send(reqwest::Method::POST, path, body))
    }

    /// Replaces.
    pub fn put(&self, path: &str, body: &Value) -> Value {
        read(path, self.send(reqwest::Method::PUT, path, body))
    }

    /// Sends a document and takes any answer.
    pub fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> Response {
        self.request(method, path)
            .json(body)
            .send()
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Signs in; the status of the answer.
    pub fn login(&self, username: &str, password: &str) -> u16 {
        let body = json!({"Username": username, "Password": password});
        let request = self
            .http
            .post(format!("{}/api/users/login", self.base))
            .json(&body);
        request.send().expect("an answer").status().as_u16()
    }

    /// Pushes a package and tells its resource.
    pub fn push(&self, file: &str, content: Vec<u8>) -> Value {
        let part = reqwest::blocking::multipart::Part::bytes(content).file_name(file.to_owned());
        let form = reqwest::blocking::multipart::Form::new().part("file", part);
        let path = "/api/Spaces-1/packages/raw";
        read(
            path,
            self.request(reqwest::Method::POST, path)
                .multipart(form)
                .send()
                .expect("an answer"),
        )
    }

    /// The items of a collection.
    pub fn items(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path);
        let items = answer.as_array().or(answer["Items"].as_array());
        items
            .unwrap_or_else(|| panic!("{path} is no collection: {answer}"))
            .clone()
    }

    /// All machines.
    pub fn machines(&self) -> Vec<Value> {
        self.items("/api/Spaces-1/machines/all")
    }

    /// The machine of a name, once it is there.
    pub fn machine(&self, name: &str) -> Value {
        eventually(&format!("machine {name}"), seconds(30), || {
            self.machines()
                .into_iter()
                .find(|machine| machine["Name"] == name)
        })
    }

    /// The machine of a name, once its health check has passed.
    pub fn healthy_machine(&self, name: &str) -> Value {
        eventually(&format!("machine {name} is healthy"), seconds(40), || {
            let machine = self.machine(name);
            let status = machine["HealthStatus"].as_str().unwrap_or_default();
            matches!(status, "Healthy" | "HasWarnings").then_some(machine)
        })
    }

    /// An environment's id by its name.
    pub fn environment(&self, name: &str) -> String {
        let all = self.items("/api/Spaces-1/environments/all");
        let found = all.iter().find(|environment| environment["Name"] == name);
        text(&found.unwrap_or_else(|| panic!("environment {name} is not among {all:?}"))["Id"])
    }

    /// A project with one script step on the targets of a role; its id.
    pub fn script_project(&self, name: &str, role: &str, script: &str) -> String {
        let properties = script_properties(script);
        self.project(
            name,
            role,
            json!({"Name": "Run", "ActionType": "Octopus.Script", "Properties": properties}),
        )
    }

    /// A project with one step of this action; its id.
    pub fn project(&self, name: &str, role: &str, action: Value) -> String {
        let group = text(&self.items("/api/Spaces-1/projectgroups/all")[0]["Id"]);
        let lifecycle = text(&self.items("/api/Spaces-1/lifecycles/all")[0]["Id"]);
        let body = json!({"Name": name, "ProjectGroupId": group, "LifecycleId": lifecycle});
        let project = self.post("/api/Spaces-1/projects", &body);
        let path = format!(
            "/api/Spaces-1/deploymentprocesses/{}",
            text(&project["DeploymentProcessId"])
        );
        let mut process = self.get(&path);
        process["Steps"] = json!([{
            "Name": "Run",
            "Properties": {"Octopus.Action.TargetRoles": role},
            "Actions": [action],
        }]);
        self.put(&path, &process);
        text(&project["Id"])
    }

    /// Releases and deploys a project; the id of the task.
    pub fn deploy(&self, project: &str, version: &str, environment: &str, packages: &Value) -> String {
        let channels = self.items(&format!("/api/Spaces-1/projects/{project}/channels"));
        let release = json!({
            "ProjectId": project,
            "ChannelId": channels[0]["Id"],
            "Version": version,
            "SelectedPackages": packages,
        });
        let release = self.post("/api/Spaces-1/releases", &release);
        self.deploy_release(&text(&release["Id"]), environment)
    }

    /// Deploys a release; the id of the task.
    pub fn deploy_release(&self, release: &str, environment: &str) -> String {
        let body = json!({"ReleaseId": release, "EnvironmentId": self.environment(environment)});
        text(&self.post("/api/Spaces-1/deployments", &body)["TaskId"])
    }

    /// Waits for a task's end and expects a state; its log.
    pub fn task(&self, id: &str, state: &str, limit: Duration) -> String {
        let task = eventually(&format!("{id} ends"), limit, || {
            let task = self.get(&format!("/api/tasks/{id}"));
            (task["IsCompleted"] == true).then_some(task)
        });
        let log = self.text(&format!("/api/tasks/{id}/raw"));
        assert_eq!(task["State"], state, "{id}: {}\n{log}", task["ErrorMessage"]);
        log
    }
}

/// The properties of an inline Bash script.
pub fn script_properties(script: &str) -> Value {
    json!({
        "Octopus.Action.RunOnServer": "false",
        "Octopus.Action.Script.ScriptSource": "Inline",
        "Octopus.Action.Script.Syntax": "Bash",
        "Octopus.Action.Script.ScriptBody": script,
    })
}

/// A text member.
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

/// A client that takes any certificate: stories use self-made ones.
pub fn http() -> Http {
    // The second story of a process finds the provider in place.
    rustls::crypto::ring::default_provider().install_default().ok();
    let builder = Http::builder()
        .danger_accept_invalid_certs(true)
        .timeout(Duration::from_secs(30));
    builder
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client without special wishes")
}

fn read(path: &str, response: Response) -> Value {
    let status = response.status();
    let body = response.text().expect("a body");
    assert!(status.is_success(), "{path}: {status} {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}
