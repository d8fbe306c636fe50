//! A Server on PostgreSQL.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::{API_KEY, Client};
use crate::engine::{Container, Network, Run, eventually, repository, seconds};
use crate::quiet::together;
use crate::stack::server;

const PASSWORD: &str = "Db-passw0rd";

/// The image of the compose file; a stand-in where no registry answers.
pub fn postgres_image() -> &'static str {
    let output = Command::new(repository().join("tests/images/stand_in"))
        .arg("postgres:17")
        .output();
    let output = output.expect("the script runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    "postgres:17"
}

/// A PostgreSQL that its network knows as `db`, with an empty database `mantle`.
pub fn postgres(network: &Network) -> Run {
    let run = Run::new(postgres_image())
        .plain()
        .on(network)
        .option("--network-alias=db");
    run.env("POSTGRES_USER", "octo")
        .env("POSTGRES_PASSWORD", PASSWORD)
        .env("POSTGRES_DB", "mantle")
}

/// The connection string of a database of [`postgres`].
pub fn text_for(database: &str) -> String {
    format!("Host=db;Database={database};Username=octo;Password={PASSWORD}")
}

/// Runs a dump in the database `mantle`, once the container takes connections.
pub fn load(database: &Container, dump: &[u8]) {
    let psql = [
        "psql",
        "-XqAt",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        "127.0.0.1",
        "-U",
        "octo",
        "-d",
        "mantle",
    ];
    let ask = |words: &[&str]| {
        let password = format!("PGPASSWORD={PASSWORD}");
        let mut command = Command::new("docker");
        command
            .args(["exec", "--interactive", "--env", &password, &database.name])
            .args(psql)
            .args(words);
        command
    };
    eventually("PostgreSQL takes connections", seconds(30), || {
        let answered = ask(&["-c", "select 1"]).output().expect("docker runs");
        answered.status.success().then_some(())
    });
    let mut loading = ask(&[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker runs");
    let mut pipe = loading.stdin.take().expect("it is piped");
    pipe.write_all(dump).expect("psql reads");
    drop(pipe);
    let loaded = loading.wait_with_output().expect("it ends");
    assert!(
        loaded.status.success(),
        "{}",
        String::from_utf8_lossy(&loaded.stderr)
    );
}

fn on_postgres(network: &Network) -> Run {
    server()
        .on(network)
        .env("SqlDbConnectionString", &text_for("mantle"))
}

fn ready(server: &Container) -> Client {
    server.healthy(seconds(60));
    assert!(!server.logs().contains(PASSWORD), "{}", server.logs());
    Client::at(&format!("http://{}", server.address(8080)), Some(API_KEY))
}

/// REQ-074: a database that comes 20 s late is waited for.
#[test]
fn a_late_database_is_waited_for() {
    let _together = together();
    let network = Network::new();
    postgres_image();
    let server = on_postgres(&network).start();
    std::thread::sleep(seconds(20)); // the story is that nothing is there for this long
    assert!(server.is_running(), "{}", server.logs());
    let database = postgres(&network).start();
    let client = ready(&server);
    assert_eq!(client.items("/api/Spaces-1/environments/all").len(), 2);
    drop((server, database));
}

/// REQ-085: without its database the Server is unhealthy within 45 s, and healthy again with it.
#[test]
fn health_follows_the_database() {
    let _together = together();
    let network = Network::new();
    let database = postgres(&network).start();
    let server = on_postgres(&network).start();
    let client = ready(&server);
    database.kill("KILL");
    server.becomes("unhealthy", seconds(45));
    assert_eq!(client.status("/healthz/live"), 200);
    assert_eq!(client.status("/healthz/ready"), 503);
    database.start_again();
    server.becomes("healthy", seconds(60));
    drop((server, database));
}

/// REQ-042: a second container finds the database set up and leaves it as it is.
#[test]
fn a_second_container_finds_the_database() {
    let _together = together();
    let network = Network::new();
    let database = postgres(&network).start();
    let first = on_postgres(&network).start();
    ready(&first);
    let key = first.exec(&["mantle", "show-master-key"]);
    first.stop();
    drop(first);
    let (code, log) = on_postgres(&network).finish(seconds(60));
    assert_eq!(code, 3, "{log}");
    let second = on_postgres(&network).env("MASTER_KEY", &key).start();
    let client = ready(&second);
    assert!(
        second.logs().to_lowercase().contains("existing database"),
        "{}",
        second.logs()
    );
    assert_eq!(client.items("/api/Spaces-1/environments/all").len(), 2);
    drop((second, database));
}
