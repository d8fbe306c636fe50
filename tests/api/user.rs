//! Signing in, sessions, users and their API keys.

use application::Secret;
use application::user::Administrator;
use reqwest::Method;
use serde_json::{Value, json};
use tests::on_both_engines;
use tests::server::{API_KEY, Answer, TestServer};

use crate::all;

const PASSWORD: &str = "Corr3ct-horse";
const MINUTE: i64 = 60_000;

/// Makes a person who administers the Server.
async fn person(server: &TestServer, username: &str) {
    let administrator = Administrator {
        username: username.into(),
        password: Some(Secret::from(PASSWORD)),
        email: format!("{username}@example.com"),
        api_key: None,
    };
    application::user::create_administrator(&server.context, administrator)
        .await
        .expect("the person is made");
}

async fn sign_in(server: &TestServer, username: &str, password: &str) -> Answer {
    let body = json!({ "Username": username, "Password": password, "RememberMe": false, "State": { "UsingSecureConnection": false } });
    server
        .send(server.anonymous(Method::POST, "/api/users/login").json(&body))
        .await
}

/// The cookies of an answer as a browser sends them back, and the value of the anti-forgery cookie.
fn cookies(answer: &Answer) -> (String, String) {
    let pairs: Vec<String> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_string))
        .collect();
    let forgery: Vec<&String> = pairs
        .iter()
        .filter(|pair| pair.starts_with("Octopus-Csrf-Token"))
        .collect();
    assert_eq!(forgery.len(), 1, "clients assert exactly one: {pairs:?}");
    let value = forgery[0]
        .split_once('=')
        .expect("a cookie has a value")
        .1
        .to_string();
    (pairs.join("; "), value)
}

async fn with_session(
    server: &TestServer,
    method: Method,
    path: &str,
    cookies: &str,
    token: Option<&str>,
) -> Answer {
    let mut request = server.anonymous(method, path).header("Cookie", cookies);
    if let Some(token) = token {
        request = request.header("X-Octopus-Csrf-Token", token);
    }
    server
        .send(request.json(&json!({ "Name": "Test", "Purpose": "a key" })))
        .await
}

async fn with_key(server: &TestServer, key: &str) -> u16 {
    server
        .send(server.with_key(Method::GET, "/api/users/me", key))
        .await
        .status
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is a text").to_string()
}

