//! Stories of the command line: what a person types, what lies on disk afterwards, and what a Server is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::output::testing::captured;

const ONE: &str = "1111111111111111111111111111111111111111";
const SERVER: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F9001122334";

/// A machine of its own in a temporary folder.
struct World {
    folder: tempfile::TempDir,
    is_container: bool,
    variables: Vec<(&'static str, String)>,
}

struct Ran {
    code: u8,
    output: String,
    errors: String,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        std::fs::write(
            folder.path().join("machine-id"),
            "0123456789abcdef0123456789abcdef\n",
        )
        .unwrap();
        World {
            folder,
            is_container: false,
            variables: Vec::new(),
        }
    }

    /// A machine with an instance and a certificate.
    fn with_certificate() -> World {
        let world = World::new();
        world.good(&["create-instance", "--config", "Tentacle.config"]);
        world.good(&["new-certificate", "--if-blank"]);
        world
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Ran {
        let (output, standard, errors) = captured();
        let surroundings = Surroundings {
            current_folder: self.path("work"),
            machine_folder: self.path("etc"),
            machine_id: self.path("machine-id"),
            applications: self.path("Applications"),
            is_container: self.is_container,
            variables: self
                .variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let code = run(&words, surroundings, output);
        Ran {
            code,
            output: standard.text(),
            errors: errors.text(),
        }
    }

    fn good(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(
            (ran.code, ran.errors.as_str()),
            (0, ""),
            "{words:?} {}",
            ran.output
        );
        ran.output
    }

    fn bad(&self, code: u8, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, code, "{words:?} {} {}", ran.output, ran.errors);
        ran.errors
    }

    fn settings(&self) -> String {
        std::fs::read_to_string(self.path("work/Tentacle.config")).unwrap()
    }
}

/// A request that the Server got.
#[derive(Debug, Clone)]
struct Asked {
    method: String,
    path: String,
    head: String,
    body: Value,
}

/// A Server that knows one space, one environment, and the machines that were written.
struct Stub {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    machine: Arc<Mutex<Option<Value>>>,
}

impl Stub {
    fn new() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stub = Stub {
            address: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            machine: Arc::default(),
        };
        let (asked, machine) = (Arc::clone(&stub.asked), Arc::clone(&stub.machine));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let (status, answer) = Stub::answer(&request, &machine);
                asked.lock().unwrap().push(request);
                let body = answer.to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        stub
    }

    fn answer(request: &Asked, machine: &Mutex<Option<Value>>) -> (u16, Value) {
        if !request.head.contains("api-good") && request.method != "DELETE" {
            return (
                401,
                json!({ "ErrorMessage": "The API key you provided was not valid." }),
            );
        }
        let path = request.path.split('?').next().unwrap();
        let list = |items: Value| (200, json!({ "Items": items, "Links": {} }));
        let known = machine.lock().unwrap().clone();
        let known_list = json!(known.clone().into_iter().collect::<Vec<_>>());
        match (request.method.as_str(), path) {
            ("GET", "/api") => (
                200,
                json!({ "Version": "2025.4.1", "Links": { "Spaces": "/api/spaces{/id}" } }),
            ),
            ("GET", "/api/users/me") => (200, json!({ "Id": "Users-1", "Links": {} })),
            ("GET", "/api/users/Users-1/spaces") => (
                200,
                json!([{ "Id": "Spaces-1", "Name": "Default", "IsDefault": true }]),
            ),
            ("GET", "/api/Spaces-1") => (200, json!({ "Links": {} })),
            ("GET", "/api/configuration/certificates/certificate-global") => {
                (200, json!({ "Thumbprint": SERVER }))
            }
            ("GET", "/api/Spaces-1/environments/v2") => {
                list(json!([{ "Id": "Environments-1", "Name": "Development", "Slug": "development" }]))
            }
            ("GET", "/api/mantle/remote-address") => (200, json!({ "Address": "203.0.113.7" })),
            ("GET", "/api/Spaces-1/machines") => list(known_list),
            ("GET", "/api/Spaces-1/machines/all") => (200, known_list),
            ("POST", "/api/Spaces-1/machines" | "/api/Spaces-1/machines/Machines-1") => {
                let mut written = request.body.clone();
                written["Id"] = json!("Machines-1");
                written["Links"] = json!({ "Self": "/api/Spaces-1/machines/Machines-1" });
                *machine.lock().unwrap() = Some(written.clone());
                if request.body["TakeOver"].is_string() {
                    written["DeregistrationToken"] = json!("only-this-machine");
                }
                (201, written)
            }
            ("DELETE", "/api/Spaces-1/machines/Machines-1")
                if request
                    .head
                    .contains("x-mantle-deregistration: only-this-machine") =>
            {
                *machine.lock().unwrap() = None;
                (200, json!({}))
            }
            ("GET", "/api/Spaces-1/machines/Machines-1") => (200, known.unwrap_or_default()),
            _ => (404, json!({ "ErrorMessage": "The resource was not found." })),
        }
    }

