//! Plays the cases of the agent's command line, each on a machine of its own: namespaces for mounts, host name, network
//! and processes, with the host name, machine id, hosts and files of the recording.

mod answer;
mod machine;
mod placeholder;
mod program;
mod scene;
mod stub;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

use crate::case_file::{CaseFile, id};

/// The word with which the harness starts itself inside the namespaces of a case.
pub const INSIDE: &str = "--inside-machine";

/// Whether a word is a command of ours, asked once each.
static KNOWN: LazyLock<Mutex<BTreeMap<String, bool>>> = LazyLock::new(Mutex::default);

/// What the cases of a file share, beside its own fixtures: those of its sister file, and the cases of both that tell what
/// the Server answered, because a step before a case may be one of them.
///
/// # Errors
/// When the sister file is there and cannot be read.
pub fn company(file: &CaseFile, path: &Path) -> Result<Vec<Value>, String> {
    let mut lines = file.fixtures.clone();
    lines.extend(
        file.cases
            .iter()
            .filter(|case| case["requests"].is_array())
            .cloned(),
    );
    for name in ["tentacle-cli.jsonl", "tentacle-rest.jsonl"] {
        let sister = path.with_file_name(name);
        if file.name != name && sister.exists() {
            let sister = CaseFile::read(&sister)?;
            let known: Vec<String> = lines.iter().map(|line| id(line).to_owned()).collect();
            let tells = |line: &Value| line["requests"].is_array() || id(line).starts_with("fixture");
            let more = sister.fixtures.into_iter().chain(sister.cases);
            lines.extend(more.filter(|line| tells(line) && !known.contains(&id(line).to_owned())));
        }
    }
    Ok(lines)
}

/// Plays a case.
///
/// # Errors
/// The first difference.
pub fn play(company: &[Value], case: &Value) -> Result<(), String> {
    let steps: Vec<&Value> = case["setup"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| &step["argv"])
        .collect();
    let is_needed = |line: &&Value| id(line).starts_with("fixture") || steps.contains(&&line["argv"]);
    let fixtures: Vec<&Value> = company.iter().filter(is_needed).collect();
    let ground = tempfile::tempdir().map_err(|why| format!("a fresh folder: {why}"))?;
    let job = ground.path().join("job.json");
    let root = ground.path().join("root");
    std::fs::create_dir(&root).map_err(|why| format!("{}: {why}", root.display()))?;
    let text = json!({"program": program()?, "fixtures": fixtures, "case": case}).to_string();
    std::fs::write(&job, text).map_err(|why| format!("{}: {why}", job.display()))?;
    let own = std::env::current_exe().map_err(|why| format!("this program's own path: {why}"))?;
    // Whoever runs this may ignore signals that end the agent in a story, and what is ignored is inherited.
    let ended = Command::new("env")
        .args([
            "--default-signal",
            "unshare",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .arg(own)
        .arg(INSIDE)
        .args([&job, &root])
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("unshare: {why}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(said.trim().to_owned())
}

/// The other side of [`play`]: inside the namespaces.
///
/// # Errors
/// The first difference.
pub fn play_inside(job: &Path, root: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(job).map_err(|why| format!("{}: {why}", job.display()))?;
    let mut job: Value = serde_json::from_str(&text).map_err(|why| format!("the job: {why}"))?;
    let program = job["program"].as_str().unwrap_or_default().to_owned();
    let fixtures = std::mem::take(&mut job["fixtures"]);
    machine::enter(root, Path::new(&program), &fixtures, &job["case"])?;
    scene::play(&fixtures, job["case"].take())
}

/// Whether ours has the command of a case and those of the steps before it. Words that are no command there either
/// count as known: what is said about them is the same for both.
///
/// # Errors
/// When the program cannot be asked.
pub fn has_commands(case: &Value) -> Result<bool, String> {
    let refused = case["stderr"]
        .as_str()
        .is_some_and(|text| text.contains("' is not supported"));
    if !refused && !is_known(&case["argv"])? {
        return Ok(false);
    }
    for step in case["setup"].as_array().into_iter().flatten() {
        if step["argv"].is_array() && !is_known(&step["argv"])? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_known(argv: &Value) -> Result<bool, String> {
    let word = argv[0].as_str().unwrap_or_default();
    let word = word.trim_start_matches(['-', '/']).to_lowercase();
    if ["", "?", "h", "v"].contains(&word.as_str()) {
        return Ok(true);
    }
    let mut known = KNOWN
        .lock()
        .map_err(|_| "the list of commands is broken".to_owned())?;
    if let Some(known) = known.get(&word) {
        return Ok(*known);
    }
    let ended = Command::new(program()?)
        .args([&word, "--help"])
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("tentacle {word} --help: {why}"))?;
    let is_known = !String::from_utf8_lossy(&ended.stderr).contains("is not supported");
    known.insert(word, is_known);
    Ok(is_known)
}

/// Where the cases find the program: named by `MANTLE_TENTACLE`, else beside this one.
fn program() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("MANTLE_TENTACLE") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().map_err(|why| format!("this program's own path: {why}"))?;
    let path = own.with_file_name("tentacle");
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is not built", path.display()))
    }
}
