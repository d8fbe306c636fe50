//! Plays the cases of the runner: each is a run of the `calamari` program in a fresh folder.

mod output;
mod placeholder;
mod tree;

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::difference::same;
use output::Output;
use placeholder::Placeholders;
use tree::Tree;

/// The longest that one run may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a run is looked at.
const GLANCE: Duration = Duration::from_millis(5);
/// The name of an output variable that only a finished script sets, in Base64.
const SCRIPT_EXIT_CODE: &str = "T2N0b3B1cy5BY3Rpb24uU2NyaXB0LkV4aXRDb2Rl";

/// Plays a case.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    let ground = tempfile::tempdir().map_err(|why| format!("a fresh folder: {why}"))?;
    let outcome = play_in(ground.path(), case);
    // A test of a read-only folder may have left one.
    let closed = ground
        .close()
        .map_err(|why| format!("the folder of the case: {why}"));
    outcome.and(closed)
}

fn play_in(ground: &Path, case: &Value) -> Result<(), String> {
    let ground = ground
        .canonicalize()
        .map_err(|why| format!("the folder of the case: {why}"))?;
    let stage = Stage {
        program: program()?,
        work: ground.join("work"),
        home: ground.join("home"),
    };
    let places = Placeholders::new(&stage.work, &stage.home, &stage.program);
    for folder in [&stage.work, &stage.home] {
        std::fs::create_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    }
    tree::write(&stage.work, &case["inputs"], &places)?;
    for folder in case["dirs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let path = stage.work.join(places.fill(folder));
        std::fs::create_dir_all(&path).map_err(|why| format!("folder {folder}: {why}"))?;
    }
    let inputs = tree::read(&stage.work)?;
    for (number, step) in case["before"].as_array().into_iter().flatten().enumerate() {
        before(&stage, step, &places).map_err(|why| format!("step {} before: {why}", number + 1))?;
    }
    let start = tree::read(&stage.work)?;
    let held = hold(&stage.work, &case["held"])?;
    let ended = stage.run(case, &places)?;
    if let Some(held) = held {
        held.join()
            .map_err(|_| "the holder of the lock panicked".to_owned())?;
    }
    compare(case, &ended, &places)?;
    let end = tree::read(&stage.work)?;
    let base = if case["before"].is_array() {
        &inputs
    } else {
        &start
    };
    let changed: Tree = end
        .iter()
        .filter(|(name, entry)| base.get(*name).is_none_or(|old| !same_content(old, entry)))
        .map(|(name, entry)| (name.clone(), entry.clone()))
        .collect();
    tree::same_files(&changed, &case["files"], &places)?;
    gone(&start, &end, case, &places)
}

/// Changed bits alone are no change: the recordings name the bits only of what was written.
fn same_content(old: &tree::Entry, new: &tree::Entry) -> bool {
    match (old, new) {
        (tree::Entry::File(old, _), tree::Entry::File(new, _)) => old == new,
        _ => old == new,
    }
}

fn gone(start: &Tree, end: &Tree, case: &Value, places: &Placeholders) -> Result<(), String> {
    let mut missing: Vec<&String> = start.keys().filter(|name| !end.contains_key(*name)).collect();
    for name in case["gone"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let found = missing.iter().position(|own| places.fits(name, own));
        match found {
            Some(index) => missing.remove(index),
            None => return Err(format!("file {name} is still there")),
        };
    }
    match missing.first() {
        Some(name) => Err(format!("file {name} is gone, which was not recorded")),
        None => Ok(()),
    }
}

/// A step before the run that counts.
fn before(stage: &Stage, step: &Value, places: &Placeholders) -> Result<(), String> {
    tree::write(&stage.work, &step["write"], places)?;
    for name in step["delete"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let path = stage.work.join(places.fill(name));
        let gone = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        gone.map_err(|why| format!("{name}: {why}"))?;
    }
    if !step["argv"].is_array() {
        return Ok(());
    }
    let ended = stage.run(step, places)?;
    same("success", ended.code == 0, step["exit"] == 0).map_err(|why| format!("{why}: {}", ended.stderr))
}

