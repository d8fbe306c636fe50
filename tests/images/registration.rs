//! How an agent container becomes a machine (`containers.md` 3.1 to 3.3).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{API_KEY, text};
use crate::engine::{Network, Run, Volume, agent_image, docker, eventually, seconds};
use crate::quiet::together;
use crate::stack::Stack;

fn uri(machine: &Value) -> String {
    text(&machine["Endpoint"]["Uri"])
}

fn names(machine: &Value, member: &str) -> BTreeSet<String> {
    machine[member]
        .as_array()
        .expect("a list")
        .iter()
        .map(text)
        .collect()
}

/// REQ-045, REQ-048, REQ-049, REQ-055, REQ-060, REQ-062, REQ-065: a listening agent registers with everything it
/// was told, trimmed, and is found healthy.
#[test]
pub fn a_listening_agent_registers_and_is_healthy() {
    let _together = together();
    let stack = Stack::new();
    let run = stack
        .listening("web01")
        .env("TargetEnvironment", "Dev, Test")
        .env("TargetRole", " web , app,");
    let agent = run.start();
    let machine = stack.client.healthy_machine("web01");
    assert_eq!(machine["Endpoint"]["CommunicationStyle"], "TentaclePassive");
    assert_eq!(uri(&machine), "https://web01:10933/");
    assert_eq!(names(&machine, "Roles"), ["app", "web"].map(str::to_owned).into());
    let wanted = ["Dev", "Test"].map(|name| stack.client.environment(name));
    assert_eq!(names(&machine, "EnvironmentIds"), wanted.into());
    let log = agent.logs();
    for line in [
        "Machine registered successfully",
        "Configuration successful.",
        "communication mode 'Listening'",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    agent.becomes("healthy", seconds(20));
    assert!(listeners(&agent.exec(&["cat", "/proc/net/tcp", "/proc/net/tcp6"])).contains(&10933));
    assert!(!log.contains(API_KEY), "{log}");
}

/// REQ-047, REQ-064: a polling agent opens no port.
#[test]
fn a_polling_agent_opens_no_port() {
    let _together = together();
    let stack = Stack::new();
    let agent = stack.polling("poll01").start();
    let machine = stack.client.healthy_machine("poll01");
    assert_eq!(machine["Endpoint"]["CommunicationStyle"], "TentacleActive");
    assert!(uri(&machine).starts_with("poll://"), "{machine}");
    assert!(
        agent.logs().contains("communication mode 'Polling'"),
        "{}",
        agent.logs()
    );
    agent.becomes("healthy", seconds(20));
    let tables = agent.exec(&["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
    assert!(listeners(&tables).is_empty(), "{tables}");
}

/// The ports of listening sockets, the engine's own resolver (127.0.0.11) aside.
fn listeners(tables: &str) -> Vec<u16> {
    let rows = tables
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening = rows.filter(|row| row.get(3) == Some(&"0A") && !row[1].starts_with("0B00007F:"));
    let ports = listening.filter_map(|row| row[1].rsplit(':').next());
    ports
        .map(|port| u16::from_str_radix(port, 16).expect("a port in hexadecimal digits"))
        .collect()
}

/// REQ-050, REQ-051: every start registers, and there is still one machine, of the same id: after restarts, with a
/// new container on the same volume, and with a new one of the same name on none.
#[test]
fn a_machine_stays_one_whatever_happens_to_its_container() {
    let _together = together();
    let stack = Stack::new();
    let volume = Volume::new();
    let run = stack.listening("web01").mount(&volume.0, "/agent");
    let agent = run.clone().start();
    agent.says("Machine registered successfully", seconds(30));
    let id = text(&stack.client.machine("web01")["Id"]);
    for start in 1..=5 {
        agent.restart();
        let seen = || agent.logs().matches("Machine registered successfully").count() > start;
        eventually("it registers again", seconds(30), || seen().then_some(()));
    }
    let all = stack.client.machines();
    assert_eq!((all.len(), text(&all[0]["Id"])), (1, id.clone()));

    docker(&["rm", "--force", &agent.name]);
    let second = run.start();
    second.says("Machine registered successfully", seconds(30));
    let all = stack.client.machines();
    assert_eq!((all.len(), text(&all[0]["Id"])), (1, id.clone()));

    docker(&["rm", "--force", "--volumes", &second.name]);
    let third = stack.listening("web01").start();
    third.says("Machine registered successfully", seconds(30));
    let all = stack.client.machines();
    assert_eq!((all.len(), text(&all[0]["Id"])), (1, id));
    stack.client.healthy_machine("web01");
}

/// REQ-057: a user registers like a key does.
#[test]
fn a_user_name_and_a_password_register_as_well() {
    let _together = together();
    let stack = Stack::new();
    let run = stack.listening("web01").env("ServerApiKey", "");
    let agent = run
        .env("ServerUsername", "admin")
        .env("ServerPassword", "Corr3ct-horse")
        .start();
    stack.client.healthy_machine("web01");
    assert!(!agent.logs().contains("Corr3ct-horse"), "{}", agent.logs());
}

/// REQ-058, REQ-059, REQ-070: what is missing or makes no sense is told at once, before anything is sent.
#[test]
fn wrong_settings_end_with_code_2_and_a_line_each() {
    let _together = together();
    let run = Run::new(&agent_image())
        .option("--network=none")
        .env("TargetEnvironment", "Dev")
        .env("TargetRole", "web");
    let refused = |run: Run, text: &str| {
        let (code, log) = run.finish(seconds(20));
        assert_eq!(code, 2, "{log}");
        let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        assert_eq!(lines.len(), 1, "{text}: {log}");
    };
    let server = "http://server:8080";
    refused(run.clone().env("ServerUrl", server), "ServerApiKey");
    refused(run.clone().env("ServerApiKey", API_KEY), "ServerUrl");
    let whole = run.env("ServerUrl", server).env("ServerApiKey", API_KEY);
    refused(
        whole.clone().env("PublicHostNameConfiguration", "Custom"),
        "CustomPublicHostName",
    );
    refused(
        whole.clone().env("PublicHostNameConfiguration", "Guess"),
        "PublicHostNameConfiguration",
    );
    refused(whole.env("TargetWorkerPool", "Default"), "TargetWorkerPool");
}

/// REQ-061: an environment that does not exist is named.
#[test]
fn an_unknown_environment_is_refused_by_name() {
    let _together = together();
    let stack = Stack::new();
    let (code, log) = stack
        .listening("web01")
        .env("TargetEnvironment", "Dev,Moon")
        .finish(seconds(60));
    assert_eq!(code, 8, "{log}");
    assert!(log.lines().any(|line| line.contains("Moon")), "{log}");
    assert!(stack.client.machines().is_empty());
}

/// REQ-054, REQ-063, REQ-066, REQ-067, REQ-068, REQ-069: the Server is told the name and port that were asked for.
/// The network has no way out, so that nobody else is asked.
#[test]
fn the_public_host_name_is_what_was_asked_for() {
    let _together = together();
    let stack = Stack::on(Network::isolated(), |run| run);
    let cases = [
        ("h1", vec![("ListeningPort", "10931")], "https://h1:10931/"),
        (
            "h2",
            vec![("PublicHostNameConfiguration", "ComputerName")],
            "https://h2:10933/",
        ),
        (
            "a.b.c",
            vec![("PublicHostNameConfiguration", "FQDN")],
            "https://a.b.c:10933/",
        ),
        (
            "h4",
            vec![
                ("PublicHostNameConfiguration", "Custom"),
                ("CustomPublicHostName", "Web04.Example.com"),
            ],
            "https://web04.example.com:10933/",
        ),
    ];
    for (host, variables, expected) in cases {
        let run = stack.listening("").option(&format!("--hostname={host}"));
        let run = run.env("DeregisterOnStop", "false");
        let _agent = variables
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value))
            .start();
        // No TargetName: the machine bears the host name.
        assert_eq!(uri(&stack.client.machine(host)), expected);
    }
    let run = stack
        .listening("by-address")
        .env("PublicHostNameConfiguration", "PublicIp");
    let agent = run.start();
    let address = agent.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    assert_eq!(
        uri(&stack.client.machine("by-address")),
        format!("https://{address}:10933/")
    );

    let short = stack
        .listening("short")
        .env("PublicHostNameConfiguration", "FQDN")
        .finish(seconds(20));
    assert!(
        short.0 == 2 && short.1.contains("FQDN"),
        "{} {}",
        short.0,
        short.1
    );
}

/// REQ-071: the port of a listening agent is declared.
#[test]
fn the_image_exposes_the_listening_port() {
    let ports = docker(&[
        "inspect",
        "--format",
        "{{json .Config.ExposedPorts}}",
        &agent_image(),
    ]);
    assert!(ports.contains("10933/tcp"), "{ports}");
}

/// REQ-092: two agents have two keys, and the image has none.
#[test]
fn every_container_makes_its_own_key() {
    let _together = together();
    let stack = Stack::new();
    let _agents = [stack.listening("one").start(), stack.polling("two").start()];
    let thumbprint = |name| text(&stack.client.machine(name)["Endpoint"]["Thumbprint"]);
    assert_ne!(thumbprint("one"), thumbprint("two"));

    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    docker(&["save", "--output", archive.to_str().unwrap(), &agent_image()]);
    let needle = b"-----BEGIN PRIVATE KEY-----\n";
    let image = std::fs::read(&archive).unwrap();
    // A parser holds the words without what follows them in a file.
    let keys = image
        .windows(needle.len() + 4)
        .filter(|window| window.starts_with(needle) && window[needle.len()..].starts_with(b"MII"));
    assert_eq!(keys.count(), 0, "the image holds a private key");
}
