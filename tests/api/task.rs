//! Tasks, their logs, and the live log.

use std::time::Duration;

use application::task_log::{Category, Status};
use reqwest::Method;
use serde_json::{Value, json};
use tests::on_both_engines;
use tests::server::TestServer;

use crate::{all, environments};

const TASKS: &str = "/api/Spaces-1/tasks";

/// A Server with two machines, whose registration queued a health check each.
async fn start(database: &tests::database::TestDatabase) -> TestServer {
    let server = TestServer::start(database).await;
    let _machines = server.with_machines();
    let _ = environments(&server, &["Development"]).await;
    for name in ["web01", "web02"] {
        let machine =
            json!({ "Name": name, "EnvironmentIds": ["Environments-1"], "Roles": ["web"], "Endpoint": null });
        let _ = server.post("/api/Spaces-1/machines", machine).await.fine();
        server.clock.advance(1000);
    }
    server
}

/// What was sent of a live log: position and text of each event, and whether it said that it ended.
async fn read_stream(mut response: reqwest::Response, until: usize) -> (Vec<(u64, Value)>, bool) {
    let mut text = String::new();
    loop {
        let blocks: Vec<String> = text.split("\n\n").map(str::to_string).collect();
        let whole = &blocks[..blocks.len() - 1];
        let events: Vec<(u64, Value)> = whole
            .iter()
            .filter_map(|block| {
                let of = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                Some((of("id:")?.parse().ok()?, serde_json::from_str(of("data:")?).ok()?))
            })
            .collect();
        let ended = whole.iter().any(|block| block.contains("event: end"));
        if ended || events.len() >= until {
            return (events, ended);
        }
        let chunk = tokio::time::timeout(Duration::from_secs(20), response.chunk())
            .await
            .expect("the stream goes on");
        match chunk.expect("the stream can be read") {
            Some(chunk) => text.push_str(&String::from_utf8_lossy(&chunk)),
            None => return (events, ended),
        }
    }
}

async fn open_stream(server: &TestServer, after: Option<u64>) -> reqwest::Response {
    let mut request = server.request(Method::GET, &format!("{TASKS}/ServerTasks-1/log/stream"));
    if let Some(after) = after {
        request = request.header("Last-Event-ID", after.to_string());
    }
    request.send().await.expect("the Server answers")
}

fn texts(events: &[(u64, Value)]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|(_, event)| event["Text"].as_str())
        .collect()
}