fn compare(case: &Value, ended: &Ended, places: &Placeholders) -> Result<(), String> {
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let said = || {
        ended
            .stderr
            .lines()
            .find(|line| !line.contains("##octopus"))
            .unwrap_or_default()
    };
    let exit = case["exit"].as_i64().unwrap_or_default();
    let (stdout, recorded) = (output::read(&ended.stdout), output::read(text("stdout")));
    if text("stdout").contains(SCRIPT_EXIT_CODE) {
        same("exit code", i64::from(ended.code), exit).map_err(|why| format!("{why} ({})", said()))?;
    } else if (ended.code == 0) != (exit == 0) {
        return Err(format!(
            "exit code: ours {}, recorded {exit} ({})",
            ended.code,
            said()
        ));
    }
    output::same_messages(&stdout, &recorded, places)?;
    let inputs = inputs(case, places);
    output::same_lines(&stdout, &recorded, &inputs, places)?;
    let ran_script = recorded
        .lines
        .iter()
        .any(|line| line.text.starts_with("Executing '"));
    let errors: Output = output::read(text("stderr"));
    output::same_errors(&output::read(&ended.stderr), &errors, ran_script, &inputs, places)
}

/// All texts a case gives to the runner: what a script may print.
fn inputs(case: &Value, places: &Placeholders) -> String {
    let mut texts = String::new();
    for content in case["inputs"]
        .as_object()
        .into_iter()
        .flat_map(|inputs| inputs.values())
    {
        let text = content
            .as_str()
            .or(content["text"].as_str())
            .or(content["utf8bom"].as_str());
        texts.push_str(text.unwrap_or_default());
        texts.push('\n');
    }
    // Texts of a variables file are JSON in JSON: their quotes are escaped.
    places.fill(&texts.replace("\\\"", "\""))
}

/// Holds a lock while the recorded run goes on, for the seconds that the case says.
fn hold(work: &Path, held: &Value) -> Result<Option<JoinHandle<()>>, String> {
    let Some(path) = held["path"].as_str() else {
        return Ok(None);
    };
    let seconds = held["seconds"].as_f64().unwrap_or_default();
    let path = work.join(path);
    let problem = |why: std::io::Error| format!("{}: {why}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(problem)?;
    }
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(problem)?;
    let kind = if held["flock"] == "shared" {
        FlockOperation::LockShared
    } else {
        FlockOperation::LockExclusive
    };
    flock(&file, kind).map_err(|why| format!("lock {}: {why}", path.display()))?;
    Ok(Some(thread::spawn(move || {
        thread::sleep(Duration::from_secs_f64(seconds));
        drop(file);
    })))
}

/// Where the cases find the program: named by `MANTLE_CALAMARI`, else beside this one.
fn program() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("MANTLE_CALAMARI") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().map_err(|why| format!("this program's own path: {why}"))?;
    let path = own.with_file_name("calamari");
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is not built", path.display()))
    }
}

/// Where the runs of one case take place.
struct Stage {
    program: PathBuf,
    work: PathBuf,
    home: PathBuf,
}

/// A finished run.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Stage {
    fn run(&self, step: &Value, places: &Placeholders) -> Result<Ended, String> {
        let words = step["argv"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let mut command = Command::new(&self.program);
        command
            .args(words.map(|word| places.fill(word)))
            .current_dir(&self.work)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            match value.as_str() {
                Some(value) => command.env(name, places.fill(value)),
                None => command.env_remove(name),
            };
        }
        let mut child = command
            .spawn()
            .map_err(|why| format!("{}: {why}", self.program.display()))?;
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let code = wait(&mut child)?;
        let text = |reader: JoinHandle<Vec<u8>>| {
            let bytes = reader
                .join()
                .map_err(|_| "the reader of a stream panicked".to_owned())?;
            Ok::<_, String>(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Ended {
            code,
            stdout: text(stdout)?,
            stderr: text(stderr)?,
        })
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read until then is compared, and shows what is missing.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// The exit code; as a shell tells it when a signal ended the run.
fn wait(child: &mut Child) -> Result<i32, String> {
    use std::os::unix::process::ExitStatusExt;
    let began = Instant::now();
    loop {
        let status = child
            .try_wait()
            .map_err(|why| format!("waiting for the run: {why}"))?;
        if let Some(status) = status {
            let signal = status.signal().map_or(-1, |signal| 128 + signal);
            return Ok(status.code().unwrap_or(signal));
        }
        if began.elapsed() > PATIENCE {
            if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
                kill_process_group(group, Signal::KILL).map_err(|why| format!("ending the run: {why}"))?;
            }
            child
                .wait()
                .map_err(|why| format!("waiting for the run: {why}"))?;
            return Err(format!("no end within {} s", PATIENCE.as_secs()));
        }
        thread::sleep(GLANCE);
    }
}
