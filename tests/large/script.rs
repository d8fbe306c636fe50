//! Scripts that fail, that lose their agent, and that are cancelled.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::program::Program;

use crate::agent::Agent;
use crate::client::{Client, eventually};

#[test]
fn a_script_that_fails_is_named_with_its_step_and_machine() {
    let server = Program::start();
    let _agent = Agent::start(&server, "web01");
    let client = Client::of(&server);
    client.healthy_machine();
    let task = client.run("Fails", "Migrate the database", "echo about to fail; exit 1");
    let ended = client.ended(&task, Duration::from_secs(60));
    assert_eq!(ended.state, "Failed", "{}", ended.log);
    for part in ["Migrate the database", "web01", "exit code 1"] {
        assert!(ended.message.contains(part), "no {part} in: {}", ended.message);
    }
    assert!(ended.log.contains("about to fail"), "{}", ended.log);
}

/// The agent does not come back. The Server asks again for two and a half minutes (`tentacle-protocol.md` 5.6), and then
/// says what it knows. What happens when the agent does come back, `tests/deployment` tells.
#[test]
fn a_script_whose_agent_is_gone_for_good_fails_and_says_why() {
    let server = Program::start();
    let mut agent = Agent::start(&server, "web01");
    let client = Client::of(&server);
    client.healthy_machine();
    let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
    let task = client.run("Gone", "Work", &script_until_the_folder_goes(folder.path()));
    client.says(&task, "at work");
    agent.kill();
    let ended = client.ended(&task, Duration::from_secs(180));
    assert_eq!(ended.state, "Failed", "{}", ended.log);
    for part in ["Work", "web01", "stopped answering"] {
        assert!(ended.message.contains(part), "no {part} in: {}", ended.message);
    }
}

/// The eighth "Done when", with processes that leave nothing by which they could be found: neither group, nor
/// parent, nor environment, nor open output.
#[test]
fn ten_seconds_after_a_cancel_nothing_of_the_script_is_left() {
    let server = Program::start();
    let _agent = Agent::start(&server, "web01");
    let client = Client::of(&server);
    client.healthy_machine();
    let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
    // A program of its own path is found wherever it has gone.
    let sleeper = folder.path().join("sleeper");
    std::fs::copy("/bin/sleep", &sleeper).expect("/bin/sleep is there");
    let at = sleeper.display();
    let script = format!(
        "trap '' TERM INT HUP\n\
         setsid {at} 1000 &\n\
         (setsid {at} 1001 </dev/null >/dev/null 2>&1 &)\n\
         (env -i setsid {at} 1002 </dev/null >/dev/null 2>&1 &)\n\
         nohup {at} 1003 >/dev/null 2>&1 &\n\
         echo at work\n\
         {at} 1004\n"
    );
    let task = client.run("Cancelled", "Sleep", &script);
    client.says(&task, "at work");
    eventually("all five sleep", Duration::from_secs(10), || {
        (processes_of(&sleeper).len() == 5).then_some(())
    });

    let end = Instant::now() + Duration::from_secs(10);
    client.cancel(&task);
    let what = "no process is left and the task is Canceled";
    eventually(what, end.saturating_duration_since(Instant::now()), || {
        (processes_of(&sleeper).is_empty() && client.state(&task) == "Canceled").then_some(())
    });
}

/// Ends when the story does, whoever looks after it by then.
fn script_until_the_folder_goes(folder: &Path) -> String {
    format!(
        "echo at work\nwhile [ -e {} ]; do sleep 0.2; done\n",
        folder.display()
    )
}

/// The processes that run a program, by their ids.
fn processes_of(program: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir("/proc").expect("/proc is there");
    let all = all.filter_map(|entry| Some(entry.ok()?.path()));
    all.filter(|process| std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program))
        .collect()
}