on_both_engines! {
    async fn tasks_are_listed_newest_first_and_filtered(database: TestDatabase) {
        let server = start(&database).await;
        let page = server.get(TASKS).await.fine();
        assert_eq!((page["ItemType"].as_str(), all(&page, "Id")), (Some("Task"), vec!["ServerTasks-2", "ServerTasks-1"]));
        assert_eq!(page["TotalCounts"], json!({ "Queued": 2 }));
        let task = &page["Items"][0];
        for (member, value) in [("State", json!("Queued")), ("IsCompleted", json!(false)), ("FinishedSuccessfully", json!(false)),
            ("HasPendingInterruptions", json!(false)), ("HasWarningsOrErrors", json!(false)), ("Name", json!("Health")),
            ("QueueTime", json!("2026-01-01T00:00:01.000+00:00")), ("CompletedTime", json!(null)), ("SpaceId", json!("Spaces-1"))] {
            assert_eq!(task[member], value, "{member}");
        }
        for (query, ids) in [("ids=ServerTasks-1", vec!["ServerTasks-1"]), ("ids=servertasks-1,ServerTasks-99&skip=300", vec!["ServerTasks-1"]),
            ("ids=ServerTasks-99", vec![]), ("states=Success,Failed", vec![]), ("states=queued&take=1", vec!["ServerTasks-2"]),
            ("active=true", vec!["ServerTasks-2", "ServerTasks-1"]), ("running=true", vec![]), ("name=Deploy", vec![]),
            ("environment=Environments-1", vec!["ServerTasks-2", "ServerTasks-1"]), ("regarding=Machines-2", vec!["ServerTasks-2"]),
            ("regarding=Machines-22", vec![]), ("partialName=WEB02", vec!["ServerTasks-2"]), ("hasWarningsOrErrors=true", vec![]),
            ("hasPendingInterruptions=true", vec![]), ("project=Projects-1", vec![]), ("node=story", vec![])] {
            assert_eq!(all(&server.get(&format!("{TASKS}?{query}")).await.fine(), "Id"), ids, "{query}");
        }
        for (query, part) in [("states=Sleeping", "'Sleeping' is not one of"), ("active=maybe", "true or false"), ("take=-1", "whole number")] {
            let text = server.get(&format!("{TASKS}?{query}")).await.refused(400);
            assert!(text.contains(part), "{query}: {text}");
        }
        for path in ["/api/tasks/ServerTasks-1", "/api/Tasks/servertasks-1", "/api/spaces/Spaces-1/tasks/ServerTasks-1"] {
            assert_eq!(server.get(path).await.fine()["Id"], "ServerTasks-1", "{path}");
        }
        for path in ["ServerTasks-99", "Machines-1", "x"] {
            assert_eq!(server.get(&format!("{TASKS}/{path}")).await.status, 404, "{path}");
        }
        assert!(all(&server.get("/api/tasks/taskTypes").await.fine(), "Id").contains(&"Health"));
    }

    async fn a_person_starts_a_health_check(database: TestDatabase) {
        let server = start(&database).await;
        let body = json!({ "Name": "health", "Description": "", "Arguments": { "machineIds": ["machines-2"], "Timeout": "00:05:00" } });
        let answer = server.post("/api/tasks", body).await;
        assert_eq!((answer.status, &answer.headers["location"]), (201, &"/api/Spaces-1/tasks/ServerTasks-3".parse().expect("a header")));
        assert_eq!(answer.body["Arguments"], json!({ "MachineIds": ["Machines-2"], "Timeout": "00:05:00" }));
        let body = json!({ "Name": "Health", "Arguments": { "EnvironmentId": "Environments-1" } });
        let task = server.post(TASKS, body).await.fine();
        assert_eq!(task["Arguments"]["MachineIds"], json!(["Machines-1", "Machines-2"]));
        for (arguments, part) in [(json!({ "MachineIds": ["Machines-9"] }), "'Machines-9' does not exist"),
            (json!({ "EnvironmentId": "Environments-9" }), "no enabled machine")] {
            let text = server.post(TASKS, json!({ "Name": "Health", "Arguments": arguments })).await.refused(400);
            assert!(text.contains(part), "{text}");
        }
        for span in ["soon", "00:00:00"] {
            let body = json!({ "Name": "Health", "Arguments": { "Timeout": span } });
            assert!(server.post(TASKS, body).await.refused(400).contains("'Timeout'"), "{span}");
        }
        for name in ["Backup", "Deploy", ""] {
            assert!(server.post(TASKS, json!({ "Name": name })).await.refused(400).contains("cannot be started here"), "{name}");
        }
        let events = server.get("/api/events?regarding=ServerTasks-3").await.fine();
        assert_eq!(all(&events, "Message"), ["The task Check the health of web02 was queued."]);
    }

    async fn machines_are_looked_at_every_interval_of_their_policy(database: TestDatabase) {
        let server = start(&database).await;
        let checks = async || server.get(&format!("{TASKS}?name=Health")).await.fine()["TotalResults"].clone();
        let due = async || application::health_check::queue_due(&server.context).await.unwrap();
        const HOUR: i64 = 3_600_000;
        assert_eq!(checks().await, 2, "one for each registration");
        due().await;
        assert_eq!(checks().await, 3, "nobody has looked at them yet");
        assert_eq!(server.get(&format!("{TASKS}/ServerTasks-3")).await.fine()["Arguments"]["MachineIds"], json!(["Machines-1", "Machines-2"]));
        due().await;
        assert_eq!(checks().await, 3, "this hour is taken");
        server.clock.advance(HOUR);
        let health = storage::machine::Health::default();
        let mut session = server.context.database.write().await.unwrap();
        storage::machine::save_health(&mut session, &"Machines-2".parse().unwrap(), &health, server.context.clock.now()).await.unwrap();
        session.commit().await.unwrap();
        let (one, other) = tokio::join!(due(), due());
        let ((), ()) = (one, other);
        assert_eq!(checks().await, 4, "two nodes queue it once");
        // Both took a number; whoever was first used its own.
        let newest = server.get(&format!("{TASKS}?name=Health&take=1")).await.fine()["Items"][0].clone();
        assert_eq!(newest["Arguments"]["MachineIds"], json!(["Machines-1"]));
    }

    async fn a_task_is_cancelled_before_it_begins(database: TestDatabase) {
        let server = start(&database).await;
        for (number, space) in [(1, "/Spaces-1"), (2, "/spaces/Spaces-1")] {
            let path = format!("/api{space}/tasks/ServerTasks-{number}/cancel");
            let answer = server.send(server.request(Method::POST, &path)).await.fine();
            assert_eq!((&answer["State"], &answer["IsCompleted"], &answer["FinishedSuccessfully"]), (&json!("Canceled"), &json!(true), &json!(false)));
            assert_eq!(answer["CompletedTime"], "2026-01-01T00:00:02.000+00:00");
        }
        let again = server.post("/api/tasks/ServerTasks-1/cancel", json!({})).await.fine();
        assert_eq!(again["State"], "Canceled");
        let events = server.get("/api/events?regarding=ServerTasks-1").await.fine();
        assert_eq!(all(&events, "Category"), ["TaskCanceled", "TaskQueued"], "asking twice is told once");
        assert_eq!(server.post(&format!("{TASKS}/ServerTasks-9/cancel"), json!({})).await.status, 404);
        assert_eq!(server.get(&format!("{TASKS}?active=true")).await.fine()["TotalResults"], 0);
        let counts = server.get(TASKS).await.fine()["TotalCounts"].clone();
        assert_eq!(counts, json!({ "Canceled": 2 }));
    }

    async fn a_log_is_a_tree_and_a_text(database: TestDatabase) {
        let server = start(&database).await;
        let empty = server.get(&format!("{TASKS}/ServerTasks-1/details")).await.fine();
        assert_eq!((&empty["ActivityLogs"], &empty["Progress"]["ProgressPercentage"]), (&json!([]), &json!(0)));
        assert_eq!(server.get(&format!("{TASKS}/ServerTasks-1/raw")).await.bytes, b"");
        let log = server.context.files.task_logs.writer("ServerTasks-1", 1).await.expect("the log opens");
        let now = tests::database::NOW;
        let write = || -> Result<(), files::Error> {
            log.open_block(now, "ServerTasks-1_A", None, "Check the health", Status::Running)?;
            log.open_block(now, "ServerTasks-1_A/1", Some("ServerTasks-1_A"), "web01", Status::Running)?;
            log.line(now, "ServerTasks-1_A/1", Category::Verbose, "Connecting")?;
            for number in 1..=3 {
                log.line(now + number, "ServerTasks-1_A/1", Category::Info, format!("Line {number}"))?;
            }
            log.line(now + 4, "ServerTasks-1_A/1", Category::Warning, "Low disk <1%>")?;
            log.close_block(now + 5, "ServerTasks-1_A/1", Status::SuccessWithWarning)
        };
        write().expect("the log can be written");
        let details = server.get("/api/tasks/ServerTasks-1/details?verbose=true").await.fine();
        assert_eq!(details["Task"]["Id"], "ServerTasks-1");
        let root = &details["ActivityLogs"][0];
        assert_eq!((&root["Name"], &root["Status"], &root["Id"]), (&json!("Check the health"), &json!("Running"), &json!("ServerTasks-1_A")));
        let child = &root["Children"][0];
        assert_eq!((&child["Name"], &child["Status"], &child["Id"]), (&json!("web01"), &json!("SuccessWithWarning"), &json!("ServerTasks-1_A/1")));
        assert_eq!(child["LogElements"][4]["Category"], "Warning");
        assert_eq!(child["LogElements"].as_array().map(Vec::len), Some(5));
        assert_eq!(details["Progress"]["ProgressPercentage"], 100);
        assert!(details["PhysicalLogSize"].as_u64().is_some_and(|size| size > 0));
        for (query, lines) in [("verbose=false", vec!["Line 1", "Line 2", "Line 3", "Low disk <1%>"]), ("tail=2", vec!["3 earlier lines are left out.", "Line 3", "Low disk <1%>"]),
            ("verbose=false&tail=1", vec!["3 earlier lines are left out.", "Low disk <1%>"])] {
            let details = server.get(&format!("{TASKS}/ServerTasks-1/details?{query}")).await.fine();
            assert_eq!(all(&details["ActivityLogs"][0]["Children"][0]["LogElements"], "MessageText"), lines, "{query}");
        }
        let raw = server.get("/api/tasks/ServerTasks-1/raw").await;
        assert_eq!(raw.headers["content-type"], "text/plain; charset=utf-8");
        let raw = String::from_utf8(raw.bytes).expect("a log is text");
        let expected = ["00:00:00.000            |== web01 ==", "00:00:00.000   Verbose  |   Connecting", "00:00:00.004   Warning  |   Low disk <1%>"];
        for line in expected {
            assert!(raw.lines().any(|known| known == line), "{line}: {raw}");
        }
        for path in ["details?tail=x", "details?verbose=2"] {
            assert_eq!(server.get(&format!("{TASKS}/ServerTasks-1/{path}")).await.status, 400, "{path}");
        }
        for path in ["details", "raw", "log/stream"] {
            assert_eq!(server.get(&format!("{TASKS}/ServerTasks-9/{path}")).await.status, 404, "{path}");
        }
    }

    async fn a_live_log_goes_on_where_it_broke_off(database: TestDatabase) {
        let server = start(&database).await;
        let logs = &server.context.files.task_logs;
        let log = logs.writer("ServerTasks-1", 1).await.expect("the log opens");
        let now = tests::database::NOW;
        log.open_block(now, "ServerTasks-1_A", None, "Root", Status::Running).expect("it is written");
        log.line(now, "ServerTasks-1_A", Category::Info, "one").expect("it is written");
        let response = open_stream(&server, None).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        log.line(now, "ServerTasks-1_A", Category::Info, "two\nwith a second line").expect("it is written");
        let (first, ended) = read_stream(response, 3).await;
        assert_eq!((texts(&first), ended), (vec!["Root", "one", "two\nwith a second line"], false));
        assert_eq!((&first[1].1["Kind"], &first[1].1["Category"], &first[0].1["Kind"]), (&json!("Line"), &json!("Info"), &json!("Open")));
        // Another node takes the task over while nobody reads.
        log.line(now, "ServerTasks-1_A", Category::Info, "three").expect("it is written");
        let log = logs.writer("ServerTasks-1", 2).await.expect("the log opens again");
        log.line(now, "ServerTasks-1_A", Category::Info, "four").expect("it is written");
        let response = open_stream(&server, Some(first[1].0)).await;
        let (second, ended) = read_stream(response, 3).await;
        assert_eq!((texts(&second), ended), (vec!["two\nwith a second line", "three", "four"], false));
        assert!(second.windows(2).all(|pair| pair[0].0 < pair[1].0), "{second:?}");
        let response = open_stream(&server, Some(second[2].0)).await;
        log.close_block(now, "ServerTasks-1_A", Status::Success).expect("it is written");
        let _ = server.post(&format!("{TASKS}/ServerTasks-1/cancel"), json!({})).await.fine();
        let (rest, ended) = read_stream(response, usize::MAX).await;
        assert_eq!((rest.len(), &rest[0].1["Kind"], ended), (1, &json!("Close"), true));
        let (everything, ended) = read_stream(open_stream(&server, None).await, usize::MAX).await;
        assert_eq!((everything.len(), ended), (6, true));
        let (nothing, ended) = read_stream(open_stream(&server, Some(rest[0].0)).await, usize::MAX).await;
        assert!(nothing.is_empty() && ended);
    }

    async fn a_live_log_ends_with_its_key(database: TestDatabase) {
        let server = start(&database).await;
        let made = server.post("/api/users/Users-1/apikeys", json!({ "Purpose": "watching" })).await.fine();
        let key = made["ApiKey"].as_str().expect("a key");
        let log = server.context.files.task_logs.writer("ServerTasks-1", 1).await.expect("the log opens");
        let response = server.with_key(Method::GET, &format!("{TASKS}/ServerTasks-1/log/stream"), key).send().await.expect("it answers");
        assert_eq!(response.status().as_u16(), 200);
        let _ = server.delete(made["Links"]["Self"].as_str().expect("a link")).await.fine();
        log.line(1, "ServerTasks-1_A", Category::Info, "secret").expect("it is written");
        assert_eq!(read_stream(response, usize::MAX).await, (vec![], false));
    }
}
