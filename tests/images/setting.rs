//! Any spelling of a setting, and what happens to wrong ones.

use crate::client::{API_KEY, Client};
use crate::engine::{Run, agent_image, docker, seconds, server_image, shared_folder};
use crate::quiet::together;
use crate::stack::server;

const PASSWORD: &str = "P@ssw0rd-of-the-story";

/// REQ-012, REQ-013, REQ-014, REQ-082: four spellings are one setting, and its password is never shown.
#[test]
fn every_spelling_of_the_connection_string_names_the_same_database() {
    let _together = together();
    for spelling in [
        "sqlDbConnectionString",
        "SqlDbConnectionString",
        "SQLDBCONNECTIONSTRING",
        "DB_CONNECTION_STRING",
    ] {
        let text = format!("Host=127.0.0.1;Port=1;Database=octopus;Username=sa;Password={PASSWORD}");
        let run = Run::new(&server_image())
            .env(spelling, &text)
            .env("DB_WAIT_SECONDS", "1");
        let (code, log) = run.finish(seconds(20));
        assert_eq!(code, 4, "{log}");
        assert!(
            log.contains("postgres://sa:##########@127.0.0.1:1/octopus"),
            "{spelling}: {log}"
        );
        assert!(!log.contains(PASSWORD), "{spelling}: {log}");
    }
}

/// REQ-014: SQL Server's shape is read, and refused in one line.
#[test]
fn a_sql_server_string_is_refused_and_its_password_not_shown() {
    let _together = together();
    let text = format!("Server=db,1433;Initial Catalog=Octopus;User ID=SA;Password={PASSWORD}");
    let (code, log) = Run::new(&server_image())
        .env("sqlDbConnectionString", &text)
        .finish(seconds(20));
    assert_eq!(code, 2, "{log}");
    let line = log
        .lines()
        .find(|line| line.contains("SQL Server"))
        .unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains("postgres://") && line.contains("Data Source="),
        "{line}"
    );
    assert!(!log.contains(PASSWORD), "{log}");
}

/// REQ-082: the seed's names of the administrator and the key do what the Linux names do.
#[test]
fn seed_names_do_what_linux_names_do() {
    let _together = together();
    let key = "MDEyMzQ1Njc4OWFiY2RlZg==";
    for names in [
        ["masterKey", "OctopusAdminUsername", "OctopusAdminPassword"],
        ["MASTER_KEY", "ADMIN_USERNAME", "ADMIN_PASSWORD"],
    ] {
        let run = Run::new(&server_image()).publish(8080);
        let container = run
            .env(names[0], key)
            .env(names[1], "carol")
            .env(names[2], "Corr3ct-horse")
            .start();
        let client = Client::at(&format!("http://{}", container.address(8080)), None);
        assert_eq!(client.login("carol", "Corr3ct-horse"), 200, "{names:?}");
        assert_eq!(container.exec(&["mantle", "show-master-key"]), key, "{names:?}");
    }
}

/// REQ-083: two spellings with two values are told by name, never by value.
#[test]
fn two_values_for_one_setting_stop_the_start() {
    let _together = together();
    let run = Run::new(&server_image())
        .env("masterKey", "b25l")
        .env("MASTER_KEY", "b3RoZXI=")
        .env("TASK_CAP", "x");
    let (code, log) = run.finish(seconds(20));
    assert_eq!(code, 2);
    assert!(
        log.contains("MASTER_KEY") && log.contains("masterKey") && log.contains("TASK_CAP"),
        "{log}"
    );
    assert!(!log.contains("b25l") && !log.contains("b3RoZXI"), "{log}");
}

/// REQ-084: each secret is taken from a file; both ways at once are refused.
#[test]
pub fn secrets_come_from_files() {
    let _together = together();
    let folder = shared_folder();
    let key = "MDEyMzQ1Njc4OWFiY2RlZg==";
    for (name, content) in [("key", key), ("password", "Corr3ct-horse"), ("api-key", API_KEY)] {
        std::fs::write(folder.path().join(name), format!("{content}\n")).unwrap();
    }
    let run = Run::new(&server_image())
        .publish(8080)
        .mount(folder.path().to_str().unwrap(), "/run/secrets:ro");
    let run = run
        .env("MASTER_KEY_FILE", "/run/secrets/key")
        .env("ADMIN_PASSWORD_FILE", "/run/secrets/password");
    let container = run
        .clone()
        .env("ADMIN_API_KEY_FILE", "/run/secrets/api-key")
        .start();
    let client = Client::of(&container);
    assert_eq!(client.status("/api/users/me"), 200);
    assert_eq!(client.login("admin", "Corr3ct-horse"), 200);
    assert_eq!(container.exec(&["mantle", "show-master-key"]), key);
    let environment = container.inspect("{{.Config.Env}}");
    assert!(
        !environment.contains("Corr3ct-horse") && !environment.contains(API_KEY),
        "{environment}"
    );

    let (code, log) = run.clone().env("MASTER_KEY", key).finish(seconds(20));
    assert!(code == 2 && log.contains("MASTER_KEY_FILE"), "{code} {log}");
    let (code, log) = run
        .env("ADMIN_API_KEY_FILE", "/run/secrets/none")
        .finish(seconds(20));
    assert!(code == 2 && log.contains("/run/secrets/none"), "{code} {log}");
}

/// REQ-085: the images track their own health, without a shell, and quickly.
#[test]
fn the_health_check_is_a_program_of_the_image() {
    let _together = together();
    for (image, program) in [(server_image(), "mantle"), (agent_image(), "tentacle")] {
        let check = docker(&["inspect", "--format", "{{json .Config.Healthcheck.Test}}", &image]);
        assert_eq!(
            check,
            format!(r#"["CMD","/usr/local/bin/{program}","healthcheck"]"#)
        );
    }
    let container = server().start();
    container.healthy(seconds(30));
    assert_eq!(container.try_exec(&["mantle", "healthcheck"]).0, 0);
    let stopped = Run::new(&server_image())
        .words(&["mantle", "healthcheck"])
        .finish(seconds(20));
    assert_ne!(stopped.0, 0, "nothing listens in this container");
}