    /// The requests that changed something.
    fn writes(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|request| request.method != "GET")
            .cloned()
            .collect()
    }

    fn server(&self) -> String {
        format!("--server={}", self.address)
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = head.split(' ').map(str::to_owned);
    Some(Asked {
        method: words.next()?,
        path: words.next()?,
        head: lower,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

const GOOD: &str = "--apiKey=API-GOOD";
const PLACE: [&str; 2] = ["--environment=Development", "--role=web-server"];

#[test]
fn an_instance_is_made_configured_shown_and_removed() {
    let world = World::new();
    assert!(
        world
            .good(&["create-instance", "--config", "Tentacle.config"])
            .contains("Saving instance: Tentacle")
    );
    assert!(
        world
            .good(&["create-instance", "--config", "Tentacle.config"])
            .contains("already exists.")
    );
    assert!(
        world
            .bad(1, &["create-instance", "--config", "other.config"])
            .contains("exists already")
    );
    assert!(
        world
            .bad(1, &["create-instance", "--instance", "../evil"])
            .contains("../evil")
    );
    assert!(world.bad(1, &["show-thumbprint"]).contains("new-certificate"));

    let made = world.good(&["new-certificate"]);
    let thumbprint = made.lines().nth(1).unwrap();
    assert_eq!(world.good(&["show-thumbprint"]), thumbprint);
    assert_eq!(
        world.good(&["show-thumbprint", "--format", "JSON"]),
        format!("{{\"Thumbprint\":\"{thumbprint}\"}}")
    );
    assert_eq!(
        world.good(&["new-certificate", "-b"]),
        "A certificate already exists, no changes will be applied.\n"
    );
    let mode = std::fs::metadata(world.path("work/Tentacle.config"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let trust = format!("--trust={ONE}");
    let changed = world.good(&[
        "configure",
        "--port=10940",
        "--noListen",
        "true",
        &trust,
        "--reset-trust",
        "/app:apps",
    ]);
    assert_eq!(
        changed.lines().collect::<Vec<_>>()[..4],
        [
            "Removing all trusted Octopus Servers...",
            "Adding 1 trusted Octopus Servers",
            "Services listen port: 10940",
            "Tentacle will not listen on a port",
        ]
    );
    let shown: Value = serde_json::from_str(&world.good(&["show-configuration"])).unwrap();
    assert_eq!(
        shown["Tentacle"]["Services"],
        json!({ "ListenIP": null, "NoListen": true, "PortNumber": 10940 })
    );
    assert_eq!(
        shown["Tentacle"]["Communication"]["TrustedOctopusServers"][0]["Thumbprint"],
        ONE
    );
    assert_eq!(
        shown["Tentacle"]["Deployment"]["ApplicationDirectory"],
        world.path("work/apps").to_str().unwrap()
    );
    assert!(!world.good(&["show-configuration"]).contains("PrivateKey"));

    assert!(
        world
            .good(&["list-instances"])
            .starts_with("Instance 'Tentacle' uses configuration")
    );
    assert_eq!(
        world.good(&["delete-instance", "--instance", "tentacle"]),
        "Deleted instance: Tentacle\n"
    );
    assert_eq!(world.good(&["list-instances"]), "No instances installed");
    assert!(world.path("work/Tentacle.config").exists());
}

#[test]
fn words_that_mean_nothing_are_told() {
    let world = World::new();
    assert_eq!(world.run(&[]).code, 2);
    assert_eq!(world.run(&["--help"]).code, 2);
    for words in [
        &["help"][..],
        &["-h"],
        &["-?"],
        &["help", "run"],
        &["--help", "version"],
        &["version", "--help"],
    ] {
        assert_eq!(world.run(words).code, 0, "{words:?}");
    }
    assert_eq!(
        world.bad(2, &["bogus", "--help"]),
        "Command 'bogus' is not supported\n"
    );
    assert_eq!(
        world.bad(1, &["version", "extra"]),
        "Unrecognized command line arguments: extra\n"
    );
    assert_eq!(world.good(&["/VERSION", "--nologo"]), settings::product_version());
    assert!(
        world
            .bad(1, &["configure"])
            .contains("Unable to find default instance")
    );
    assert!(
        world
            .bad(1, &["list-instances", "--format=xml"])
            .contains("'xml' is not supported")
    );
}

#[test]
fn a_certificate_goes_through_a_file_and_the_environment() {
    let mut world = World::with_certificate();
    let out = world.path("work/out.txt");
    let made = world.good(&["new-certificate", "--export-file=out.txt"]);
    let thumbprint = made.lines().nth(1).unwrap();
    assert_eq!(
        std::fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        world
            .good(&["import-certificate", "-f=out.txt"])
            .contains(thumbprint)
    );
    assert_eq!(world.good(&["show-thumbprint"]), thumbprint);
    world.good(&["new-certificate"]);
    assert!(
        world
            .bad(1, &["import-certificate"])
            .contains("specify the certificate")
    );
    world.variables = vec![("TentacleCertificateBase64_FILE", out.to_str().unwrap().to_owned())];
    world.good(&["import-certificate"]);
    assert_eq!(world.good(&["show-thumbprint"]), thumbprint);
    assert!(
        world
            .bad(1, &["import-certificate", "--from-base64=!!"])
            .contains("not base64")
    );
    assert!(
        !world
            .settings()
            .contains(std::fs::read_to_string(out).unwrap().trim())
    );
}

#[test]
fn a_server_is_polled_once_it_is_trusted() {
    let world = World::with_certificate();
    let active = ["server-comms", "--style=TentacleActive", "--host=h"];
    assert!(world.bad(1, &active).contains("trust must be established"));
    world.good(&["configure", &format!("--trust={ONE}")]);
    world.good(&active);
    world.good(&[
        "server-comms",
        "--style=TentacleActive",
        "--host=other",
        "--port=11",
    ]);
    let servers = world.settings();
    assert!(
        servers.contains("https://h:10943") && servers.contains("https://other:11"),
        "{servers}"
    );
    let subscriptions: Vec<&str> = servers.split("poll://").skip(1).map(|rest| &rest[..20]).collect();
    assert!(
        subscriptions.len() == 2 && subscriptions[0] == subscriptions[1],
        "{servers}"
    );
    assert!(
        world
            .bad(1, &["server-comms", "--style=Wrong"])
            .contains("communications style")
    );
    assert!(
        world
            .bad(1, &["server-comms", "--style=TentacleActive", "--host=bad host"])
            .contains("bad host")
    );
    world.good(&[
        "update-trust",
        &format!("--oldThumbprint={ONE}"),
        &format!("--newThumbprint={SERVER}"),
    ]);
    assert!(world.settings().contains(SERVER) && !world.settings().contains(ONE));
    world.good(&["clear-trusted-servers", "--keep=https://other:11/"]);
    assert!(world.settings().contains("https://other:11") && !world.settings().contains("https://h:10943"));
}

#[test]
fn a_registration_by_hand_asks_what_the_original_asks() {
    let (world, server) = (World::with_certificate(), Stub::new());
    let address = server.server();
    let words = [
        &[
            "register-with",
            &address,
            GOOD,
            "--name=web01",
            "-h=WEB01.example",
        ][..],
        &PLACE,
    ]
    .concat();
    assert!(world.good(&words).contains("Machine registered successfully"));
    let writes = server.writes();
    let body = &writes[0].body;
    assert_eq!(
        (writes.len(), writes[0].path.as_str()),
        (1, "/api/Spaces-1/machines")
    );
    assert_eq!(body["Endpoint"]["Uri"], "https://web01.example:10933/");
    assert_eq!(
        (&body["EnvironmentIds"], &body["Roles"]),
        (&json!(["Environments-1"]), &json!(["web-server"]))
    );
    assert!(body.get("TakeOver").is_none());
    assert!(world.settings().contains(SERVER));
    // a second time the name is taken
    assert!(world.bad(8, &words).contains("already exists"));
    world.good(&[&words[..], &["--force"]].concat());
    assert!(server.writes()[1].head.contains("x-http-method-override: put"));
}

#[test]
fn a_container_keeps_its_machine_and_takes_itself_out() {
    let (mut world, server) = (World::with_certificate(), Stub::new());
    world.is_container = true;
    world.good(&["new-certificate"]); // the machine id of an image is not used
    let key = world.path("key");
    std::fs::write(&key, "API-GOOD\n").unwrap();
    world.variables = vec![
        ("ServerApiKey_FILE", key.to_str().unwrap().to_owned()),
        ("PublicHostNameConfiguration", "PublicIp".to_owned()),
        ("Ephemeral", "true".to_owned()),
    ];
    let address = server.server();
    let words = [&["register-with", &address, "--name=web01"][..], &PLACE].concat();
    world.good(&words);
    let first = server.writes().remove(0);
    assert_eq!(first.body["TakeOver"], "IfOffline");
    assert_eq!(first.body["Endpoint"]["Uri"], "https://203.0.113.7:10933/");
    let token = world.path("work/deregistration-token");
    assert_eq!(
        std::fs::metadata(&token).unwrap().permissions().mode() & 0o777,
        0o600
    );

    // what was edited in the portal stays as long as the same is asked for; the name is new
    server.machine.lock().unwrap().as_mut().unwrap()["Roles"] = json!(["web-server", "added"]);
    world.good(&[&["register-with", &server.server(), "--name=web02"][..], &PLACE].concat());
    let second = server.writes().remove(1);
    assert_eq!(second.path, "/api/Spaces-1/machines/Machines-1");
    assert_eq!(
        (&second.body["Name"], &second.body["Roles"]),
        (&json!("web02"), &json!(["web-server", "added"]))
    );
    world.good(&[
        "register-with",
        &server.server(),
        "--name=web02",
        "--environment=Development",
        "--role=db",
    ]);
    assert_eq!(server.writes()[2].body["Roles"], json!(["db"]));

    assert!(
        world
            .good(&["deregister-from", &server.server()])
            .contains("Machine deregistered successfully")
    );
    let last = server.writes().pop().unwrap();
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("DELETE", "/api/Spaces-1/machines/Machines-1?final=true")
    );
    assert!(!last.head.contains("api-good"));
    assert!(!token.exists());
}

#[test]
fn a_refused_and_an_unreachable_server_have_their_codes() {
    let (world, server) = (World::with_certificate(), Stub::new());
    let register = |extra: &[&str]| -> Vec<String> {
        let words = ["register-with", "--name=web01"].iter().chain(extra);
        words.map(|word| (*word).to_owned()).collect()
    };
    let bad = |code: u8, extra: &[&str]| {
        let words = register(extra);
        world.bad(code, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let address = server.server();
    assert!(bad(8, &[&address, GOOD, "--environment=Nope", "--role=r"]).contains("slug or Id Nope"));
    let wrong = bad(8, &[&address, "--apiKey=API-BAD-SECRET", PLACE[0], PLACE[1]]);
    assert!(
        wrong.contains("not valid") && !wrong.contains("BAD-SECRET"),
        "{wrong}"
    );
    assert!(bad(9, &["--server=http://127.0.0.1:9", GOOD, PLACE[0], PLACE[1]]).contains("Unable to connect"));
    assert!(bad(1, &[&address, PLACE[0], PLACE[1]]).contains("API key"));
    assert!(bad(1, &[&address, GOOD, "--role=r"]).contains("environment"));
    assert!(bad(1, &[GOOD]).contains("Octopus Server"));
    assert!(server.writes().is_empty());
    assert!(!world.path("work/registration.json").exists());
}

#[test]
fn a_health_check_needs_a_beating_heart() {
    let world = World::with_certificate();
    assert!(world.bad(1, &["healthcheck"]).contains("does not run"));
    let file = world.path("work/livez.heartbeat");
    let beat = |text: &str| std::fs::write(Path::new(&file), text).unwrap();
    beat("{\"IsReady\":false}");
    assert!(world.bad(1, &["healthcheck"]).contains("neither listens"));
    world.good(&["healthcheck", "--live"]);
    beat("{\"IsReady\":true}");
    world.good(&["healthcheck"]);
}
