//! A package as npm publishes it, from the push to both kinds of agents, with readers of the live log.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::blocking::Client as Http;
use serde_json::{Value, json};

use crate::client::{API_KEY, text};
use crate::engine::{Container, seconds};
use crate::quiet::alone;
use crate::stack::Stack;

const PACKAGE: &str = "swagger-ui-dist";
const VERSION: &str = "5.35.0";
/// What another Server's runner left on a machine: nothing may start it.
const OLD_RUNNER: &str =
    "/agent/Tools/mantle/calamari/0000000000000000000000000000000000000000000000000000000000000000";
const AGENTS: [&str; 2] = ["web01", "poll01"];
/// How many lines the script prints one by one.
const BEATS: usize = 8;
/// It speaks after pauses of different lengths: whoever looks ever less often is found out by the long ones.
const POST_DEPLOY: &str = "me=$(get_octopusvariable Octopus.Machine.Name)\n\
    echo \"$me has $(find package -type f | wc -l) files\"\n\
    beat=0\n\
    for pause in 0.2 1.2 0.1 3.5 0.3 0.7 2.1 0.4; do\n\
    beat=$((beat + 1)); echo \"$me beat $beat $(date +%s%3N)\"; sleep $pause\n\
    done\n\
    echo \"$me is done\"\n";

/// The fourth "Done when".
#[test]
fn a_package_of_npm_reaches_both_kinds_of_agents_in_full_view() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let archive = published(folder.path());
    let stack = Stack::new();
    let agents = [
        stack.listening(AGENTS[0]).start(),
        stack.polling(AGENTS[1]).start(),
    ];
    for name in AGENTS {
        stack.client.healthy_machine(name);
    }
    assert_eq!(runners(&agents[0]), BTreeSet::new(), "a new agent has a runner");
    let install = format!(
        "mkdir -p {OLD_RUNNER} && printf '#!/bin/bash\\necho an outdated runner; exit 1\\n' >{OLD_RUNNER}/calamari \
         && chmod 700 {OLD_RUNNER}/calamari"
    );
    agents[1].exec(&["bash", "-c", &install]);

    let pushed = stack.client.push(
        &format!("{PACKAGE}.{VERSION}.tgz"),
        std::fs::read(&archive).expect("the archive"),
    );
    assert_eq!(
        (&pushed["PackageId"], &pushed["Version"]),
        (&json!(PACKAGE), &json!(VERSION))
    );
    let project = project(&stack);
    let packages = json!([{"ActionName": "Run", "PackageReferenceName": "", "Version": VERSION}]);
    let task = stack.client.deploy(&project, VERSION, "Dev", &packages);

    let reader = Reader::new(&stack.server, &task);
    let (steady, changing) = std::thread::scope(|scope| {
        let steady = scope.spawn(|| reader.read_to_the_end());
        let changing = scope.spawn(|| reader.read_with_interruptions());
        (
            steady.join().expect("a whole stream"),
            changing.join().expect("whole streams"),
        )
    });
    let log = stack.client.task(&task, "Success", seconds(30));

    let files = hashes(&unpacked(&archive, folder.path()));
    for (name, agent) in AGENTS.iter().zip(&agents) {
        let told = format!("{name} has {} files", files.len());
        assert!(
            log.contains(&told) && log.contains(&format!("{name} is done")),
            "{told}: {log}"
        );
        assert_eq!(deployed(agent, VERSION), files, "{name}");
        assert!(
            log.contains(&format!("Sending the runner to '{name}'")),
            "{name}: {log}"
        );
        let late = steady.lateness(name);
        assert_eq!(late.len(), BEATS, "{name}: {late:?}");
        assert!(late.iter().all(|late| *late < seconds(1)), "{name}: {late:?}");
    }
    assert!(!log.contains("an outdated runner"), "{log}");
    assert!(changing.interruptions >= 3, "only {}", changing.interruptions);
    assert_eq!(
        steady.events, changing.events,
        "a reader that came back saw something else"
    );
    assert_eq!(
        steady.events,
        reader.read_to_the_end().events,
        "a late reader sees something else"
    );

    let before = agents.each_ref().map(runners);
    let task = stack.client.deploy(&project, "5.35.1", "Dev", &packages);
    let log = stack.client.task(&task, "Success", seconds(90));
    assert!(!log.contains("Sending the runner"), "{log}");
    assert!(!log.contains("Sending the package"), "{log}");
    assert_eq!(agents.each_ref().map(runners), before);
}

