//! Hostile packages and secrets as the program meets them (`security.md` 4.2 and 4.6), each under its id.

use crate::pack::{Item, tar_of, zip_of};
use crate::place::{Outcome, Place, outcome};
use std::path::Path;

/// A package that the step refuses; nothing of it is left, and the journal does not know it.
fn refused(place: &Place, package: &str, bytes: &[u8]) -> String {
    place.write(package, bytes);
    let Outcome { code, output, error } = place.run(&["deploy-package", "--package", package]);
    assert_ne!(code, 0, "{output}");
    let left: Vec<_> = std::fs::read_dir(place.path("applications/Production/Acme.Web"))
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!place.path("agent/DeploymentJournal.xml").exists(), "no entry");
    error
}

#[test]
fn a01_an_entry_that_leads_out_is_refused_by_name_and_nothing_is_unpacked() {
    let place = Place::new();
    let zip = zip_of(&[
        Item::File("good", "1"),
        Item::File("../../../../etc/cron.d/x", "x"),
    ]);
    let error = refused(&place, "Acme.Web.1.0.0.zip", &zip);
    assert!(error.contains("../../../../etc/cron.d/x"), "{error}");
    assert!(!place.path("etc").exists());
}

#[test]
fn a05_a_link_out_is_refused_and_what_it_leads_to_is_unchanged() {
    let place = Place::new();
    place.write("outside/x", "before");
    let outside = place.path("outside").display().to_string();
    let tar = tar_of(&[Item::Link("d", &outside), Item::File("d/x", "after")]);
    let error = refused(&place, "Acme.Web.1.0.0.tar", &tar);
    assert!(error.contains("'d"), "{error}");
    assert_eq!(place.text("outside/x"), "before");
}

#[test]
fn a13_an_id_or_a_version_that_leads_out_stays_one_folder() {
    let manifest = |id: &str, version: &str| {
        format!("<package><metadata><id>{id}</id><version>{version}</version></metadata></package>")
    };
    for (id, version) in [
        ("../../escaped", "1.0"),
        ("a/b", "1.0"),
        ("x", "../../escaped"),
        ("..\\..\\x", "1.0"),
    ] {
        let place = Place::new();
        let nuspec = manifest(id, version);
        place.write(
            "p.nupkg",
            zip_of(&[Item::File("p.nuspec", &nuspec), Item::File("a.txt", "A")]),
        );
        let outcome = place.run(&["deploy-package", "--package=p.nupkg"]);
        assert_eq!(outcome.code, 0, "{}", outcome.error);
        for escaped in [
            "escaped",
            "applications/escaped",
            "applications/Production/escaped",
        ] {
            assert!(!place.path(escaped).exists(), "{id} {version}");
        }
        let folders = std::fs::read_dir(place.path("applications/Production")).expect("a folder");
        assert_eq!(folders.count(), 1);
    }
    for (id, version) in [("..", "1.0"), ("x", "..")] {
        let place = Place::new();
        let nuspec = manifest(id, version);
        place.write("p.nupkg", zip_of(&[Item::File("p.nuspec", &nuspec)]));
        let outcome = place.run(&["deploy-package", "--package=p.nupkg"]);
        assert_ne!(outcome.code, 0);
        assert!(
            outcome.error.contains("cannot be the name of a folder"),
            "{}",
            outcome.error
        );
    }
}

#[test]
fn a14_a_bomb_stops_early_and_the_space_comes_back() {
    let place = Place::new();
    // A little more than what comes out before the ratio counts.
    let zeros = "\0".repeat(104 << 20);
    let package = crate::pack::pack("Acme.Web.1.0.0.tar.zst", &[Item::File("zeros", &zeros)]);
    assert!(package.len() < 1 << 20);
    let error = refused(&place, "Acme.Web.1.0.0.tar.zst", &package);
    assert!(error.contains("decompression bomb"), "{error}");
}

#[test]
fn a17_packages_in_packages_stay_files() {
    let mut inner = zip_of(&[Item::File("deep", "x")]);
    for depth in 0..6 {
        let place = Place::new();
        place.write("inner.zip", &inner);
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        writer
            .start_file(format!("inner{depth}.zip"), options)
            .expect("started");
        std::io::Write::write_all(&mut writer, &inner).expect("written");
        inner = writer.finish().expect("finished").into_inner();
    }
    let place = Place::new();
    place.write("Acme.Web.1.0.0.zip", &inner);
    assert_eq!(
        place
            .run(&["deploy-package", "--package=Acme.Web.1.0.0.zip"])
            .code,
        0
    );
    let names: Vec<_> = std::fs::read_dir(place.path("applications/Production/Acme.Web/1.0.0"))
        .expect("a folder")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(names, ["inner5.zip"]);
}

