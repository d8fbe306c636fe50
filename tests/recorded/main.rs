//! Plays recorded cases; the library says how.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use recorded::better::Better;
use recorded::case_file::{self, CaseFile, id};
use recorded::{PLAYERS, stage};
use rustix::fs::Mode;

/// What was asked for.
struct Request {
    /// Only cases whose id contains this.
    only: Option<String>,
    /// The files; empty for those of the repository.
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    stage::catch_panics();
    match request(std::env::args().skip(1)).and_then(|request| run(&request)) {
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
        failures += play(&file);
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

/// Plays a file and reports it.
fn play(file: &CaseFile) -> usize {
    let name = &file.name;
    let Some((_, player)) = PLAYERS.iter().find(|(start, _)| name.starts_with(start)) else {
        println!("{name}: no player for files of this name");
        return 1;
    };
    let failed = stage::play(&file.cases, player);
    println!(
        "{name}: {} passed, {} failed",
        file.cases.len() - failed.len(),
        failed.len()
    );
    for (id, difference) in &failed {
        println!("  {id}: {difference}");
    }
    failed.len()
}