/// Downloads the archive as npm publishes it.
fn published(folder: &Path) -> PathBuf {
    let output = Command::new("npm")
        .args([
            "pack",
            "--silent",
            &format!("{PACKAGE}@{VERSION}"),
            "--pack-destination",
        ])
        .arg(folder)
        .output()
        .expect("npm is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join(format!("{PACKAGE}-{VERSION}.tgz"))
}

fn unpacked(archive: &Path, folder: &Path) -> PathBuf {
    let to = folder.join("unpacked");
    std::fs::create_dir(&to).expect("a new folder");
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(&to)
        .status();
    assert!(status.expect("tar runs").success());
    to
}

/// Everything in a folder of this machine that is no folder: its hash by its path.
fn hashes(folder: &Path) -> BTreeMap<String, String> {
    let output = Command::new("bash")
        .args(["-c", LIST])
        .current_dir(folder)
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    listed(&String::from_utf8_lossy(&output.stdout))
}

/// The same of what was deployed to an agent.
fn deployed(agent: &Container, version: &str) -> BTreeMap<String, String> {
    let folder = format!("/applications/Dev/{PACKAGE}/{version}");
    listed(&agent.exec(&["bash", "-c", &format!("cd {folder} && {LIST}")]))
}

const LIST: &str = "find . ! -type d -exec sha256sum {} +";

fn listed(text: &str) -> BTreeMap<String, String> {
    let pairs = text
        .lines()
        .map(|line| line.split_once("  ").expect("a hash and a path"));
    pairs
        .map(|(hash, path)| (path.to_owned(), hash.to_owned()))
        .collect()
}

/// The runners on an agent, with the times at which they were written.
fn runners(agent: &Container) -> BTreeSet<String> {
    let find = "find /agent/Tools -name calamari -type f -printf '%p %T@\\n' 2>/dev/null || true";
    agent
        .exec(&["bash", "-c", find])
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A project that deploys the package and speaks afterwards; its id.
fn project(stack: &Stack) -> String {
    let package = json!({
        "Name": "",
        "PackageId": PACKAGE,
        "FeedId": "feeds-builtin",
        "AcquisitionLocation": "Server",
        "Properties": {},
    });
    let action = json!({
        "Name": "Run",
        "ActionType": "Octopus.TentaclePackage",
        "Packages": [package],
        "Properties": {
            "Octopus.Action.Package.PackageId": PACKAGE,
            "Octopus.Action.Package.FeedId": "feeds-builtin",
            "Octopus.Action.EnabledFeatures": "Octopus.Features.CustomScripts",
            "Octopus.Action.CustomScripts.PostDeploy.sh": POST_DEPLOY,
        },
    });
    stack.client.project("Swagger", "web", action)
}

/// Somebody who watches the live log of one task.
struct Reader {
    http: Http,
    url: String,
}

/// What a reader got.
#[derive(Default)]
struct Seen {
    /// Id and data of each event.
    events: Vec<(String, String)>,
    /// When each came, by this machine's clock, which is that of the containers.
    at: Vec<SystemTime>,
    interruptions: usize,
    has_ended: bool,
}

impl Reader {
    fn new(server: &Container, task: &str) -> Reader {
        // Unlike the client of the other stories it waits as long as the script takes.
        let http = Http::builder()
            .timeout(None)
            .no_proxy()
            .build()
            .expect("a client");
        let url = format!("http://{}/api/tasks/{task}/log/stream", server.address(8080));
        Reader { http, url }
    }

    fn read_to_the_end(&self) -> Seen {
        let mut seen = Seen::default();
        self.read(&mut seen, |_| false);
        assert!(
            seen.has_ended,
            "the stream broke off after {:?}",
            seen.events.last()
        );
        seen
    }

    /// Goes away in the middle of things, again and again, and comes back with the id of the last event.
    fn read_with_interruptions(&self) -> Seen {
        let mut seen = Seen::default();
        while !seen.has_ended {
            let known = seen.events.len();
            // Whether it goes away after few events or many, they may have come in one piece.
            let enough = if seen.interruptions.is_multiple_of(2) {
                1
            } else {
                6
            };
            self.read(&mut seen, |seen| seen.events.len() >= known + enough);
            if !seen.has_ended {
                seen.interruptions += 1;
                assert!(seen.interruptions < 1000, "the stream has no end");
                std::thread::sleep(Duration::from_millis(100 * (seen.interruptions as u64 % 4)));
            }
        }
        seen
    }

    fn read(&self, seen: &mut Seen, enough: impl Fn(&Seen) -> bool) {
        let request = self.http.get(&self.url).header("X-Octopus-ApiKey", API_KEY);
        let request = match seen.events.last() {
            Some((id, _)) => request.header("Last-Event-ID", id),
            None => request,
        };
        let answer = request.send().expect("the Server answers");
        assert_eq!(answer.status(), 200);
        let (mut id, mut data, mut is_end) = (String::new(), String::new(), false);
        for line in BufReader::new(answer).lines() {
            let line = line.expect("the stream goes on");
            match line.split_once(": ").unwrap_or((&line, "")) {
                ("id", value) => id = value.to_owned(),
                ("data", value) => data = value.to_owned(),
                ("event", value) => is_end = value == "end",
                ("", "") if is_end => {
                    seen.has_ended = true;
                    return;
                }
                ("", "") if !data.is_empty() => {
                    seen.events
                        .push((std::mem::take(&mut id), std::mem::take(&mut data)));
                    seen.at.push(SystemTime::now());
                    if enough(seen) {
                        return;
                    }
                }
                _ => {}
            }
        }
    }
}

impl Seen {
    /// How late each of a machine's lines came that bear the time at which they were printed.
    fn lateness(&self, machine: &str) -> Vec<Duration> {
        let lines = self.events.iter().zip(&self.at).filter_map(|((_, data), at)| {
            let event: Value = serde_json::from_str(data).expect("an event is JSON");
            let rest = text(event.get("Text")?);
            let (_, stamp) = rest.strip_prefix(&format!("{machine} beat "))?.split_once(' ')?;
            let printed = UNIX_EPOCH + Duration::from_millis(stamp.parse().expect("a time"));
            Some(at.duration_since(printed).unwrap_or_default())
        });
        lines.collect()
    }
}
