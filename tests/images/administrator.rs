//! The first administrator.

use serde_json::json;

use crate::client::{API_KEY, Client};
use crate::engine::{Run, Volume, seconds, server_image};
use crate::quiet::together;

/// REQ-021, REQ-022, REQ-023: the administrator is made once, and the same command line works on every start.
#[test]
fn the_administrator_signs_in_and_a_restart_changes_nothing() {
    let _together = together();
    let volume = Volume::new();
    let run = Run::new(&server_image())
        .publish(8080)
        .mount(&volume.0, "/data")
        .env("ADMIN_API_KEY", API_KEY);
    let run = run
        .env("OctopusAdminUsername", "carol")
        .env("OctopusAdminPassword", "Corr3ct-horse");
    let container = run.clone().start();
    let client = Client::of(&container);
    assert_eq!(client.login("carol", "Corr3ct-horse"), 200);
    assert_eq!(client.login("carol", "wrong"), 401);

    let mut me = client.get("/api/users/me");
    me["Password"] = json!("An0ther-battery");
    client.put(&format!("/api/users/{}", me["Id"].as_str().unwrap()), &me);
    container.stop();
    drop(container);

    let container = run.clone().start();
    let client = Client::of(&container);
    assert_eq!(client.login("carol", "An0ther-battery"), 200);
    assert_eq!(client.login("carol", "Corr3ct-horse"), 401);
    assert_eq!(
        client
            .items("/api/users/all")
            .iter()
            .filter(|user| user["Username"] == "carol")
            .count(),
        1
    );
    drop(container);

    let container = run.env("ADMIN_PASSWORD_RESET", "true").start();
    assert_eq!(Client::of(&container).login("carol", "Corr3ct-horse"), 200);
}

/// REQ-024: one of the two is completed: the user by `admin`, the password by a random one that is told once.
#[test]
fn half_an_administrator_is_completed() {
    let _together = together();
    let run = Run::new(&server_image()).publish(8080);
    let container = run.clone().env("ADMIN_PASSWORD", "Corr3ct-horse").start();
    assert_eq!(
        Client::at(&format!("http://{}", container.address(8080)), None).login("admin", "Corr3ct-horse"),
        200
    );
    drop(container);

    let container = run.env("ADMIN_USERNAME", "carol").start();
    container.healthy(seconds(30));
    let client = Client::at(&format!("http://{}", container.address(8080)), None);
    let log = container.logs();
    let parts: Vec<&str> = log.split("Display the password").collect();
    assert_eq!(parts.len(), 2, "{log}");
    let line = parts[1]
        .lines()
        .find(|line| line.contains(" | "))
        .expect("a generated password");
    let password = line.split(" | ").nth(1).expect("the password");
    assert_eq!(client.login("carol", password), 200, "{line}");
    container.restart();
    container.healthy(seconds(30));
    assert_eq!(container.logs().matches(password).count(), 1);
}