/// A step with a secret, which no line may show.
fn with_secret(secret: &str, script: &str) -> Outcome {
    let place = Place::new();
    let entries = serde_json::json!([
        {"k": "Octopus.Action.Script.ScriptBody", "v": script},
        {"k": "Octopus.Action.Script.Syntax", "v": "Bash"},
        {"k": "Secret", "v": secret, "s": true},
    ]);
    place.write("secret.json", serde_json::to_vec(&entries).expect("JSON"));
    place.run(&["run-script", "--variables=secret.json"])
}

#[test]
fn e01_a_printed_secret_is_hidden() {
    let outcome = with_secret("hunter2!", "get_octopusvariable Secret; echo");
    assert!(outcome.output.contains("\n********\n"), "{}", outcome.output);
    assert!(!outcome.output.contains("hunter2!"));
}

#[test]
fn e02_a_secret_in_single_bytes_is_hidden() {
    let script = "s=$(get_octopusvariable Secret); for ((i=0;i<${#s};i++)); do printf '%s' \"${s:i:1}\"; sleep 0.01; done; echo";
    let outcome = with_secret("hunter2!", script);
    assert!(outcome.output.contains("********"), "{}", outcome.output);
    assert!(!outcome.output.contains("hunter2!"), "{}", outcome.output);
}

#[test]
fn e03_lines_of_a_secret_are_hidden() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----";
    let outcome = with_secret(
        key,
        "get_octopusvariable Secret | while IFS= read -r line; do echo \"$line\"; done",
    );
    assert!(
        !outcome.output.contains("MIIEvQIBADANBgkqhkiG9w0B"),
        "{}",
        outcome.output
    );
    assert!(!outcome.output.contains("AQEFAASC"), "{}", outcome.output);
}

#[test]
fn e04_encoded_secrets_are_hidden() {
    let secret = "p<a>s&s \"w/ö+rd";
    let script = "s=$(get_octopusvariable Secret)\n\
                  printf %s \"$s\" | base64\n\
                  printf %s \"$s\" | od -An -tx1 | tr -d ' \\n'; echo\n\
                  python3 - \"$s\" <<'E'\n\
                  import json, sys, urllib.parse, html\n\
                  s = sys.argv[1]\n\
                  print(urllib.parse.quote(s, safe=''))\n\
                  print(json.dumps(s, ensure_ascii=False))\n\
                  print(html.escape(s))\n\
                  E\n";
    let outcome = with_secret(secret, script);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    for encoded in [
        "cDxhPnMmcyAidy/DtityZA==",
        "703c613e73267320",
        "p%3Ca%3E",
        "s&s \\\"w",
        "p&lt;a&gt;",
    ] {
        assert!(!outcome.output.contains(encoded), "{encoded}\n{}", outcome.output);
    }
}

#[test]
fn e05_a_secret_at_the_very_end_is_hidden_and_the_last_line_is_there() {
    let outcome = with_secret(
        "hunter2!",
        "echo first; printf 'last line %s' \"$(get_octopusvariable Secret)\"",
    );
    assert!(
        outcome.output.contains("last line ********"),
        "{}",
        outcome.output
    );
}

#[test]
fn e06_the_beginning_of_a_secret_is_shown_unchanged() {
    let outcome = with_secret("hunter2!", "for i in $(seq 1000); do echo hunter2; done");
    assert_eq!(
        outcome.output.matches("\nhunter2").count(),
        1000,
        "{}",
        outcome.output.len()
    );
}

#[test]
fn e07_short_and_common_secrets_are_not_hidden() {
    for secret in ["a", "true", "abc"] {
        let outcome = with_secret(secret, "echo \"it is $(get_octopusvariable Secret)\"");
        assert!(
            outcome.output.contains(&format!("it is {secret}")),
            "{}",
            outcome.output
        );
    }
}

