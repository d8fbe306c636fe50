//! Registration, leave and return of deployment targets.

use domain::permission::Permission;
use reqwest::Method;
use serde_json::{Value, json};
use tests::on_both_engines;
use tests::server::{Answer, TestServer};

use crate::{all, environments};

const MACHINES: &str = "/api/Spaces-1/machines";
const FIRST: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SECOND: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

/// A listening target as an agent sends it.
fn target(name: &str, thumbprint: &str) -> Value {
    json!({
        "Name": name,
        "EnvironmentIds": ["Environments-1"],
        "Roles": ["web"],
        "MachinePolicyId": null,
        "Slug": null,
        "IsDisabled": false,
        "Endpoint": {
            "Id": null,
            "CommunicationStyle": "TentaclePassive",
            "Uri": uri(name),
            "Thumbprint": thumbprint,
            "ProxyId": null,
            "Links": {},
        },
    })
}

fn taking_over(mut machine: Value, how: &str) -> Value {
    machine["TakeOver"] = json!(how);
    machine
}

fn uri(name: &str) -> String {
    format!("https://{name}.example:10933/")
}

async fn deregister(server: &TestServer, path: &str, token: &Value) -> Answer {
    let token = token.as_str().expect("the registration answered a token");
    let request = server
        .anonymous(Method::DELETE, path)
        .header("X-Mantle-Deregistration", token);
    server.send(request).await
}

async fn health_checks(server: &TestServer) -> u64 {
    let tasks = server.get("/api/Spaces-1/tasks?name=Health").await.fine();
    tasks["TotalResults"].as_u64().expect("a page says how many")
}

async fn start(
    database: &tests::database::TestDatabase,
) -> (TestServer, std::sync::Arc<tests::machines::TestMachines>) {
    let server = TestServer::start(database).await;
    let machines = server.with_machines();
    let _ = environments(&server, &["Development"]).await;
    (server, machines)
}

