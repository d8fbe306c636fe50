//! Every route asks who it is and what they may do.

use reqwest::Method;
use serde_json::json;
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{environments, project, zip};

/// Method and path of what only those with a permission may use.
const GUARDED: &[(&str, &str)] = &[
    ("DELETE", "environments/Environments-1"),
    ("POST", "environments"),
    ("PUT", "environments/Environments-1"),
    ("PUT", "environments/sortorder"),
    ("GET", "events"),
    ("GET", "events/Events-1"),
    ("DELETE", "machines/Machines-1"),
    ("DELETE", "machinepolicies/MachinePolicies-1"),
    ("POST", "machinepolicies"),
    ("PUT", "machinepolicies/MachinePolicies-1"),
    ("GET", "tasks"),
    ("POST", "tasks"),
    ("GET", "tasks/ServerTasks-1"),
    ("POST", "tasks/ServerTasks-1/cancel"),
    ("GET", "tasks/ServerTasks-1/details"),
    ("GET", "tasks/ServerTasks-1/log/stream"),
    ("GET", "tasks/ServerTasks-1/raw"),
    ("GET", "teams"),
    ("GET", "teams/all"),
    ("GET", "teams/teams-everyone"),
    ("GET", "users"),
    ("GET", "users/all"),
    ("GET", "users/Users-1"),
    ("GET", "users/Users-1/apikeys"),
    ("POST", "users/Users-1/apikeys"),
    ("GET", "users/Users-1/apikeys/APIKeys-1"),
    ("DELETE", "users/Users-1/apikeys/APIKeys-1"),
    ("GET", "users/Users-1/permissions"),
    ("GET", "users/Users-1/spaces"),
    ("GET", "users/Users-1/teams"),
    ("GET", "channels"),
    ("POST", "channels"),
    ("GET", "channels/all"),
    ("GET", "channels/Channels-1"),
    ("PUT", "channels/Channels-1"),
    ("DELETE", "channels/Channels-1"),
    ("GET", "channels/Channels-1/releases"),
    ("GET", "deploymentprocesses"),
    ("GET", "deploymentprocesses/deploymentprocess-Projects-1"),
    ("PUT", "deploymentprocesses/deploymentprocess-Projects-1"),
    ("GET", "deploymentprocesses/deploymentprocess-Projects-1/template"),
    ("GET", "deployments"),
    ("POST", "deployments"),
    ("GET", "deployments/Deployments-1"),
    ("DELETE", "deployments/Deployments-1"),
    ("POST", "deployments/create/tenanted/v1"),
    ("POST", "deployments/create/untenanted/v1"),
    ("GET", "feeds"),
    ("POST", "feeds"),
    ("GET", "feeds/all"),
    ("GET", "feeds/feeds-builtin"),
    ("PUT", "feeds/feeds-builtin"),
    ("DELETE", "feeds/feeds-builtin"),
    ("GET", "feeds/feeds-builtin/packages"),
    ("GET", "feeds/feeds-builtin/packages/search"),
    ("GET", "feeds/feeds-builtin/packages/versions?packageId=A"),
    ("GET", "feeds/stats"),
    ("GET", "lifecycles"),
    ("POST", "lifecycles"),
    ("GET", "lifecycles/all"),
    ("GET", "lifecycles/Lifecycles-1"),
    ("PUT", "lifecycles/Lifecycles-1"),
    ("DELETE", "lifecycles/Lifecycles-1"),
    ("GET", "lifecycles/Lifecycles-1/preview"),
    ("GET", "lifecycles/Lifecycles-1/projects"),
    ("GET", "packages"),
    ("GET", "packages/A.1.0.0"),
    ("DELETE", "packages/A.1.0.0"),
    ("DELETE", "packages/bulk?ids=A.1.0.0"),
    ("GET", "packages/A.1.0.0/raw"),
    ("GET", "projectgroups/ProjectGroups-1/projects"),
    ("GET", "projects"),
    ("POST", "projects"),
    ("GET", "projects/all"),
    ("GET", "projects/Projects-1"),
    ("PUT", "projects/Projects-1"),
    ("DELETE", "projects/Projects-1"),
    ("GET", "projects/Projects-1/channels"),
    ("POST", "projects/Projects-1/channels"),
    ("GET", "projects/Projects-1/channels/Channels-1"),
    ("PUT", "projects/Projects-1/channels/Channels-1"),
    ("DELETE", "projects/Projects-1/channels/Channels-1"),
    ("GET", "projects/Projects-1/channels/Channels-1/releases"),
    ("GET", "projects/Projects-1/deploymentprocesses"),
    ("PUT", "projects/Projects-1/deploymentprocesses"),
    ("GET", "projects/Projects-1/deploymentprocesses/template"),
    ("GET", "projects/Projects-1/deploymentsettings"),
    ("PUT", "projects/Projects-1/deploymentsettings"),
    ("GET", "projects/Projects-1/progression"),
    ("GET", "projects/Projects-1/releases"),
    ("GET", "projects/Projects-1/releases/1.0"),
    ("GET", "projects/Projects-1/summary"),
    ("GET", "projects/Projects-1/variables"),
    ("PUT", "projects/Projects-1/variables"),
    ("GET", "releases"),
    ("POST", "releases"),
    ("POST", "releases/create/v1"),
    ("GET", "releases/Releases-1"),
    ("PUT", "releases/Releases-1"),
    ("DELETE", "releases/Releases-1"),
    ("GET", "releases/Releases-1/defects"),
    ("GET", "releases/Releases-1/deployments"),
    ("GET", "releases/Releases-1/deployments/preview/Environments-1"),
    ("POST", "releases/Releases-1/deployments/previews"),
    ("GET", "releases/Releases-1/deployments/template"),
    ("GET", "releases/Releases-1/missingpackages"),
    ("GET", "releases/Releases-1/progression"),
    ("POST", "releases/Releases-1/snapshot-variables"),
    ("GET", "variables"),
    ("GET", "variables/variableset-Projects-1"),
    ("PUT", "variables/variableset-Projects-1"),
];

