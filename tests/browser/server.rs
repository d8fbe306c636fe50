//! What the stories set up on the Server before they look at it.

use reqwest::blocking::Client;
use serde_json::{Value, json};
use tests::program::{API_KEY, Program};

use crate::web_driver::http;

/// A Server and its administrator's access over the API.
pub struct Server {
    program: Program,
    http: Client,
}

impl Server {
    /// A fresh one.
    pub fn start() -> Self {
        Self {
            program: Program::start(),
            http: http(),
        }
    }

    /// The address of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.program.url)
    }

    /// Deploys a project of one script that runs on the Server, and answers the id of the task.
    pub fn deploy_script(&self, project: &str, body: &str) -> String {
        let made = self.post(
            "/api/Spaces-1/projects",
            &json!({
                "Name": project,
                "ProjectGroupId": "ProjectGroups-1",
                "LifecycleId": "Lifecycles-1",
                "ProjectConnectivityPolicy": { "AllowDeploymentsToNoTargets": true },
            }),
        );
        let mut process = self.get(&format!(
            "/api/Spaces-1/projects/{}/deploymentprocesses",
            id(&made)
        ));
        process["Steps"] = json!([{
            "Name": "Tell",
            "Actions": [{
                "Name": "Tell",
                "ActionType": "Octopus.Script",
                "Properties": {
                    "Octopus.Action.RunOnServer": "True",
                    "Octopus.Action.Script.ScriptSource": "Inline",
                    "Octopus.Action.Script.Syntax": "Bash",
                    "Octopus.Action.Script.ScriptBody": body,
                },
            }],
        }]);
        self.put(
            &format!("/api/Spaces-1/deploymentprocesses/{}", id(&process)),
            &process,
        );
        self.post(
            "/api/Spaces-1/releases/create/v1",
            &json!({ "spaceId": "Spaces-1", "projectName": project, "releaseVersion": "1.0.0" }),
        );
        let deployed = self.post(
            "/api/Spaces-1/deployments/create/untenanted/v1",
            &json!({
                "spaceId": "Spaces-1",
                "projectName": project,
                "releaseVersion": "1.0.0",
                "environmentNames": ["Development"],
            }),
        );
        let task = &deployed["DeploymentServerTasks"][0]["ServerTaskId"];
        task.as_str().expect("a deployment has a task").to_owned()
    }

    fn get(&self, path: &str) -> Value {
        self.answer(self.http.get(self.at(path)))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.answer(self.http.post(self.at(path)).json(body))
    }

    fn put(&self, path: &str, body: &Value) -> Value {
        self.answer(self.http.put(self.at(path)).json(body))
    }

    fn answer(&self, request: reqwest::blocking::RequestBuilder) -> Value {
        let answer = request
            .header("X-Octopus-ApiKey", API_KEY)
            .send()
            .expect("the Server answers");
        let status = answer.status();
        let body: Value = answer.json().expect("the Server answers with JSON");
        assert!(status.is_success(), "{status}: {body}");
        body
    }
}

fn id(of: &Value) -> &str {
    of["Id"].as_str().expect("resources have an id")
}