on_both_engines! {
    async fn a_target_is_registered_checked_and_found(database: TestDatabase) {
        let (server, machines) = start(&database).await;
        let answer = server.post(MACHINES, target("web01", &FIRST.to_lowercase())).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.headers["location"], "/api/Spaces-1/machines/Machines-1");
        let machine = answer.body;
        assert_eq!((&machine["Thumbprint"], &machine["Endpoint"]["Thumbprint"]), (&json!(FIRST), &json!(FIRST)));
        assert_eq!((&machine["Slug"], &machine["MachinePolicyId"]), (&json!("web01"), &json!("MachinePolicies-1")));
        assert_eq!((&machine["Status"], &machine["HealthStatus"]), (&json!("Unknown"), &json!("Unknown")));
        assert!(machine.get("DeregistrationToken").is_none(), "stock agents get no token: {machine}");
        assert_eq!(machines.changes(), 1);
        let tasks = server.get("/api/Spaces-1/tasks").await.fine();
        assert_eq!(all(&tasks, "Description"), ["Check the health of web01"]);
        assert_eq!(tasks["Items"][0]["Arguments"]["MachineIds"], json!(["Machines-1"]));
        let events = server.get("/api/events?regarding=Machines-1").await.fine();
        assert!(all(&events, "Message").contains(&"The machine web01 was registered."), "{events}");
        for query in ["name=WEB01", "ids=x,machines-1", "partialName=b0", "roles=db,WEB", "environmentIds=Environments-1",
            "commStyles=TentaclePassive", "healthStatuses=Unknown", "isDisabled=false", &format!("thumbprint={}", FIRST.to_lowercase())] {
            assert_eq!(server.get(&format!("{MACHINES}?{query}")).await.fine()["TotalResults"], 1, "{query}");
            assert_eq!(all(&server.get(&format!("{MACHINES}/all?{query}")).await.fine(), "Name"), ["web01"], "{query}");
        }
        for query in ["name=web0", "ids=Machines-2", "roles=db", "environmentIds=Environments-2", "isDisabled=true",
            "commStyles=TentacleActive", "healthStatuses=Healthy", &format!("thumbprint={SECOND}")] {
            assert_eq!(server.get(&format!("{MACHINES}/all?{query}")).await.fine(), json!([]), "{query}");
        }
        assert_eq!(server.get("/api/machineroles/all").await.fine(), json!(["web"]));
        for link in ["Self", "Connection"] {
            let _ = server.get(machine["Links"][link].as_str().expect("it has the link")).await.fine();
        }
    }

    async fn a_wrong_target_names_everything_that_is_wrong(database: TestDatabase) {
        let (server, machines) = start(&database).await;
        let mut wrong = target("", "12");
        wrong["EnvironmentIds"] = json!(["Environments-1", "Environments-77"]);
        wrong["Roles"] = json!([" "]);
        wrong["MachinePolicyId"] = json!("MachinePolicies-9");
        let text = server.post(MACHINES, wrong).await.refused(400);
        for part in ["has no name", "'Environments-77', which does not exist", "has no role", "'MachinePolicies-9'", "no valid thumbprint"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = server.post(MACHINES, taking_over(target("web01", FIRST), "Sometimes")).await.refused(400);
        assert!(text.contains("IfOffline or Always, not 'Sometimes'"), "{text}");
        let mut wrong = target("web01", FIRST);
        wrong["Endpoint"]["CommunicationStyle"] = json!("Telepathy");
        assert!(server.post(MACHINES, wrong).await.refused(400).contains("'Telepathy' is not one of"));
        assert_eq!(server.get(MACHINES).await.fine()["TotalResults"], 0);
        assert_eq!((machines.changes(), health_checks(&server).await), (0, 0));
    }

    async fn a_place_without_an_agent_has_no_endpoint(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let mut region = target("region", "");
        region["Endpoint"] = json!(null);
        let region = server.post(MACHINES, region).await.fine();
        assert_eq!(region["Endpoint"]["CommunicationStyle"], "None");
        assert_eq!((&region["Thumbprint"], &region["Uri"]), (&json!(null), &json!(null)));
    }

    async fn a_stock_agent_cannot_take_a_name_and_can_change_its_machine(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let _ = server.post(MACHINES, target("web01", FIRST)).await.fine();
        let text = server.post(MACHINES, target("WEB01", SECOND)).await.refused(400);
        assert!(text.contains("'web01' is already in use"), "{text}");
        // register-with --force: the whole fetched resource comes back, and only the endpoint is new.
        let mut fetched = server.get(&format!("{MACHINES}/Machines-1")).await.fine();
        fetched["Endpoint"] = target("web01b", &SECOND.to_lowercase())["Endpoint"].clone();
        assert_eq!(fetched["Thumbprint"], FIRST);
        let request = server.request(Method::POST, &format!("{MACHINES}/Machines-1"));
        let answer = server.send(request.header("X-HTTP-Method-Override", "PUT").json(&fetched)).await;
        assert_eq!(answer.status, 200);
        let changed = server.get(&format!("{MACHINES}/Machines-1")).await.fine();
        for place in [&changed, &changed["Endpoint"]] {
            assert_eq!((&place["Thumbprint"], &place["Uri"]), (&json!(SECOND), &json!(uri("web01b"))));
        }
        assert_eq!(health_checks(&server).await, 2, "another agent is looked at anew");
        let mut renamed = changed;
        renamed["Description"] = json!("of another version");
        renamed["IsDisabled"] = json!(true);
        let renamed = server.put(&format!("{MACHINES}/machines-1"), renamed).await.fine();
        assert_eq!((&renamed["Description"], &renamed["Status"]), (&json!("of another version"), &json!("Disabled")));
        assert_eq!(health_checks(&server).await, 2, "an edit is no registration");
        let request = server.request(Method::POST, &format!("{MACHINES}/Machines-1"));
        let answer = server.send(request.header("X-HTTP-Method-Override", "delete")).await;
        assert_eq!((answer.status, answer.body), (200, json!({})));
        assert_eq!(server.get(&format!("{MACHINES}/Machines-1")).await.status, 404);
        assert_eq!(server.put(&format!("{MACHINES}/Machines-1"), target("web01", FIRST)).await.status, 404);
        let events = server.get("/api/events?regarding=Machines-1").await.fine();
        assert_eq!(all(&events, "Category"), ["Deleted", "Modified", "TaskQueued", "Modified", "TaskQueued", "MachineAdded"]);
    }

    async fn a_name_is_taken_over_only_from_a_machine_that_is_silent(database: TestDatabase) {
        let (server, machines) = start(&database).await;
        let first = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await.fine();
        machines.answer(&uri("web01"), FIRST);
        let text = server.post(MACHINES, taking_over(target("web01", SECOND), "IfOffline")).await.refused(409);
        assert!(text.contains("A machine of that name answers") && text.contains("ForceTakeOver=true"), "{text}");
        let mut edit = server.get(&format!("{MACHINES}/Machines-1")).await.fine();
        edit["Endpoint"] = target("web01", SECOND)["Endpoint"].clone();
        edit["TakeOver"] = json!("IfOffline");
        assert!(server.put(&format!("{MACHINES}/Machines-1"), edit).await.refused(409).contains("answers"));
        assert_eq!(server.get(&format!("{MACHINES}/Machines-1")).await.fine()["Thumbprint"], FIRST);
        machines.fall_silent(&uri("web01"));
        let second = server.post(MACHINES, taking_over(target("web01", SECOND), "IfOffline")).await;
        assert_eq!((second.status, &second.body["Id"], &second.body["Thumbprint"]), (200, &first["Id"], &json!(SECOND)));
        machines.answer(&uri("web01"), SECOND);
        let third = server.post(MACHINES, taking_over(target("web01", FIRST), "Always")).await.fine();
        assert_eq!((&third["Id"], &third["Thumbprint"]), (&first["Id"], &json!(FIRST)));
        assert_eq!(server.get(MACHINES).await.fine()["TotalResults"], 1);
        assert_eq!(health_checks(&server).await, 3);
    }

    async fn taking_over_needs_the_permission_to_edit(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let _ = server.post(MACHINES, target("web01", FIRST)).await.fine();
        let key = server.key_with("creator", &[Permission::MachineCreate, Permission::MachineView]).await;
        for how in ["IfOffline", "Always"] {
            let request = server.with_key(Method::POST, MACHINES, &key).json(&taking_over(target("web01", SECOND), how));
            assert!(server.send(request).await.refused(403).contains("MachineEdit"));
        }
        let request = server.with_key(Method::PUT, &format!("{MACHINES}/Machines-1"), &key).json(&target("web01", SECOND));
        assert!(server.send(request).await.refused(403).contains("MachineEdit"));
        let request = server.with_key(Method::POST, MACHINES, &key).json(&taking_over(target("web02", SECOND), "IfOffline"));
        assert_eq!(server.send(request).await.status, 201);
    }

    async fn the_same_certificate_is_the_same_machine_under_any_name(database: TestDatabase) {
        let (server, machines) = start(&database).await;
        let first = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await.fine();
        machines.answer(&uri("web01"), FIRST);
        let again = server.post(MACHINES, taking_over(target("web02", FIRST), "IfOffline")).await;
        assert_eq!((again.status, &again.body["Id"], &again.body["Name"]), (200, &first["Id"], &json!("web02")));
        assert_ne!(again.body["DeregistrationToken"], first["DeregistrationToken"]);
        assert_eq!(again.body["Slug"], "web02");
        let path = format!("{MACHINES}/Machines-1");
        assert_eq!(deregister(&server, &path, &first["DeregistrationToken"]).await.status, 401, "the former token is void");
    }

    async fn what_a_check_found_of_one_agent_is_not_said_of_another(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let _ = server.post(MACHINES, target("web01", FIRST)).await.fine();
        let health = storage::machine::Health {
            status: domain::machine::HealthStatus::Healthy,
            summary: "All is well.".into(),
            has_latest_calamari: true,
            operating_system: "Debian GNU/Linux 12".into(),
            shell_name: "Bash".into(),
            agent_version: "9.0.0".into(),
            ..storage::machine::Health::default()
        };
        let mut session = server.context.database.write().await.expect("the database can be written");
        storage::machine::save_health(&mut session, &domain::MachineId::numbered(1), &health, 1).await.expect("it is stored");
        session.commit().await.expect("it is stored");
        let known = server.get(&format!("{MACHINES}/Machines-1")).await.fine();
        assert_eq!((&known["Status"], &known["HealthStatus"]), (&json!("Online"), &json!("Healthy")));
        assert_eq!(server.get("/api/machines/operatingsystem/names/all").await.fine(), json!(["Debian GNU/Linux 12"]));
        let edited = server.put(&format!("{MACHINES}/Machines-1"), known).await.fine();
        assert_eq!(edited["HealthStatus"], "Healthy");
        let _ = server.post(MACHINES, taking_over(target("web01", SECOND), "Always")).await.fine();
        let other = server.get(&format!("{MACHINES}/Machines-1")).await.fine();
        assert_eq!((&other["Status"], &other["HealthStatus"]), (&json!("Unknown"), &json!("Unknown")));
        assert_eq!((&other["HasLatestCalamari"], &other["StatusSummary"]), (&json!(false), &json!("")));
    }

    async fn who_deregisters_itself_gets_id_and_settings_back(database: TestDatabase) {
        let (server, machines) = start(&database).await;
        let first = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await.fine();
        let mut edited = server.get(&format!("{MACHINES}/Machines-1")).await.fine();
        assert!(edited.get("DeregistrationToken").is_none(), "the token is told once: {edited}");
        edited["IsDisabled"] = json!(true);
        edited["DeregistrationToken"] = first["DeregistrationToken"].clone();
        edited["TakeOver"] = json!("IfOffline");
        let edited = server.put(&format!("{MACHINES}/Machines-1"), edited).await.fine();
        let path = format!("{MACHINES}/Machines-1");
        assert!(server.get(&path).await.fine().get("DeregistrationToken").is_none());
        let gone = deregister(&server, &path, &edited["DeregistrationToken"]).await;
        assert_eq!((gone.status, gone.body), (200, json!({})));
        assert_eq!(server.get(MACHINES).await.fine()["TotalResults"], 0);
        assert_eq!(server.get(&format!("{MACHINES}/all?thumbprint={FIRST}")).await.fine(), json!([]));
        assert_eq!(server.get(&path).await.status, 404);
        assert_eq!(server.get("/api/machineroles/all").await.fine(), json!([]));
        assert_eq!(deregister(&server, &path, &edited["DeregistrationToken"]).await.status, 401);
        let changes = machines.changes();
        let key = server.key_with("creator", &[Permission::MachineCreate]).await;
        let request = server.with_key(Method::POST, MACHINES, &key).json(&taking_over(target("web09", FIRST), "IfOffline"));
        let back = server.send(request).await;
        assert_eq!((back.status, &back.body["Id"], &back.body["Name"]), (200, &json!("Machines-1"), &json!("web09")));
        assert_eq!(back.body["IsDisabled"], true, "a person disabled it, and its return changes nothing about that");
        assert_eq!(machines.changes(), changes + 1);
        let events = server.get("/api/events?regarding=Machines-1").await.fine();
        assert!(all(&events, "Category").contains(&"MachineDeregistered"), "{events}");
    }

    async fn a_tombstone_is_found_by_name_with_the_permission_to_edit(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let first = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await.fine();
        let path = format!("{MACHINES}/Machines-1");
        assert_eq!(deregister(&server, &path, &first["DeregistrationToken"]).await.status, 200);
        let creator = server.key_with("creator", &[Permission::MachineCreate]).await;
        let stranger = server.with_key(Method::POST, MACHINES, &creator).json(&taking_over(target("web01", SECOND), "IfOffline"));
        let stranger = server.send(stranger).await.fine();
        assert_eq!(stranger["Id"], "Machines-2");
        let at = format!("{MACHINES}/Machines-2");
        assert_eq!(deregister(&server, &format!("{at}?final=true"), &stranger["DeregistrationToken"]).await.status, 200);
        let checks = health_checks(&server).await;
        let back = server.post(MACHINES, target("WEB01", SECOND)).await;
        assert_eq!((back.status, &back.body["Id"], &back.body["Thumbprint"]), (200, &json!("Machines-1"), &json!(SECOND)));
        assert_eq!(health_checks(&server).await, checks + 1, "a return is a registration");
    }

    async fn a_final_leave_and_a_persons_deletion_leave_nothing(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let first = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await.fine();
        let path = format!("{MACHINES}/Machines-1");
        assert_eq!(deregister(&server, &format!("{path}?final=true"), &first["DeregistrationToken"]).await.status, 200);
        let second = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await;
        assert_eq!((second.status, &second.body["Id"]), (201, &json!("Machines-2")));
        assert_eq!(server.delete(&format!("{MACHINES}/Machines-2")).await.status, 200);
        let third = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await.fine();
        assert_eq!(third["Id"], "Machines-3");
    }

    async fn a_token_is_good_for_one_machine_and_for_leaving_only(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let first = server.post(MACHINES, taking_over(target("web01", FIRST), "IfOffline")).await.fine();
        let _ = server.post(MACHINES, taking_over(target("web02", SECOND), "IfOffline")).await.fine();
        let token = first["DeregistrationToken"].as_str().expect("a token");
        let text = deregister(&server, &format!("{MACHINES}/Machines-2"), &first["DeregistrationToken"]).await.refused(403);
        assert!(text.contains("for the machine 'Machines-1', not for 'Machines-2'"), "{text}");
        for (method, path) in [("GET", "machines"), ("GET", "machines/Machines-1"), ("POST", "machines"), ("PUT", "machines/Machines-1"),
            ("GET", "environments"), ("DELETE", "environments/Environments-1"), ("GET", "tasks"), ("GET", "users")] {
            let method: Method = method.parse().expect("it is a method");
            let request = server.anonymous(method.clone(), &format!("/api/Spaces-1/{path}"));
            let answer = server.send(request.header("X-Mantle-Deregistration", token).json(&target("web01", FIRST))).await;
            assert_eq!(answer.status, 403, "{method} {path}");
        }
        assert_eq!(deregister(&server, &format!("{MACHINES}/Machines-1"), &json!("guessed")).await.status, 401);
        assert_eq!(server.get(MACHINES).await.fine()["TotalResults"], 2);
    }

    async fn a_name_left_behind_can_be_used_and_its_slug_too(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let first = server.post(MACHINES, taking_over(target("web 01", FIRST), "IfOffline")).await.fine();
        assert_eq!(first["Slug"], "web-01");
        assert_eq!(deregister(&server, &format!("{MACHINES}/Machines-1"), &first["DeregistrationToken"]).await.status, 200);
        let other = server.post(MACHINES, target("web-01", SECOND)).await.fine();
        assert_eq!((&other["Id"], &other["Slug"]), (&json!("Machines-2"), &json!("web-01")));
        let back = server.post(MACHINES, taking_over(target("web 01", FIRST), "IfOffline")).await.fine();
        assert_eq!((&back["Id"], &back["Slug"]), (&json!("Machines-1"), &json!("web-01-2")));
        let mut named = server.get(&format!("{MACHINES}/Machines-1")).await.fine();
        named["Slug"] = json!("My Slug");
        let named = server.put(&format!("{MACHINES}/Machines-1"), named).await.fine();
        assert_eq!(named["Slug"], "my-slug");
        assert_eq!(server.get(&format!("{MACHINES}/My-Slug")).await.fine()["Id"], "Machines-1");
    }

    async fn until_the_engine_runs_nothing_is_half_done(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let _ = environments(&server, &["Development"]).await;
        let answer = server.post(MACHINES, target("web01", FIRST)).await;
        assert!(answer.headers.contains_key("retry-after"));
        assert!(answer.refused(503).contains("still starting"));
        assert_eq!(server.get(MACHINES).await.fine()["TotalResults"], 0);
    }

    async fn a_listening_agent_is_discovered(database: TestDatabase) {
        let (server, machines) = start(&database).await;
        machines.answer("https://db01:10933/", SECOND);
        let found = server.get(&format!("{MACHINES}/discover?host=db01&type=TentaclePassive")).await.fine();
        assert_eq!((&found["Endpoint"]["Thumbprint"], &found["Endpoint"]["Uri"]), (&json!(SECOND), &json!("https://db01:10933/")));
        assert!(server.get(&format!("{MACHINES}/discover?host=db02&port=1")).await.refused(400).contains("db02:1"));
        assert!(server.get(&format!("{MACHINES}/discover")).await.refused(400).contains("host="));
        assert!(server.get(&format!("{MACHINES}/discover?host=db02&port=70000")).await.refused(400).contains("70000"));
    }

    async fn a_join_key_registers_and_does_nothing_else(database: TestDatabase) {
        let (server, _machines) = start(&database).await;
        let key = application::user::create_join_key(&server.context).await.expect("a key for agents is made");
        let ask = |method: Method, path: &str| server.with_key(method, path, key.expose());
        // All that an agent asks for on its way (`observed.md` 10.7).
        let me = server.send(ask(Method::GET, "/api/users/me")).await.fine();
        let spaces = me["Links"]["Spaces"].as_str().expect("a user has spaces");
        assert_eq!(all(&server.send(ask(Method::GET, spaces)).await.fine(), "Name"), ["Default"]);
        for path in ["/api", "/api/Spaces-1", "/api/configuration/certificates/certificate-global", "/api/Spaces-1/machines?name=web01",
            "/api/Spaces-1/workers?name=web01", "/api/Spaces-1/proxies", "/api/Spaces-1/machinepolicies", "/api/Spaces-1/tagsets",
            "/api/Spaces-1/environments/v2?skip=0&take=2147483647", "/api/Spaces-1/tenants", "/api/Spaces-1/workerpools",
            "/api/Spaces-1/machines/all?thumbprint=AB", "/api/mantle/remote-address"] {
            let _ = server.send(ask(Method::GET, path)).await.fine();
        }
        let machine = server.send(ask(Method::POST, MACHINES).json(&target("web01", FIRST))).await.fine();
        let this = machine["Links"]["Self"].as_str().expect("a machine has an address").to_string();
        assert_eq!(server.send(ask(Method::PUT, &this).json(&machine)).await.status, 200);
        assert_eq!(server.send(ask(Method::DELETE, &this)).await.status, 403);
        assert_eq!(server.send(ask(Method::POST, "/api/tasks").json(&json!({ "Name": "Health" }))).await.status, 403);
        assert_eq!(server.send(ask(Method::GET, "/api/events")).await.status, 403);
    }
}
