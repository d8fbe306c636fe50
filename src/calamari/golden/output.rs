//! What a script prints and hands over, however it does so, and a step that is stopped meanwhile.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::place::Place;

/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn script(text: &str) -> Place {
    Place::new()
        .with("Octopus.Action.Script.Syntax", "Bash")
        .with("Octopus.Action.Script.ScriptBody", text)
}

fn started(place: &Place, arguments: &[&str]) -> Child {
    std::fs::create_dir_all(place.path("agent")).expect("made");
    let mut command = place.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("started")
}

/// Reads what it prints up to this text.
fn read_until(child: &mut Child, text: &str) {
    let output = child.stdout.as_mut().expect("a pipe");
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        output.read_exact(&mut byte).expect("it goes on");
        seen.push(byte[0]);
    }
}

#[test]
fn a_character_whose_bytes_come_with_a_pause_is_whole() {
    let outcome = script("printf 'caf\\xc3'; sleep 1; printf '\\xa9 end\\n'").run(&["run-script"]);
    assert!(outcome.output.contains("café end"), "{}", outcome.output);
}

#[test]
fn a_message_that_is_too_long_is_left_out_and_told() {
    let outcome = script(
        "echo 'before it'; printf \"##octopus[setVariable name='TG9uZw==' value='\"; head -c 2000000 /dev/zero | base64 -w0; echo \"']\"; echo after it",
    )
    .run(&["run-script"]);
    assert_eq!(outcome.code, 0);
    let said = &outcome.output;
    assert!(
        said.contains("before it") && said.contains("\nafter it"),
        "{}",
        said.len()
    );
    assert!(said.contains("more than 1024 KiB is left out"), "{}", said.len());
    assert!(
        said.len() < 100_000 && !said.contains("AAAAAAAA"),
        "{}",
        said.len()
    );
}

#[test]
fn a_secret_that_is_wrapped_over_lines_is_hidden_from_then_on() {
    let secret = "a rather long secret text that base64 wraps after seventy-six characters of its own";
    let outcome = script(&format!(
        "s='{secret}'; echo \"##octopus[setVariable name='U2VjcmV0' value='$(printf %s \"$s\" | base64)' sensitive='VHJ1ZQ==']\"; sleep .1; echo \"it is $s\""
    ))
    .run(&["run-script"]);
    assert!(outcome.output.contains("it is ********"), "{}", outcome.output);
}

#[test]
fn what_prints_on_after_the_script_does_not_hold_a_step_that_is_stopped() {
    let place = script("(for i in $(seq 600); do sleep .1; echo tick; done) & echo $! > left; echo started");
    let mut child = started(&place, &["run-script"]);
    read_until(&mut child, "tick");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("told");
    let told = Instant::now();
    // The pipe is read on, as the agent does.
    let mut output = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
    assert_eq!(child.wait().expect("ended").code(), Some(143));
    assert!(told.elapsed() < PATIENCE, "{:?}", told.elapsed());
    let left = place.text("left").trim().parse().ok().and_then(Pid::from_raw);
    // It may have ended by itself when nobody read it any more.
    kill_process(left.expect("a process"), Signal::KILL).ok();
    reader.join().expect("it ends").expect("it can be read");
}

#[test]
fn a_step_that_waits_for_other_scripts_can_be_stopped() {
    let place = script("echo ran");
    std::fs::create_dir_all(place.path("agent")).expect("made");
    let lock = std::fs::File::create(place.path("agent/ScriptIsolation.m.lock")).expect("made");
    lock.lock().expect("locked");
    let mut child = started(
        &place,
        &[
            "run-script",
            "--scriptIsolationLevel=FullIsolation",
            "--scriptIsolationMutexName=m",
        ],
    );
    read_until(&mut child, "Acquiring script isolation mutex m");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("told");
    let told = Instant::now();
    assert_eq!(child.wait().expect("ended").code(), Some(143));
    assert!(told.elapsed() < PATIENCE, "{:?}", told.elapsed());
}