/// The speed is the matter of `tests/bench/masking.rs`.
#[test]
fn e08_ten_thousand_secrets_are_hidden_in_little_memory() {
    const SECRETS: usize = 10_000;
    let place = Place::new();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut word = || -> String {
        let mut letter = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + u8::try_from((state >> 33) % 26).expect("a letter"))
        };
        (0..20).map(|_| letter()).collect()
    };
    let secrets: Vec<String> = (0..SECRETS).map(|_| word()).collect();
    let mut log = String::new();
    for number in 0..100_000 {
        let shown = if number % 10 == 0 {
            secrets[number / 10].clone()
        } else {
            word()
        };
        log.push_str(&format!(
            "{number:>8} a line of a log that says {shown} among other things\n"
        ));
    }
    place.write("log", &log);
    let mut entries: Vec<_> = (0..SECRETS)
        .map(|number| serde_json::json!({"k": format!("Secret{number}"), "v": secrets[number], "s": true}))
        .collect();
    entries.push(serde_json::json!({"k": "Octopus.Action.Script.Syntax", "v": "Bash"}));
    // The runner waits for its child, so its memory is what it will ever have been.
    let script = "cat log log log; grep VmHWM /proc/$PPID/status";
    entries.push(serde_json::json!({"k": "Octopus.Action.Script.ScriptBody", "v": script}));
    place.write("secret.json", serde_json::to_vec(&entries).expect("JSON"));
    let outcome = place.run(&["run-script", "--variables=secret.json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    assert!(outcome.output.len() > 15_000_000, "{}", outcome.output.len());
    assert_eq!(outcome.output.matches("********").count(), 3 * SECRETS);
    let secrets: std::collections::HashSet<&str> = secrets.iter().map(String::as_str).collect();
    let left = outcome
        .output
        .split_ascii_whitespace()
        .filter(|word| secrets.contains(word))
        .count();
    assert_eq!(left, 0, "secrets are left");
    let peak = outcome
        .output
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("what the runner takes");
    let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    eprintln!("peak memory of the runner: {} MB", kibibytes * 1024 / 1_000_000);
    assert!(kibibytes * 1024 < 200_000_000, "{kibibytes} KiB");
}

#[test]
fn e09_a_sensitive_output_variable_is_hidden_from_then_on() {
    let outcome = with_secret(
        "x",
        "set_octopusvariable Made 'made in the step' -sensitive; echo made in the step",
    );
    assert!(
        !outcome.output.contains("\nmade in the step"),
        "{}",
        outcome.output
    );
    assert!(outcome.output.contains("********"));
}

#[test]
fn e10_secrets_in_errors_and_names_are_hidden() {
    let script = "get_octopusvariable Secret >&2; echo >&2\n\
                  python3 -c 'import sys; raise Exception(sys.argv[1])' \"$(get_octopusvariable Secret)\"\n\
                  echo x > a; new_octopusartifact a \"$(get_octopusvariable Secret)\"";
    let outcome = with_secret("hunter2!", script);
    assert!(!outcome.error.contains("hunter2!"), "{}", outcome.error);
    assert!(!outcome.output.contains("hunter2!"), "{}", outcome.output);
}

#[test]
fn e11_a_trace_shows_no_secret() {
    let outcome = with_secret(
        "hunter2!",
        "set -x; s=$(get_octopusvariable Secret); echo \"$s\" > /dev/null",
    );
    assert!(outcome.error.contains("********"), "{}", outcome.error);
    assert!(!outcome.error.contains("hunter2!"), "{}", outcome.error);
}

/// The fail point is in the program of the stories only.
#[test]
fn e12_a_line_on_which_the_masker_fails_is_left_out_and_the_script_goes_on() {
    let script = "echo before\n\
                  echo \"breaks $(get_octopusvariable Secret)\"\n\
                  echo \"between $(get_octopusvariable Secret)\"\n\
                  echo \"breaks again $(get_octopusvariable Secret)\"\n\
                  echo \"breaks too $(get_octopusvariable Secret)\" >&2\n\
                  set_octopusvariable After yes\n\
                  echo after; exit 5";
    let place = Place::new();
    let entries = serde_json::json!([
        {"k": "Octopus.Action.Script.ScriptBody", "v": script},
        {"k": "Octopus.Action.Script.Syntax", "v": "Bash"},
        {"k": "Secret", "v": "hunter2!", "s": true},
    ]);
    place.write("secret.json", serde_json::to_vec(&entries).expect("JSON"));
    std::fs::create_dir_all(place.path("agent")).expect("made");
    let mut command = place.command(&["run-script", "--variables=secret.json"]);
    command.env("FAILPOINTS", "security::masking=return(breaks)");
    let Outcome { code, output, error } = outcome(command);
    assert_eq!(code, 5, "the script's own exit code: {error}");
    assert!(
        !output.contains("hunter2!") && !error.contains("hunter2!"),
        "{output}{error}"
    );
    assert!(
        !output.contains("breaks") && !error.contains("breaks"),
        "{output}{error}"
    );
    let warning = "A line could not be searched for sensitive values";
    let lines: Vec<&str> = output
        .lines()
        .skip_while(|line| *line != "before")
        .map(|line| if line.starts_with(warning) { warning } else { line })
        .take_while(|line| !line.starts_with("##octopus[setVariable"))
        .collect();
    let masked = "[masked: internal error]";
    let expected = [
        "before",
        masked,
        "##octopus[stdout-warning]",
        warning,
        "##octopus[stdout-default]",
        "between ********",
        masked,
    ];
    // Standard error comes when it comes, and its line may be the first that fails.
    let told = |text: &str| output.lines().filter(|line| line.starts_with(text)).count();
    assert_eq!(
        (told(warning), told(masked), told("between ********")),
        (1, 2, 1),
        "{output}"
    );
    assert!(lines.iter().all(|line| expected.contains(line)), "{lines:?}");
    assert!(error.lines().any(|line| line == masked), "{error}");
    assert!(
        output.contains("name='QWZ0ZXI='"),
        "its variable is set: {output}"
    );
    assert!(output.contains("\nafter\n"), "{output}");
}

#[test]
fn e13_values_appear_literally_and_nothing_is_executed() {
    for secret in [
        "\"; touch hacked; #",
        "$(touch hacked)",
        "`touch hacked`",
        "%0a",
        "'@",
    ] {
        let place = Place::new()
            .with("Value", secret)
            .with(
                "Octopus.Action.Script.ScriptBody",
                "get_octopusvariable Value > out; set_octopusvariable Again \"$(cat out)\"",
            )
            .with("Octopus.Action.Script.Syntax", "Bash");
        assert_eq!(place.run(&["run-script"]).code, 0);
        assert_eq!(place.text("out"), secret);
        assert!(!place.path("hacked").exists());
    }
}

#[test]
fn e15_a_value_that_contains_itself_is_named() {
    for (name, value) in [("A", "#{A}"), ("A", "#{B}")] {
        let place = Place::new()
            .with(name, value)
            .with("B", "#{A}")
            .with("Octopus.Action.Script.ScriptBody", "get_octopusvariable A")
            .with("Octopus.Action.Script.Syntax", "Bash");
        let outcome = place.run(&["run-script"]);
        assert_ne!(outcome.code, 0);
        assert!(
            outcome.error.to_lowercase().contains("circular"),
            "{}",
            outcome.error
        );
    }
}

/// A deployment of a `web.config` whose settings are set.
fn deploys_config(place: &Place, config: &str) -> Outcome {
    place.write("Acme.Web.1.0.0.zip", zip_of(&[Item::File("web.config", config)]));
    place.run(&["deploy-package", "--package=Acme.Web.1.0.0.zip"])
}

fn with_settings() -> Place {
    Place::new()
        .feature("ConfigurationVariables")
        .with(
            "Octopus.Action.Package.AutomaticallyUpdateAppSettingsAndConnectionStrings",
            "True",
        )
        .with("K", "new")
}

#[test]
fn e16_an_external_entity_is_refused_and_not_read() {
    let place = with_settings();
    place.write("secret", "canary-e16");
    let secret = place.path("secret").display().to_string();
    let config = format!(
        "<!DOCTYPE c [<!ENTITY x SYSTEM \"file://{secret}\">]><c><appSettings><add key=\"K\" value=\"old\"/></appSettings><t>&x;</t></c>"
    );
    let outcome = deploys_config(&place, &config);
    assert_ne!(outcome.code, 0);
    assert!(
        outcome.error.contains("web.config") && outcome.error.contains("external"),
        "{}",
        outcome.error
    );
    assert!(!outcome.output.contains("canary-e16"), "{}", outcome.output);
    assert_eq!(
        place.text("applications/Production/Acme.Web/1.0.0/web.config"),
        config
    );
}

#[test]
fn e17_entities_that_grow_without_end_are_refused() {
    let place = with_settings();
    let mut entities = "<!ENTITY a0 \"ha\">".to_owned();
    for depth in 1..30 {
        let before = format!("&a{};", depth - 1).repeat(10);
        entities.push_str(&format!("<!ENTITY a{depth} \"{before}\">"));
    }
    let config = format!(
        "<!DOCTYPE c [{entities}]><c><appSettings><add key=\"K\" value=\"&a29;\"/></appSettings></c>"
    );
    let started = std::time::Instant::now();
    let outcome = deploys_config(&place, &config);
    assert_ne!(outcome.code, 0, "{}", outcome.output);
    assert!(outcome.error.contains("web.config"), "{}", outcome.error);
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn e18_a_loop_over_too_much_stops_at_a_limit() {
    let items = vec!["x"; 2000].join(",");
    let place = Place::new()
        .feature("SubstituteInFiles")
        .with("Octopus.Action.SubstituteInFiles.TargetFiles", "a.txt")
        .with("L", &items);
    let text = "#{each a in L}#{each b in L}#{each c in L}#{a}#{b}#{c}#{/each}#{/each}#{/each}";
    place.write("Acme.Web.1.0.0.zip", zip_of(&[Item::File("a.txt", text)]));
    let started = std::time::Instant::now();
    let outcome = place.run(&["deploy-package", "--package=Acme.Web.1.0.0.zip"]);
    assert_ne!(outcome.code, 0, "{}", outcome.output.len());
    assert!(outcome.error.contains("a.txt"), "{}", outcome.error);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn e20_a_script_sees_no_variable_of_the_step_in_its_environment() {
    let outcome = with_secret(
        "hunter2!",
        "env | sed 's/^/env /' | grep -c -i hunter2; tr '\\0' '\\n' < /proc/$PPID/environ | grep -c hunter2; tr '\\0' ' ' < /proc/$PPID/cmdline; echo",
    );
    assert!(!outcome.output.contains("hunter2"), "{}", outcome.output);
    assert!(outcome.output.contains("\n0\n0\n"), "{}", outcome.output);
}

#[test]
fn e21_a_message_for_a_reserved_variable_is_ignored_with_a_warning() {
    let place = Place::new()
        .with("Octopus.Release.Number", "1.0")
        .with("Octopus.Action.Script.Syntax", "Bash")
        .with(
            "Octopus.Action.Script.ScriptBody",
            "echo \"##octopus[setVariable name='T2N0b3B1cy5SZWxlYXNlLk51bWJlcg==' value='OQ==']\"",
        );
    let outcome = place.run(&["run-script"]);
    assert_eq!(outcome.code, 0);
    assert!(outcome.output.contains("reserved"), "{}", outcome.output);
    assert!(
        !outcome.output.contains("T2N0b3B1cy5SZWxlYXNlLk51bWJlcg=="),
        "{}",
        outcome.output
    );
}

#[test]
fn e23_a_stop_ends_everything_that_the_script_started() {
    let place = Place::new()
        .with("Octopus.Action.Script.Syntax", "Bash")
        .with(
            "Octopus.Action.Script.ScriptBody",
            "trap '' TERM; for i in $(seq 50); do (trap '' TERM; exec -a mantle-e23 sleep 600) & echo $! >> pids; done; echo > started; wait; wait; sleep 600",
        );
    let mut child = place
        .command(&["run-script"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let waited = std::time::Instant::now();
    while !place.path("started").exists() {
        assert!(waited.elapsed().as_secs() < 30, "it does not start");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let stopped = std::time::Instant::now();
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("told");
    child.wait().expect("ended");
    assert!(stopped.elapsed().as_secs() < 10, "{:?}", stopped.elapsed());
    // What was killed may be on its way out for a moment.
    for pid in place.text("pids").lines() {
        let alive = || {
            std::fs::read_to_string(Path::new("/proc").join(pid).join("cmdline"))
                .is_ok_and(|line| line.contains("mantle-e23"))
        };
        while alive() {
            assert!(stopped.elapsed().as_secs() < 10, "{pid} is left");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn e25_a_script_that_removes_its_folder_ends_the_step_with_a_clear_text() {
    let place = Place::new()
        .with("Octopus.Action.Script.Syntax", "Bash")
        .with("Octopus.Action.Script.ScriptBody", "rm -rf \"$PWD\"; exit 5");
    let home = tempfile::tempdir().expect("a folder");
    let mut command = place.command(&["run-script"]);
    command
        .env("TentacleHome", home.path())
        .env_remove("TentacleJournal");
    let ended = outcome(command);
    assert_eq!(ended.code, 5, "{}", ended.error);
    assert!(!ended.error.contains("panicked"), "{}", ended.error);
}
