//! The REST API, driven with an API key.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::blocking::multipart::Form;
use reqwest::blocking::{Client as Http, RequestBuilder};
use serde_json::{Value, json};
use tests::program::{API_KEY, Program};

const PAUSE: Duration = Duration::from_millis(100);

/// Somebody who talks to one Server.
pub struct Client {
    http: Http,
    url: String,
}

/// A task that has ended.
pub struct Ended {
    /// Such as `Success`.
    pub state: String,
    /// Why it did not succeed.
    pub message: String,
    /// The whole log.
    pub log: String,
}

impl Client {
    /// The administrator of this Server.
    pub fn of(server: &Program) -> Client {
        // The second story of a process finds the provider in place.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Http::builder().no_proxy().timeout(Duration::from_secs(600));
        Client {
            http: http.build().expect("a client without special wishes"),
            url: server.url.clone(),
        }
    }

    /// Pushes a package from its file, piece by piece.
    pub fn push(&self, file: &Path) -> Value {
        let form = Form::new().file("file", file).expect("the file is there");
        self.send(
            "packages/raw",
            self.http.post(self.at("packages/raw")).multipart(form),
        )
    }

    /// Waits until the health check of the only machine has passed.
    pub fn healthy_machine(&self) {
        eventually("the machine is healthy", Duration::from_secs(60), || {
            let machines = self.get("machines/all");
            let status = machines[0]["HealthStatus"].as_str()?;
            matches!(status, "Healthy" | "HasWarnings").then_some(())
        });
    }

    /// Releases and deploys a new project with one step of this action on the targets of the role `web`; the id of
    /// the task.
    pub fn deploy(&self, project: &str, action: &Value) -> String {
        let new =
            json!({"Name": project, "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"});
        let made = self.post("projects", &new);
        let path = format!("deploymentprocesses/{}", text(&made, "DeploymentProcessId"));
        let mut process = self.get(&path);
        process["Steps"] = json!([{
            "Name": action["Name"],
            "Properties": {"Octopus.Action.TargetRoles": "web"},
            "Actions": [action],
        }]);
        self.send(&path, self.http.put(self.at(&path)).json(&process));
        let release = json!({"SpaceIdOrName": "Default", "ProjectName": project, "ReleaseVersion": "1.0.0", "PackageVersion": "1.0.0"});
        self.post("releases/create/v1", &release);
        let deployment = json!({
            "SpaceIdOrName": "Default",
            "ProjectName": project,
            "ReleaseVersion": "1.0.0",
            "EnvironmentNames": ["Development"],
        });
        let deployed = self.post("deployments/create/untenanted/v1", &deployment);
        text(&deployed["DeploymentServerTasks"][0], "ServerTaskId")
    }

    /// Deploys a project of one Bash script; the id of the task.
    pub fn run(&self, project: &str, step: &str, script: &str) -> String {
        let properties = json!({
            "Octopus.Action.RunOnServer": "false",
            "Octopus.Action.Script.ScriptSource": "Inline",
            "Octopus.Action.Script.Syntax": "Bash",
            "Octopus.Action.Script.ScriptBody": script,
        });
        let action = json!({"Name": step, "ActionType": "Octopus.Script", "Properties": properties});
        self.deploy(project, &action)
    }

    /// Asks for the end of a task.
    pub fn cancel(&self, task: &str) {
        self.post(&format!("tasks/{task}/cancel"), &json!({}));
    }

    /// Waits until a task has written a text into its log.
    pub fn says(&self, task: &str, told: &str) {
        eventually(&format!("{task} says '{told}'"), Duration::from_secs(60), || {
            self.log(task).contains(told).then_some(())
        });
    }

    /// The state of a task now.
    pub fn state(&self, task: &str) -> String {
        text(&self.get(&format!("tasks/{task}")), "State")
    }

    /// Waits for the end of a task.
    pub fn ended(&self, task: &str, limit: Duration) -> Ended {
        let what = format!("{task} ends");
        let found = eventually(&what, limit, || {
            let task = self.get(&format!("tasks/{task}"));
            (task["IsCompleted"] == true).then_some(task)
        });
        Ended {
            state: text(&found, "State"),
            message: found["ErrorMessage"].as_str().unwrap_or_default().to_owned(),
            log: self.log(task),
        }
    }

    fn log(&self, task: &str) -> String {
        let answer = self.http.get(self.at(&format!("tasks/{task}/raw")));
        let answer = answer.header("X-Octopus-ApiKey", API_KEY).send();
        answer
            .and_then(|answer| answer.text())
            .expect("the Server answers")
    }

    fn get(&self, path: &str) -> Value {
        self.send(path, self.http.get(self.at(path)))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.send(path, self.http.post(self.at(path)).json(body))
    }

    fn send(&self, path: &str, request: RequestBuilder) -> Value {
        let answer = request.header("X-Octopus-ApiKey", API_KEY).send();
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = answer.status();
        let body = answer.text().expect("a body");
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    fn at(&self, path: &str) -> String {
        format!("{}/api/Spaces-1/{path}", self.url)
    }
}

/// Looks again until there is an answer; panics with what was waited for.
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(PAUSE);
    }
}

fn text(resource: &Value, member: &str) -> String {
    let found = resource[member].as_str();
    found
        .unwrap_or_else(|| panic!("no {member} in {resource}"))
        .to_owned()
}
