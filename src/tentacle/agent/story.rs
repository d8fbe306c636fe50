//! Stories of an agent on real sockets, with a Server's caller on the other end.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;

use contracts::script_service::{OutputSource, ProcessState, exit_code};
use contracts::{
    AgentClient, CapabilityCache, IsolationLevel, ScriptStatus, ScriptTicket, ScriptType, StartScriptCommand,
};
use halibut::{Caller, DataStream, Endpoint, Subscriptions};
use security::Certificate;

use super::*;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Making keys is slow in a debug build; two are enough for all stories.
fn identities() -> &'static (Identity, Identity) {
    static MADE: std::sync::OnceLock<(Identity, Identity)> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let make = || {
            let made = Certificate::generate("Octopus Tentacle", 1_800_000_000_000).unwrap();
            Identity::new(made.der.clone(), made.private_key_pkcs8.to_vec())
        };
        (make(), make())
    })
}

/// A listening agent in a home of its own, and a Server that it trusts.
struct World {
    home: tempfile::TempDir,
    client: AgentClient,
    agent: Option<Agent>,
    never: CancellationToken,
}

fn options(home: &Path) -> AgentOptions {
    let (server, own) = identities();
    AgentOptions {
        listen: Some(LOOPBACK),
        trusted: vec![server.thumbprint().clone()],
        ..AgentOptions::new(home, own.clone())
    }
}

fn server_settings() -> Settings {
    Settings {
        known_types: contracts::KNOWN_TYPES,
        ..Settings::default()
    }
}

fn client(subscriptions: Arc<Subscriptions>, endpoint: Endpoint) -> AgentClient {
    let (server, _) = identities();
    let caller = Caller::new(server, subscriptions, server_settings()).unwrap();
    AgentClient::new(Arc::new(caller), endpoint, Arc::new(CapabilityCache::new()))
}

impl World {
    async fn new() -> World {
        World::at(tempfile::tempdir().unwrap()).await
    }

    async fn at(home: tempfile::TempDir) -> World {
        let agent = Agent::start(options(home.path())).await.unwrap();
        let endpoint = Endpoint::Listening {
            uri: ListeningUri::new("127.0.0.1", agent.address().unwrap().port()).unwrap(),
            thumbprint: agent.thumbprint().clone(),
        };
        World {
            home,
            client: client(Arc::new(Subscriptions::new()), endpoint),
            agent: Some(agent),
            never: CancellationToken::new(),
        }
    }

    fn command(ticket: &str, body: &str) -> StartScriptCommand {
        let ticket = ScriptTicket::parse(ticket).unwrap();
        StartScriptCommand {
            wait: Some(Duration::from_secs(20)),
            ..StartScriptCommand::new(ticket, "ServerTasks-42", body)
        }
    }

    async fn start(&self, command: &StartScriptCommand) -> ScriptStatus {
        self.client.start_script(command, &self.never).await.unwrap()
    }

    async fn run(&self, ticket: &str, body: &str) -> ScriptStatus {
        self.start(&World::command(ticket, body)).await
    }

    /// Starts a script and does not wait for it.
    async fn begin(&self, ticket: &str, body: &str) -> ScriptStatus {
        let command = World::command(ticket, body);
        self.start(&StartScriptCommand {
            wait: None,
            ..command
        })
        .await
    }

    async fn status(&self, ticket: &str, after: i64) -> ScriptStatus {
        let ticket = ScriptTicket::parse(ticket).unwrap();
        self.client.get_status(&ticket, after, &self.never).await.unwrap()
    }

    async fn cancel(&self, ticket: &str) -> ScriptStatus {
        let ticket = ScriptTicket::parse(ticket).unwrap();
        self.client.cancel_script(&ticket, 0, &self.never).await.unwrap()
    }

