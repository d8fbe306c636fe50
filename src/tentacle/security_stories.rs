//! The program as it meets hostile users, callers and scripts (`security.md` 4.6), each story under its id.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use contracts::script_service::{OutputSource, ProcessState};
use contracts::{AgentClient, CapabilityCache, KNOWN_TYPES, ScriptStatus, ScriptTicket, StartScriptCommand};
use halibut::{
    CallError, Caller, DataStream, Document, Endpoint, Identity, ListeningUri, RequestMessage,
    ServerErrorKind, Settings, Subscriptions, Thumbprint, Value,
};
use security::Certificate;
use tokio_util::sync::CancellationToken;

/// The user that owns nothing.
const NOBODY: u32 = 65534;
/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Making keys is slow in a debug build; one is enough.
fn server() -> &'static Identity {
    static MADE: OnceLock<Identity> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = Certificate::generate("Octopus Server", 1_800_000_000_000).expect("a certificate");
        Identity::new(made.der.clone(), made.private_key_pkcs8.to_vec())
    })
}

/// The program, listening in a folder that every user may enter, and a Server that it trusts.
struct Machine {
    folder: tempfile::TempDir,
    process: Child,
    caller: Arc<Caller>,
    client: AgentClient,
    never: CancellationToken,
}

impl Machine {
    async fn start(settings: &[(&str, &str)]) -> Machine {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let run = |words: &[&str]| {
            let output = command(folder.path()).args(words).output().expect("started");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{words:?}: {told}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let config = format!("--config={}", path("home/tentacle.config"));
        run(&[
            "create-instance",
            "--instance=one",
            &format!("--home={}", path("home")),
            &config,
        ]);
        run(&["new-certificate", "--if-blank", &config]);
        let port = free_port();
        run(&[
            "configure",
            &config,
            &format!("--app={}", path("home/Applications")),
            &format!("--port={port}"),
            "--listenIpAddress=127.0.0.1",
            &format!("--trust={}", server().thumbprint()),
        ]);
        let shown = run(&["show-thumbprint", &config]);
        let thumbprint = shown
            .split(|c: char| !c.is_ascii_hexdigit())
            .find_map(|word| Thumbprint::parse(word).ok());
        let log = File::create(folder.path().join("output")).expect("a file");
        let process = command(folder.path())
            .args(["agent", "--noninteractive", &config])
            .envs(settings.iter().copied())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("started");
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "it does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let settings = Settings {
            known_types: KNOWN_TYPES,
            ..Settings::default()
        };
        let caller = Caller::new(server(), Arc::new(Subscriptions::new()), settings).expect("a certificate");
        let caller = Arc::new(caller);
        let endpoint = Endpoint::Listening {
            uri: ListeningUri::new("127.0.0.1", port).expect("an address"),
            thumbprint: thumbprint.expect("show-thumbprint shows one"),
        };
        Machine {
            folder,
            process,
            client: AgentClient::new(Arc::clone(&caller), endpoint, Arc::new(CapabilityCache::new())),
            caller,
            never: CancellationToken::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn begin(&self, ticket: &str, body: &str) {
        let ticket = ScriptTicket::parse(ticket).expect("a ticket");
        let command = StartScriptCommand::new(ticket, "ServerTasks-1", body);
        self.client
            .start_script(&command, &self.never)
            .await
            .expect("started");
    }

    async fn status(&self, ticket: &str, after: i64) -> ScriptStatus {
        let ticket = ScriptTicket::parse(ticket).expect("a ticket");
        self.client
            .get_status(&ticket, after, &self.never)
            .await
            .expect("an answer")
    }

    /// Reads the log page by page until the script has ended, and gives each page to a look.
    async fn follow(&self, ticket: &str, mut look: impl FnMut(&ScriptStatus)) -> ScriptStatus {
        let (mut after, end) = (0, Instant::now() + PATIENCE);
        loop {
            let status = self.status(ticket, after).await;
            assert_eq!(
                status.next_log_sequence - after,
                i64::try_from(status.logs.len()).expect("few"),
                "no line is missing"
            );
            look(&status);
            if status.state == ProcessState::Complete {
                return status;
            }
            assert!(Instant::now() < end, "the script does not end");
            if status.logs.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            after = status.next_log_sequence;
        }
    }

    /// What the program had in memory when it had most, in MiB.
    fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("a figure");
        let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes / 1024
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.process.kill().expect("it runs until its story ends");
        self.process.wait().expect("a child of ours");
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.path("output")).unwrap_or_default());
        }
    }
}