on_both_engines! {
    async fn a_person_signs_in_changes_something_and_signs_out(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        let answer = sign_in(&server, "ALICE", PASSWORD).await;
        assert_eq!((answer.status, &answer.body["Username"]), (200, &json!("alice")));
        let set: Vec<_> = answer.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()).collect();
        let identity = set.iter().find(|cookie| cookie.starts_with("OctopusIdentificationToken_")).expect("a session cookie");
        assert!(identity.contains("HttpOnly") && identity.contains("SameSite=Lax") && identity.contains("Path=/"), "{identity}");
        let forgery = set.iter().find(|cookie| cookie.starts_with("Octopus-Csrf-Token_")).expect("an anti-forgery cookie");
        assert!(!forgery.contains("HttpOnly") && !forgery.contains("Max-Age"), "{forgery}");
        let (cookies, token) = cookies(&answer);
        let me = with_session(&server, Method::GET, "/api/users/me", &cookies, None).await.fine();
        assert_eq!((&me["Username"], &me["IsRequestor"]), (&json!("alice"), &json!(true)));
        for wrong in [None, Some("wrong"), Some("")] {
            let text = with_session(&server, Method::POST, "/api/Spaces-1/environments", &cookies, wrong).await.refused(403);
            assert!(text.contains("anti-forgery"), "{text}");
        }
        // The method that counts is the one that is meant.
        let disguised = server.anonymous(Method::POST, "/api/environments/Environments-1").header("Cookie", &cookies);
        let disguised = server.send(disguised.header("X-HTTP-Method-Override", "DELETE")).await;
        assert_eq!(disguised.status, 403);
        assert_eq!(with_session(&server, Method::POST, "/api/Spaces-1/environments", &cookies, Some(&token)).await.status, 201);
        let out = with_session(&server, Method::POST, "/api/users/logout", &cookies, Some(&token)).await;
        assert_eq!(out.status, 200);
        assert!(out.headers.get_all("set-cookie").iter().all(|cookie| cookie.to_str().is_ok_and(|text| text.contains("Max-Age=0"))));
        assert_eq!(with_session(&server, Method::GET, "/api/users/me", &cookies, None).await.status, 401, "the cookie is void");
        let events = server.get("/api/events").await.fine();
        let categories = all(&events, "Category");
        assert!(categories.contains(&"LoginSucceeded") && categories.contains(&"Logout"), "{categories:?}");
        let created = events["Items"].as_array().expect("a list").iter().find(|event| event["Message"] == "The environment Test was created.");
        let created = created.expect("the change has its event");
        assert_eq!((&created["Username"], &created["IdentityEstablishedWith"]), (&json!("alice"), &json!("Session cookie")));
        assert_eq!(created["IpAddress"], "127.0.0.1");
    }

    async fn one_sessions_token_is_not_anothers(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        person(&server, "bob").await;
        let (alice, _) = cookies(&sign_in(&server, "alice", PASSWORD).await);
        let (_, token) = cookies(&sign_in(&server, "bob", PASSWORD).await);
        assert_eq!(with_session(&server, Method::POST, "/api/environments", &alice, Some(&token)).await.status, 403);
    }

    async fn a_session_that_is_not_used_ends_and_one_that_is_used_goes_on(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        let (idle, _) = cookies(&sign_in(&server, "alice", PASSWORD).await);
        let (used, _) = cookies(&sign_in(&server, "alice", PASSWORD).await);
        for _ in 0..3 {
            server.clock.advance(15 * MINUTE);
            assert_eq!(with_session(&server, Method::GET, "/api/users/me", &used, None).await.status, 200);
        }
        assert_eq!(with_session(&server, Method::GET, "/api/users/me", &idle, None).await.status, 401);
        server.clock.advance(21 * MINUTE);
        assert_eq!(with_session(&server, Method::GET, "/api/users/me", &used, None).await.status, 401);
        let body = json!({ "Username": "alice", "Password": PASSWORD, "RememberMe": true });
        let answer = server.send(server.anonymous(Method::POST, "/api/users/login").json(&body)).await;
        let (remembered, _) = cookies(&answer);
        server.clock.advance(19 * 24 * 60 * MINUTE);
        assert_eq!(with_session(&server, Method::GET, "/api/users/me", &remembered, None).await.status, 200);
        server.clock.advance(2 * 24 * 60 * MINUTE);
        assert_eq!(with_session(&server, Method::GET, "/api/users/me", &remembered, None).await.status, 401);
    }

    async fn a_new_password_ends_the_sessions(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        let (session, _) = cookies(&sign_in(&server, "alice", PASSWORD).await);
        application::user::reset_password(&server.context, "alice", Secret::from("Anoth3r-horse")).await.expect("it is set");
        assert_eq!(with_session(&server, Method::GET, "/api/users/me", &session, None).await.status, 401);
        assert_eq!(sign_in(&server, "alice", PASSWORD).await.status, 401);
        assert_eq!(sign_in(&server, "alice", "Anoth3r-horse").await.status, 200);
    }

    async fn who_guesses_is_locked_out_and_strangers_are_not(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        person(&server, "bob").await;
        let unknown = sign_in(&server, "nobody", "x").await;
        let wrong = sign_in(&server, "alice", "x").await;
        assert_eq!((wrong.status, &wrong.body), (401, &unknown.body), "a name that exists looks like one that does not");
        assert!(wrong.headers.get("set-cookie").is_none());
        for _ in 0..8 {
            assert_eq!(sign_in(&server, "Alice", "x").await.status, 401);
        }
        let banned = sign_in(&server, "alice", PASSWORD).await;
        let seconds: i64 = banned.headers["retry-after"].to_str().expect("a text").parse().expect("a number");
        assert!((1..=600).contains(&seconds), "{seconds}");
        assert!(banned.refused(429).contains("too many failed attempts"));
        assert_eq!(sign_in(&server, "bob", PASSWORD).await.status, 200);
        let events = server.get("/api/events").await.fine();
        let categories = all(&events, "Category");
        assert_eq!(categories.iter().filter(|category| **category == "LoginFailed").count(), 10);
        assert_eq!(categories.iter().filter(|category| **category == "LoginBanned").count(), 1);
        server.clock.advance(10 * MINUTE + 1);
        assert_eq!(sign_in(&server, "alice", PASSWORD).await.status, 200);
    }

    async fn one_address_may_not_try_all_names(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        // Each failure takes a second of hashing on a small machine, so all but the last are only counted.
        let mut session = server.context.database.write().await.expect("the database can be written");
        for _ in 0..49 {
            storage::user::count_failure(&mut session, "address\n127.0.0.1", tests::database::NOW, 0)
                .await
                .expect("it is counted");
        }
        session.commit().await.expect("the database can be written");
        assert_eq!(sign_in(&server, "bob", "x").await.status, 401);
        assert_eq!(sign_in(&server, "alice", PASSWORD).await.status, 429);
    }

    async fn strange_names_and_passwords_are_only_wrong(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        for (username, password) in [("", ""), ("a\u{0}b", "x"), ("admin", "\u{0}"), (&*"long".repeat(100_000), "x"), ("x", &*"long".repeat(100_000))] {
            assert_eq!(sign_in(&server, username, password).await.status, 401, "{:.20}", username.escape_debug());
        }
        let body = json!({ "Username": ["a"], "Password": 3 });
        assert_eq!(server.send(server.anonymous(Method::POST, "/api/users/login").json(&body)).await.status, 400);
        assert_eq!(sign_in(&server, "admin", "x").await.status, 401, "a service account has no password");
    }

    async fn an_empty_key_is_no_key_and_a_wrong_one_is_refused(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let ask = |path: &str, key: &str| server.anonymous(Method::GET, path).header("X-Octopus-ApiKey", key);
        assert_eq!(server.send(ask("/api", "")).await.status, 200);
        assert!(server.send(ask("/api/users/me", " ")).await.refused(401).contains("must be signed in"));
        assert!(server.send(ask("/api/users/me", "API-WRONGWRONGWRONG")).await.refused(401).contains("not valid"));
        let bearer = server.anonymous(Method::GET, "/api/users/me").bearer_auth("x.y.z");
        assert_eq!(server.send(bearer).await.status, 401);
        let nuget = server.anonymous(Method::GET, "/api/users/me").header("X-NuGet-ApiKey", API_KEY);
        assert_eq!(server.send(nuget).await.status, 200);
        for _ in 0..99 {
            assert_eq!(with_key(&server, "API-GUESSGUESSGUESSGUESS").await, 401);
        }
        let limited = server.send(ask("/api/users/me", "API-GUESSGUESSGUESSGUESS")).await;
        assert!(limited.headers.contains_key("retry-after"));
        assert_eq!(limited.status, 429);
        assert_eq!(server.get("/api/users/me").await.status, 200, "a key that is right is served");
    }

    async fn a_key_is_shown_once_and_ends_when_it_should(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        let keys = "/api/users/Users-1/apikeys";
        let text = server.post(keys, json!({ "Purpose": " " })).await.refused(400);
        assert!(text.contains("Purpose"), "{text}");
        let text = server.post(keys, json!({ "Purpose": "old", "Expires": "2001-01-01T00:00:00.000+00:00" })).await.refused(400);
        assert!(text.contains("future"), "{text}");
        let made = server.post(keys, json!({ "Purpose": "CI" })).await;
        assert_eq!(made.status, 201);
        let key = made.body["ApiKey"].as_str().expect("the answer has the key as text").to_string();
        assert!(key.starts_with("API-") && key[4..].bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()), "{key}");
        let this = made.body["Links"]["Self"].as_str().expect("a key has an address");
        let later = server.get(this).await.fine();
        assert_eq!(later["ApiKey"], json!({ "HasValue": true, "NewValue": null, "Hint": &key[..8] }));
        let listed = server.get(keys).await;
        assert!(!String::from_utf8_lossy(&listed.bytes).contains(&key));
        assert_eq!((all(&listed.body, "Purpose"), listed.body["TotalResults"].as_u64()), (vec!["Given at the first start", "CI"], Some(2)));
        assert_eq!(with_key(&server, &key).await, 200);
        let gone = server.delete(&this.replace("APIKeys-", "apikeys-")).await;
        assert_eq!((gone.status, gone.body), (200, json!({})));
        assert_eq!(with_key(&server, &key).await, 401, "at once");
        assert_eq!(server.delete(this).await.status, 404);
        // The story's time stands at 2026-01-01T00:00:00Z.
        let made = server.post(keys, json!({ "Purpose": "short", "Expires": "2026-01-01T01:00:00.000+00:00" })).await.fine();
        let short = made["ApiKey"].as_str().expect("a key").to_string();
        assert_eq!(with_key(&server, &short).await, 200);
        let mint = |expires: Value| server.with_key(Method::POST, keys, &short).json(&json!({ "Purpose": "child", "Expires": expires }));
        for later in [json!(null), json!("2026-01-01T01:00:01.000+00:00")] {
            let text = server.send(mint(later)).await.refused(400);
            assert!(text.contains("expires itself"), "{text}");
        }
        let child = server.send(mint(json!("2026-01-01T00:30:00.000+00:00"))).await.fine();
        server.clock.advance(31 * MINUTE);
        assert_eq!((with_key(&server, &text_of(&child)).await, with_key(&server, &short).await), (401, 200));
        server.clock.advance(30 * MINUTE);
        assert_eq!(with_key(&server, &short).await, 401);
        let events = server.get("/api/events").await.fine();
        assert!(all(&events, "Message").contains(&"An API key of admin was deleted."), "{events}");
        assert!(!events.to_string().contains(&key));
    }

    async fn keys_are_made_for_oneself_and_for_services(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        let text = server.post("/api/users/Users-2/apikeys", json!({ "Purpose": "hers" })).await.refused(403);
        assert!(text.contains("not for another person"), "{text}");
        let (cookies, token) = cookies(&sign_in(&server, "alice", PASSWORD).await);
        let own = with_session(&server, Method::POST, "/api/users/Users-2/apikeys", &cookies, Some(&token)).await.fine();
        assert_eq!(with_key(&server, &text_of(&own)).await, 200);
        let weak = server.key_with("weak", &[]).await;
        for (method, path) in [("GET", "users/Users-1"), ("GET", "users/Users-1/apikeys"), ("POST", "users/Users-1/apikeys"),
            ("DELETE", "users/Users-1/apikeys/APIKeys-1"), ("GET", "users/Users-1/permissions"), ("GET", "users"), ("GET", "users/all"),
            ("GET", "teams")] {
            let method: Method = method.parse().expect("it is a method");
            let request = server.with_key(method.clone(), &format!("/api/{path}"), &weak).json(&json!({ "Purpose": "mine" }));
            assert_eq!(server.send(request).await.status, 403, "{method} {path}");
        }
        let request = server.with_key(Method::POST, "/api/users/Users-weak/apikeys", &weak).json(&json!({ "Purpose": "mine" }));
        assert_eq!(server.send(request).await.status, 201);
    }

    async fn users_are_found(database: TestDatabase) {
        let server = TestServer::start(&database).await;
        person(&server, "alice").await;
        person(&server, "bob").await;
        let users = server.get("/api/users?take=2").await.fine();
        assert_eq!((all(&users, "Username"), users["TotalResults"].as_u64()), (vec!["admin", "alice"], Some(3)));
        let next = text(&users["Links"]["Page.Next"]);
        let rest = server.get(&next).await.fine();
        assert_eq!(all(&rest, "Username"), ["bob"]);
        assert!(rest["Links"].get("Page.Next").is_none());
        assert_eq!(all(&server.get("/api/users/all?ids=users-2,Users-99").await.fine(), "Username"), ["alice"]);
        for filter in ["OB", "bob@EXAMPLE"] {
            assert_eq!(all(&server.get(&format!("/api/users?filter={filter}")).await.fine(), "Username"), ["bob"], "{filter}");
        }
        let bob = server.get("/api/Users/users-3").await.fine();
        assert_eq!((&bob["IsRequestor"], &bob["IsService"]), (&json!(false), &json!(false)));
        assert!(!bob.to_string().contains("argon2"), "{bob}");
        let permissions = server.get("/api/users/Users-3/permissions").await.fine();
        assert!(permissions["SpacePermissions"]["ProjectView"].is_array(), "{permissions}");
        assert_eq!(all(&server.get("/api/users/Users-3/teams").await.fine(), "Id"), ["teams-administrators", "teams-everyone"]);
        assert_eq!(server.get("/api/users/Users-99").await.status, 404);
        assert_eq!(all(&server.get("/api/teams?partialName=every").await.fine(), "Id"), ["teams-everyone"]);
        assert_eq!(all(&server.get("/api/teams/all?ids=teams-managers").await.fine(), "Id"), ["teams-managers"]);
        assert_eq!(server.get("/api/teams/teams-9").await.status, 404);
    }
}

fn text_of(key: &Value) -> String {
    text(&key["ApiKey"])
}