    async fn until(&self, ticket: &str, is_there: impl Fn(&ScriptStatus) -> bool) -> ScriptStatus {
        let wait = async {
            loop {
                let status = self.status(ticket, 0).await;
                if is_there(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .expect("it gets there")
    }
}

fn output(status: &ScriptStatus) -> Vec<&str> {
    let lines = status
        .logs
        .iter()
        .filter(|line| line.source != OutputSource::Debug);
    lines
        .map(|line| line.text.as_str())
        .filter(|text| !text.starts_with("##octopus") && !text.starts_with("Acquiring"))
        .collect()
}

fn is_complete(status: &ScriptStatus) -> bool {
    status.state == ProcessState::Complete
}

fn says(status: &ScriptStatus, text: &str) -> bool {
    output(status).contains(&text)
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_once_and_tells_what_the_original_tells() {
    let world = World::new().await;
    let capabilities = world.client.capabilities(&world.never).await.unwrap();
    assert!(capabilities.has("IScriptServiceV2") && !capabilities.has("IScriptService"));
    let status = world.run("ticket-fail", "echo before\nexit 7\n").await;
    let texts: Vec<&str> = status.logs.iter().map(|line| line.text.as_str()).collect();
    let folder = world.home.path().join("Work/ticket-fail").display().to_string();
    assert_eq!(
        texts[..5],
        [
            "##octopus[stdout-verbose]",
            "Acquiring isolation mutex RunningScript with NoIsolation in ServerTasks-42",
            "##octopus[stdout-default]",
            "Executable directory is /bin",
            "Executable name or full path: /bin/bash",
        ]
    );
    assert_eq!(
        texts[6..],
        [
            "before",
            &format!("Process /bin/bash in {folder} exited with code 7")
        ]
    );
    assert_eq!(
        (status.state, status.exit_code, status.next_log_sequence),
        (ProcessState::Complete, 7, 8)
    );

    let again = world.run("TICKET-FAIL", "echo never").await;
    assert_eq!((again.exit_code, again.logs.len()), (7, 8));
    let ticket = ScriptTicket::parse("ticket-fail").unwrap();
    world.client.complete_script(&ticket, &world.never).await.unwrap();
    world.client.complete_script(&ticket, &world.never).await.unwrap();
    assert!(!Path::new(&folder).exists());
    let gone = world.status("ticket-fail", 0).await;
    assert_eq!(
        (gone.state, gone.exit_code),
        (ProcessState::Complete, exit_code::UNKNOWN_TICKET)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arguments_and_environment_reach_the_script() {
    let world = World::new().await;
    let mut command = World::command("t", "echo not this");
    let body = "cat greeting.txt; stat -c '%a %n' . greeting.txt secret.txt Bootstrap.sh; head -c4 secret.txt; echo; \
                echo \"args: $1|$2\"; echo \"$TentacleHome\"; env | grep -c -i -E '^(MASTER_?KEY|SERVER_?API_?KEY)='; \
                readlink /proc/self/fd/0; echo oops >&2";
    command.scripts.insert(ScriptType::Bash, body.to_owned());
    command.arguments = vec!["one".to_owned(), "\"two three\"".to_owned()];
    for (name, password) in [("greeting.txt", None), ("secret.txt", Some("correct horse"))] {
        command.files.push(contracts::ScriptFile {
            name: name.to_owned(),
            contents: DataStream::from_bytes("h\u{e9}llo\n".as_bytes().to_vec()),
            encryption_password: password.map(|text| contracts::script_service::Password(text.to_owned())),
        });
    }
    let status = world.start(&command).await;
    let home = world.home.path().display().to_string();
    let mut lines = output(&status);
    lines.retain(|line| *line != "oops");
    assert_eq!(
        lines,
        [
            "h\u{e9}llo",
            "700 .",
            "600 greeting.txt",
            "600 secret.txt",
            "600 Bootstrap.sh",
            "IV__",
            "args: one|two three",
            &home,
            "0",
            "/dev/null",
        ]
    );
    assert!(
        status
            .logs
            .iter()
            .any(|line| line.source == OutputSource::StdErr && line.text == "oops")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_while_the_script_goes_on() {
    let world = World::new().await;
    let first = world
        .begin(
            "t",
            "echo one; until [ -e go ]; do sleep 0.05; done; echo two; echo -n three",
        )
        .await;
    assert_ne!(first.state, ProcessState::Complete);
    let status = world.until("t", |status| says(status, "one")).await;
    assert_eq!(status.state, ProcessState::Running);
    fs::write(world.home.path().join("Work/t/go"), "").unwrap();
    world.until("t", is_complete).await;
    let rest = world.status("t", status.next_log_sequence).await;
    assert_eq!(output(&rest), ["two", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_for_one_ticket_start_one_script() {
    let world = World::new().await;
    let body = "echo x >> ../../counter; until [ -e go ]; do sleep 0.05; done";
    let (first, second) = tokio::join!(world.begin("same", body), world.begin("SAME", body));
    assert!(first.state != ProcessState::Complete && second.state != ProcessState::Complete);
    fs::write(
        world
            .home
            .path()
            .join("Work")
            .join(first.ticket.as_str())
            .join("go"),
        "",
    )
    .ok();
    fs::write(
        world
            .home
            .path()
            .join("Work")
            .join(second.ticket.as_str())
            .join("go"),
        "",
    )
    .ok();
    world.until("same", is_complete).await;
    assert_eq!(
        fs::read_to_string(world.home.path().join("counter")).unwrap(),
        "x\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_script_leaves_no_process_behind() {
    let world = World::new().await;
    let body = "setsid bash -c 'echo $$ > escaped; exec sleep 300' & \
                bash -c 'echo $$ > child; trap \"\" TERM; sleep 300' & \
                until [ -s escaped ] && [ -s child ]; do sleep 0.05; done; echo started; wait";
    world.begin("t", body).await;
    world.until("t", |status| says(status, "started")).await;
    let pids = ["escaped", "child"]
        .map(|name| fs::read_to_string(world.home.path().join("Work/t").join(name)).unwrap());
    assert!(pids.iter().all(|pid| is_alive(pid)));
    world.cancel("t").await;
    let ended = world.until("t", is_complete).await;
    assert_eq!(ended.exit_code, -1);
    assert!(!pids.iter().any(|pid| is_alive(pid)));
}

/// The shell must not see the end of the program that it waits for: it would go on with the next line.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_script_does_not_go_on_with_its_next_line() {
    let world = World::new().await;
    for attempt in 0..25 {
        let ticket = format!("t{attempt}");
        world
            .begin(&ticket, "echo started; sleep 60; echo never; touch ../../never")
            .await;
        world.until(&ticket, |status| says(status, "started")).await;
        world.cancel(&ticket).await;
        let ended = world.until(&ticket, is_complete).await;
        assert_eq!(output(&ended), ["started"]);
    }
    assert!(!world.home.path().join("never").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn full_isolation_waits_and_can_be_cancelled() {
    let world = World::new().await;
    world
        .begin("first", "echo started; until [ -e go ]; do sleep 0.05; done")
        .await;
    world.until("first", |status| says(status, "started")).await;
    let second = StartScriptCommand {
        wait: None,
        isolation: IsolationLevel::Full,
        ..World::command("second", "echo never")
    };
    assert_eq!(world.start(&second).await.state, ProcessState::Pending);
    world.cancel("second").await;
    let ended = world.until("second", is_complete).await;
    assert_eq!(ended.exit_code, exit_code::CANCELLED_BEFORE_START);
    let third = StartScriptCommand {
        mutex_timeout: Some(Duration::from_millis(300)),
        ticket: ScriptTicket::parse("third").unwrap(),
        wait: Some(Duration::from_secs(20)),
        ..second.fresh()
    };
    let ended = world.start(&third).await;
    assert_eq!(ended.exit_code, exit_code::ISOLATION_TIMEOUT);
    assert!(says(&ended, "Script execution timed out."));
    fs::write(world.home.path().join("Work/first/go"), "").unwrap();
    world.until("first", is_complete).await;
}

/// A killed agent takes its tasks with it, and leaves its scripts.
#[test]
fn a_restart_keeps_results_and_never_runs_a_lost_script_again() {
    let first = tokio::runtime::Runtime::new().unwrap();
    let home = first.block_on(async {
        let world = World::new().await;
        world.run("done", "echo kept; exit 3").await;
        let body = "echo x >> ../../counter; echo $$ > pid; echo before; sleep 300";
        world.begin("lost", body).await;
        world.until("lost", |status| says(status, "before")).await;
        world.home
    });
    first.shutdown_timeout(Duration::from_secs(5));
    let pid = fs::read_to_string(home.path().join("Work/lost/pid")).unwrap();
    assert!(is_alive(&pid));

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let world = World::at(home).await;
        assert!(!is_alive(&pid));
        let lost = world.status("lost", 0).await;
        assert_eq!(
            (lost.state, lost.exit_code),
            (ProcessState::Complete, exit_code::UNKNOWN_RESULT)
        );
        assert!(says(&lost, "before"));
        let again = world.run("lost", "echo x >> ../../counter").await;
        assert_eq!(again.exit_code, exit_code::UNKNOWN_RESULT);
        let counter = fs::read_to_string(world.home.path().join("counter")).unwrap();
        assert_eq!(counter, "x\n");
        let done = world.status("done", 0).await;
        assert_eq!(done.exit_code, 3);
        assert_eq!(output(&done), ["kept"]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_scripts_end_and_then_ends_them() {
    let home = tempfile::tempdir().unwrap();
    let world = World::at(home).await;
    world
        .begin(
            "stubborn",
            "trap '' TERM; echo started; while :; do sleep 0.1; done",
        )
        .await;
    world
        .begin(
            "polite",
            "trap 'echo goodbye; exit 5' TERM; echo started; while :; do sleep 0.1; done",
        )
        .await;
    for ticket in ["stubborn", "polite"] {
        world.until(ticket, |status| says(status, "started")).await;
    }
    let World {
        home,
        agent,
        client,
        never,
        ..
    } = world;
    let mut agent = agent.unwrap();
    agent.grace = Duration::from_secs(4);
    let started = Instant::now();
    agent.services.scripts().set_stopping(Stopping::Announced);
    let stopping = tokio::spawn(agent.stop());
    let late = client
        .start_script(&World::command("late", "echo never"), &never)
        .await;
    assert!(late.unwrap_err().to_string().contains("shutting down"));
    stopping.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(4));

    let world = World::at(home).await;
    let polite = world.status("polite", 0).await;
    assert_eq!((polite.exit_code, says(&polite, "goodbye")), (5, true));
    assert_eq!(world.status("stubborn", 0).await.exit_code, 137);
    assert_eq!(world.status("late", 0).await.exit_code, exit_code::UNKNOWN_TICKET);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_agent_stops_at_once_and_lets_go_of_its_home() {
    let world = World::new().await;
    assert!(matches!(
        Agent::start(options(world.home.path())).await,
        Err(AgentError::HomeInUse(_))
    ));
    let started = Instant::now();
    world.agent.unwrap().stop().await;
    assert!(started.elapsed() < Duration::from_secs(1));
    World::at(world.home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polling_agent_runs_scripts_and_takes_files() {
    let home = tempfile::tempdir().unwrap();
    let (server, own) = identities();
    let subscriptions = Arc::new(Subscriptions::new());
    let subscription = Subscription::parse("poll://abcdefghjklmnpqrstuv/").unwrap();
    let trust = Arc::new(TrustList::new());
    trust.bind(subscription.clone(), own.thumbprint().clone());
    let listener = Listener::bind(ListenerOptions {
        answering: Answering {
            service: None,
            subscriptions: Some(Arc::clone(&subscriptions)),
        },
        settings: server_settings(),
        ..ListenerOptions::new(LOOPBACK, server.clone(), trust)
    })
    .unwrap();
    let agent = Agent::start(AgentOptions {
        listen: None,
        polling: vec![PolledServer {
            address: ListeningUri::new("127.0.0.1", listener.address().port()).unwrap(),
            thumbprint: server.thumbprint().clone(),
            subscription: subscription.clone(),
        }],
        ..options(home.path())
    })
    .await
    .unwrap();
    tokio::time::timeout(Duration::from_secs(20), agent.connected())
        .await
        .unwrap();
    assert!(agent.health());
    let endpoint = Endpoint::Polling {
        subscription,
        thumbprint: own.thumbprint().clone(),
    };
    let client = client(subscriptions, endpoint);
    let never = CancellationToken::new();
    let status = client
        .start_script(&World::command("t", "echo polled"), &never)
        .await
        .unwrap();
    assert_eq!(output(&status), ["polled"]);

    let content = vec![7_u8; 300_000];
    let stored = client
        .upload_file("Files/data.bin", &DataStream::from_bytes(content.clone()), &never)
        .await
        .unwrap();
    assert_eq!(stored.length, 300_000);
    let path = home.path().join("Files/data.bin");
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let back = client
        .download_file("Files/data.bin", &never)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(back.read_to_vec(1 << 20).await.unwrap(), content);
    assert_eq!(fs::read_dir(home.path().join("Spool")).unwrap().count(), 0);
    agent.stop().await;
}
