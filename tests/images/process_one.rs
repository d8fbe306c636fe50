//! Process 1 of the agent image with a stand-in for the agent's program: what is run when, and with what.

use std::os::unix::fs::PermissionsExt;

use crate::client::API_KEY;
use crate::engine::{Container, Run, Volume, agent_image, eventually, seconds, shared_folder};
use crate::quiet::{alone, together};

/// The agent image, whose `tentacle` is a script that tells its words and its credentials.
struct Stage {
    folder: tempfile::TempDir,
    volume: Volume,
}

impl Stage {
    fn new(script: &str) -> Stage {
        let stage = Stage {
            folder: shared_folder(),
            volume: Volume::new(),
        };
        stage.becomes(script);
        stage
    }

    fn becomes(&self, script: &str) {
        let head = "#!/bin/bash\necho \"$* [$(env | grep -cE '^(ServerApiKey|ServerPassword)')]\"\n";
        let program = self.folder.path().join("tentacle");
        std::fs::write(&program, format!("{head}{script}\n")).expect("our own folder");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    fn run(&self) -> Run {
        let program = self.folder.path().join("tentacle");
        let run =
            Run::new(&agent_image()).mount(program.to_str().expect("text"), "/usr/local/bin/tentacle:ro");
        let run = run
            .mount(&self.volume.0, "/agent")
            .env("ServerUrl", "http://server:8080");
        let run = run.env("TARGET_NAME", "web01").env("ServerApiKey", API_KEY);
        run.env("TargetEnvironment", "Dev").env("TargetRole", "web")
    }
}

const SERVES: &str =
    "[ $1 = agent ] || exit 0; trap 'echo agent stops; exit 0' TERM; while :; do sleep 0.05; done";

fn lines(container: &Container, word: &str) -> Vec<String> {
    container
        .logs()
        .lines()
        .filter(|line| line.starts_with(word))
        .map(str::to_owned)
        .collect()
}

/// The order of a first start and of a stop; credentials reach the registering command only (REQ-056).
#[test]
fn the_agent_is_configured_registered_served_and_deregistered() {
    let _alone = alone();
    let stage = Stage::new(&format!(
        "[ $1 = register-with ] && touch /agent/deregistration-token; {SERVES}"
    ));
    let agent = stage.run().start();
    agent.says("agent --instance", seconds(10));
    let took = agent.stop();
    assert!(took < seconds(2), "{took:?}");
    assert_eq!(agent.inspect("{{.State.ExitCode}}"), "0");
    let log = agent.logs();
    let order = [
        "create-instance",
        "new-certificate",
        "configure",
        "Configuration successful.",
        "register-with",
    ];
    let order = order
        .iter()
        .chain(&["agent --instance", "agent stops", "deregister-from"]);
    let places: Vec<_> = order
        .map(|word| log.find(word).unwrap_or_else(|| panic!("{word}: {log}")))
        .collect();
    assert!(places.is_sorted(), "{log}");
    let with_credential: Vec<&str> = log.lines().filter(|line| line.ends_with("[1]")).collect();
    assert_eq!(with_credential.len(), 1, "{log}");
    assert!(
        with_credential[0].starts_with("register-with") && !log.contains(API_KEY),
        "{log}"
    );

    agent.start_again();
    agent.says("--keep-existing", seconds(10));
}

/// A Server that is not reachable is tried again; a refusal is not, and the container lingers for 5 s.
#[test]
fn an_unreachable_server_is_tried_again_and_a_refusal_is_not() {
    let _together = together();
    let count = "n=$(cat /agent/n 2>/dev/null || echo 0); echo $((n + 1)) >/agent/n; ";
    let stage = Stage::new(&format!(
        "if [ $1 = register-with ]; then {count}[ $n -ge 2 ] || exit 9; fi; {SERVES}"
    ));
    let agent = stage.run().start();
    agent.says("agent --instance", seconds(20));
    assert_eq!(lines(&agent, "register-with").len(), 3, "{}", agent.logs());
    drop(agent);

    let stage = Stage::new("[ $1 != register-with ] || exit 9");
    let (code, log) = stage
        .run()
        .env("RegistrationRetrySeconds", "2")
        .finish(seconds(20));
    assert_eq!((code, log.matches("register-with").count()), (9, 2), "{log}");

    let stage = Stage::new("[ $1 != register-with ] || exit 8");
    let start = std::time::Instant::now();
    let (code, log) = stage.run().finish(seconds(20));
    assert_eq!((code, log.matches("register-with").count()), (8, 1), "{log}");
    assert!(start.elapsed() > seconds(5));
}

/// What registered before serves at once, and registers beside that, without end.
#[test]
fn a_registered_agent_serves_while_the_server_is_away() {
    let _together = together();
    let stage = Stage::new(SERVES);
    let agent = stage.run().start();
    agent.says("agent --instance", seconds(10));
    drop(agent);
    stage.becomes(&format!("[ $1 != register-with ] || exit 9; {SERVES}"));
    let agent = stage
        .run()
        .env("RegistrationRetrySeconds", "1")
        .env("TargetRole", "web,app")
        .start();
    eventually("it tries again", seconds(20), || {
        (lines(&agent, "register-with").len() >= 3).then_some(())
    });
    assert_eq!(lines(&agent, "agent --instance").len(), 1);
    let log = agent.logs();
    assert!(
        log.contains("TargetRole is now \"web,app\".") && !log.contains("--keep-existing"),
        "{log}"
    );
    drop(agent);

    let without = stage.run().env("ServerApiKey", "").start();
    without.says("agent --instance", seconds(10));
    assert!(lines(&without, "register-with").is_empty(), "{}", without.logs());
}

/// A second signal ends the waiting.
#[test]
fn a_second_signal_ends_at_once() {
    let _together = together();
    let stage = Stage::new(
        "[ $1 = agent ] || exit 0; trap 'n=x$n; [ $n != xx ] || exit 143' TERM; while :; do sleep 0.05; done",
    );
    let agent = stage.run().start();
    agent.says("agent --instance", seconds(10));
    agent.kill("TERM");
    agent.says("Received SIGTERM", seconds(5));
    agent.kill("TERM");
    assert_eq!(agent.exit_code(seconds(5)), 143);
    assert!(lines(&agent, "deregister-from").is_empty());
}
