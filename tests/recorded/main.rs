//! Plays recorded cases; the library says how.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use recorded::better::Better;
use recorded::case_file::{self, CaseFile, id};
use recorded::{PLAYERS, PLAYERS_WITH_FIXTURES, agent, stage};
use rustix::fs::Mode;
use serde_json::Value;

/// What was asked for.
struct Request {
    /// Only cases whose id contains this.
    only: Option<String>,
    /// The files; empty for those of the repository.
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, job, root] = words.as_slice()
        && word == agent::INSIDE
    {
        return match agent::play_inside(Path::new(job), Path::new(root)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(difference) => {
                eprintln!("{difference}");
                ExitCode::FAILURE
            }
        };
    }
    stage::catch_panics();
    match request(words.into_iter()).and_then(|request| run(&request)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn request(mut words: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut request = Request {
        only: None,
        files: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => request.only = Some(words.next().ok_or("--only needs a text")?),
            option if option.starts_with('-') => return Err(format!("there is no option {option}")),
            file => request.files.push(file.into()),
        }
    }
    Ok(request)
}

/// Plays the files; gives the number of cases that failed, and of files that could not be played.
fn run(request: &Request) -> Result<usize, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let better = Better::read(folder)?;
    let all = request.files.is_empty();
    let files = if all {
        case_file::in_folder(&folder.join("../fixtures/recorded"))?
    } else {
        request.files.clone()
    };
    let mut ids = BTreeSet::new();
    let mut failures = 0;
    for path in &files {
        let mut file = CaseFile::read(path)?;
        ids.extend(file.cases.iter().map(|case| id(case).to_owned()));
        for case in &mut file.cases {
            let id = id(case).to_owned();
            better.apply(&id, case);
        }
        if let Some(part) = &request.only {
            file.cases.retain(|case| id(case).contains(part));
        }
        if file.name.starts_with("tentacle-") {
            file.fixtures = agent::company(&file, path)?;
            leave_out_unknown_commands(&mut file)?;
        }
        failures += play(&file)?;
    }
    let unknown = better.unknown(&ids);
    if all && !unknown.is_empty() {
        return Err(format!(
            "better.txt names what no file has: {}",
            unknown.join(", ")
        ));
    }
    Ok(failures)
}

/// The third rule by which a line is left out: a command that the agent does not have.
fn leave_out_unknown_commands(file: &mut CaseFile) -> Result<(), String> {
    let mut kept = Vec::new();
    for case in std::mem::take(&mut file.cases) {
        if agent::has_commands(&case)? {
            kept.push(case);
        }
    }
    file.cases = kept;
    Ok(())
}

/// Plays a file and reports it.
fn play(file: &CaseFile) -> Result<usize, String> {
    let name = &file.name;
    let plain = PLAYERS.iter().find(|(start, _)| name.starts_with(start));
    let shared = PLAYERS_WITH_FIXTURES
        .iter()
        .find(|(start, _)| name.starts_with(start));
    let failed = if let Some((_, player)) = plain {
        stage::play(&file.cases, player)
    } else if let Some((_, player)) = shared {
        stage::play(&file.cases, &|case: &Value| player(&file.fixtures, case))
    } else {
        println!("{name}: no player for files of this name");
        return Ok(1);
    };
    println!(
        "{name}: {} passed, {} failed",
        file.cases.len() - failed.len(),
        failed.len()
    );
    for (id, difference) in &failed {
        println!("  {id}: {difference}");
    }
    Ok(failed.len())
}