/// The program with a machine folder of its own and the umask that most systems have.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "umask 022 && exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_tentacle"),
        ])
        .env(
            "TentacleMachineConfigurationHomeDirectory",
            folder.join("machine"),
        )
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test(flavor = "multi_thread")]
async fn e19_another_user_reads_neither_key_nor_settings_nor_workspaces() {
    let machine = Machine::start(&[]).await;
    // What the original does not guard either, and what holds no secret.
    let public = [
        "machine/Tentacle/Instances/one.config",
        "home/livez.heartbeat",
        "output",
        "proof",
    ];
    fs::write(machine.path("proof"), "for everybody").expect("written");
    let body = "umask 022\necho secret > mine; mkdir sub; echo secret > sub/mine; echo ready; sleep 600\n";
    machine.begin("t1", body).await;
    let end = Instant::now() + PATIENCE;
    while !machine.path("home/Work/t1/sub/mine").exists() || !machine.path("home/livez.heartbeat").exists() {
        assert!(Instant::now() < end, "the script does not get there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let contents = DataStream::from_bytes(&b"a package"[..]);
    let uploaded = machine
        .client
        .upload_file("Packages/sub/Acme.1.0.zip", &contents, &machine.never)
        .await;
    uploaded.expect("stored");

    let found = Command::new("find")
        .args([".", "-type", "f", "-readable"])
        .current_dir(machine.folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("this story runs as root, which may become another user");
    let found = String::from_utf8(found.stdout).expect("text");
    let readable: Vec<&str> = found.lines().filter_map(|line| line.strip_prefix("./")).collect();
    assert!(readable.contains(&"proof"), "{readable:?}");
    let more: Vec<_> = readable.iter().filter(|name| !public.contains(*name)).collect();
    assert!(more.is_empty(), "another user can read {more:?}");
    for private in [
        "home/tentacle.config",
        "home/Work/t1/mine",
        "home/Work/t1/Output.log",
        "home/Packages/sub/Acme.1.0.zip",
    ] {
        assert!(machine.path(private).is_file(), "{private} was there to be read");
    }
    let ticket = ScriptTicket::parse("t1").expect("a ticket");
    machine
        .client
        .cancel_script(&ticket, 0, &machine.never)
        .await
        .expect("asked to end");
    machine.follow("t1", |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e22_a_ticket_that_is_a_path_is_refused_and_nothing_is_touched() {
    let machine = Machine::start(&[]).await;
    machine.begin("kept", "echo kept").await;
    machine.follow("kept", |_| {}).await;
    fs::create_dir(machine.path("home/x")).expect("made");
    fs::write(machine.path("home/x/precious"), "stays").expect("written");
    let outside = machine.path("elsewhere").display().to_string();
    let before = tree(machine.folder.path());
    let long = "x".repeat(129);
    for ticket in [
        "../../x",
        "../x",
        "..",
        ".",
        "",
        "kept/../../x",
        "..\\x",
        "a\0b",
        &outside,
        &long,
        "kept/sub",
    ] {
        for (method, parameter, member) in [
            ("StartScript", "StartScriptCommandV2", "ScriptTicket"),
            ("GetStatus", "ScriptStatusRequestV2", "Ticket"),
            ("CancelScript", "CancelScriptCommandV2", "Ticket"),
            ("CompleteScript", "CompleteScriptCommandV2", "Ticket"),
        ] {
            let kind =
                format!("Octopus.Tentacle.Contracts.ScriptServiceV2.{parameter}, Octopus.Tentacle.Contracts");
            let mut document = Document::typed(&kind).with(member, Document::new().with("TaskId", ticket));
            document = match method {
                "StartScript" => document
                    .with("ScriptBody", "echo hacked > hacked")
                    .with("TaskId", "ServerTasks-1")
                    .with("Isolation", Value::Int32(0))
                    .with("Scripts", Document::new())
                    .with("Files", Value::Array(Vec::new()))
                    .with("Arguments", Value::Array(Vec::new())),
                "CompleteScript" => document,
                _ => document.with("LastLogSequence", Value::Int64(0)),
            };
            let request = RequestMessage::new("IScriptServiceV2", method, vec![Value::Document(document)]);
            let answer = machine
                .caller
                .call(machine.client.endpoint(), request, &machine.never)
                .await;
            let Err(CallError::Remote(refused)) = answer else {
                panic!("{method} of '{ticket}': {answer:?}")
            };
            assert_eq!(refused.kind(), ServerErrorKind::MethodFailed, "{refused:?}");
            assert!(
                refused.message.contains(member) && refused.message.contains("1 to 128 letters"),
                "{method} of '{ticket}': {refused:?}"
            );
        }
    }
    assert_eq!(tree(machine.folder.path()), before);
    machine.begin("after", "echo still here").await;
    let mut texts = Vec::new();
    let ended = machine
        .follow("after", |page| {
            texts.extend(page.logs.iter().map(|line| line.text.clone()))
        })
        .await;
    assert_eq!(ended.exit_code, 0);
    assert!(texts.contains(&"still here".to_owned()), "{texts:?}");
}

/// Every file and folder with its length, but for what the program writes by itself.
fn tree(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let (entry, path) = entry
                .map(|entry| (entry.metadata(), entry.path()))
                .expect("readable");
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name == "output" || name == "Logs" || name.ends_with("livez.heartbeat") {
                continue;
            }
            let about = entry.expect("there");
            if about.is_dir() {
                folders.push(path.clone());
                found.insert(path, 0);
            } else {
                found.insert(path, about.len());
            }
        }
    }
    found
}

/// A flood of many times the memory that the agent may take, and of more than the log holds.
#[tokio::test(flavor = "multi_thread")]
async fn e24_a_flood_is_cut_at_the_limit_and_fits_into_little_memory() {
    const LIMIT: u64 = 48 << 20;
    let machine = Machine::start(&[("SCRIPT_LOG_MB", "48")]).await;
    // Long lines, short ones, and one without an end; then the script goes on.
    let body = "head -c 300M /dev/zero | tr '\\0' x | fold -w 4000\n\
                yes flood | head -c 1M\n\
                head -c 300M /dev/zero | tr '\\0' x\n\
                echo after the flood > reached\nexit 7\n";
    machine.begin("flood", body).await;
    let (mut largest, mut cut, mut size, mut last) = (0, 0, 0, None);
    let ended = machine
        .follow("flood", |page| {
            let bytes: usize = page.logs.iter().map(|line| line.text.len()).sum();
            (largest, size) = (largest.max(bytes), size + bytes as u64);
            let told = |text: &str| text.contains("The log of this script holds 48 MiB");
            last = page.logs.last().cloned().or(last.take());
            cut += page.logs.iter().filter(|line| told(&line.text)).count();
        })
        .await;
    assert_eq!(ended.exit_code, 7, "its own exit code stands");
    assert!(
        machine.path("home/Work/flood/reached").exists(),
        "the script went on"
    );
    assert_eq!(cut, 1, "one line says that something is missing");
    assert!(size > LIMIT / 2 && size <= LIMIT, "{size}");
    let last = last.expect("the log has lines");
    assert!(
        last.source == OutputSource::Debug && last.text.contains("exited with code 7"),
        "{last:?}"
    );
    assert!(largest < 6 << 20, "a page of {largest} bytes");
    let kept = fs::metadata(machine.path("home/Work/flood/Output.log"))
        .expect("a log")
        .len();
    assert!(kept < LIMIT + 4096, "{kept} bytes on disk");
    let peak = machine.peak_memory();
    eprintln!("peak memory of the agent: {peak} MiB");
    assert!(peak < 256, "{peak} MiB");
}