/// What agents ask for when they register; the rest of the world must still sign in.
const OPEN_TO_AGENTS: &[(&str, &str)] = &[
    ("GET", "environments"),
    ("GET", "environments/all"),
    ("GET", "environments/Environments-1"),
    ("GET", "environments/v2"),
    ("GET", "machines"),
    ("POST", "machines"),
    ("GET", "machines/all"),
    ("GET", "machines/discover"),
    ("GET", "machines/Machines-1"),
    ("PUT", "machines/Machines-1"),
    ("GET", "machines/Machines-1/connection"),
    ("GET", "machines/operatingsystem/names/all"),
    ("GET", "machines/operatingsystem/shells/all"),
    ("GET", "machineroles/all"),
    ("GET", "machinepolicies"),
    ("GET", "machinepolicies/all"),
    ("GET", "machinepolicies/MachinePolicies-1"),
    ("GET", "proxies"),
    ("GET", "proxies/all"),
    ("GET", "spaces"),
    ("GET", "spaces/all"),
    ("GET", "tagsets"),
    ("GET", "tagsets/all"),
    ("GET", "tasks/tasktypes"),
    ("GET", "tenants"),
    ("GET", "tenants/all"),
    ("GET", "users/me"),
    ("GET", "workerpools"),
    ("GET", "workerpools/all"),
    ("GET", "workers"),
    ("GET", "workers/all"),
];

on_both_engines! {
    async fn nobody_and_nobody_without_permission_gets_through(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development"]).await;
        let _ = project(&server, "Web").await;
        let _ = server.push("", "file", "A.1.0.0.zip", zip("a")).await.fine();
        let _ = server.post("/api/Spaces-1/releases", json!({ "ProjectId": "Projects-1", "Version": "1.0" })).await.fine();
        let _ = server
            .post("/api/Spaces-1/deployments", json!({ "ReleaseId": "Releases-1", "EnvironmentId": "Environments-1" }))
            .await
            .fine();
        let weak = application::user::create_join_key(&server.context).await.expect("a key for agents is made");
        for (method, path) in GUARDED {
            let method: Method = method.parse().expect("it is a method");
            let path = format!("/api/Spaces-1/{path}");
            let body = match path.ends_with("sortorder") {
                true => json!(["Environments-1"]),
                false => json!({ "Name": "Health", "DeploymentPreviews": [{ "EnvironmentId": "Environments-1" }] }),
            };
            let nobody = server.anonymous(method.clone(), &path).json(&body);
            assert_eq!(server.send(nobody).await.status, 401, "{method} {path} as nobody");
            let agent = server.anonymous(method.clone(), &path).header("X-Octopus-ApiKey", weak.expose()).json(&body);
            let answer = server.send(agent).await;
            assert_eq!(answer.status, 403, "{method} {path} as an agent: {}", String::from_utf8_lossy(&answer.bytes));
        }
        for (method, path) in OPEN_TO_AGENTS {
            let method: Method = method.parse().expect("it is a method");
            let path = format!("/api/Spaces-1/{path}");
            let nobody = server.anonymous(method.clone(), &path).json(&json!({}));
            assert_eq!(server.send(nobody).await.status, 401, "{method} {path} as nobody");
            let agent = server.anonymous(method.clone(), &path).header("X-Octopus-ApiKey", weak.expose()).json(&json!({}));
            let status = server.send(agent).await.status;
            assert!(!matches!(status, 401 | 403 | 405), "{method} {path} as an agent: {status}");
        }
        assert_eq!(server.get("/api/Spaces-1/projects/Projects-1").await.status, 200);
        assert_eq!(server.get("/api/Spaces-1/packages/A.1.0.0").await.status, 200);
    }
}
