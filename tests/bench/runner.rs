//! What the runner does on a machine, beside the tools that do the same: `tests/bench/run runner`.
//!
//! Inputs are generated with a fixed seed, in memory where the machine has a folder for that. Contenders take turns, at
//! least three times, and each figure is the median. Ratios and verdicts are of CPU time (user and system, with all
//! children), because that says the same on a busy machine; the wall's time stands beside it.

mod delta;
mod deployment;
mod extraction;
mod input;
mod masking;
mod measure;
mod substitution;
mod table;
mod template;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use table::Table;

/// Where a line's programs and files are.
struct Place {
    folder: PathBuf,
    calamari: PathBuf,
    /// This program, which is its own child where a part of a library is measured as a process.
    own: PathBuf,
}

impl Place {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new, empty folder.
    fn fresh(&self, name: &str) -> PathBuf {
        let folder = self.at(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("an own folder can be removed");
        }
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        folder
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["peak", program, arguments @ ..] => measure::report_peak(program, arguments),
        ["cut", old, new, bundle] => delta::cut(Path::new(old), Path::new(new), Path::new(bundle)),
        ["assemble", old, bundle, result] => {
            delta::assemble(Path::new(old), Path::new(bundle), Path::new(result));
        }
        only => return all(only),
    }
    ExitCode::SUCCESS
}

/// Measures a part and prints its lines.
type Part = fn(&Place, &mut Table);

const PARTS: [(&str, Part); 6] = [
    ("start", deployment::run),
    ("extraction", extraction::run),
    ("substitution", substitution::run),
    ("template", template::run),
    ("delta", delta::run),
    ("masking", masking::run),
];

/// Measures everything, or only the parts that are named.
fn all(only: &[&str]) -> ExitCode {
    if let Some(unknown) = only
        .iter()
        .find(|word| PARTS.iter().all(|(name, _)| name != *word))
    {
        let known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no part {unknown}; parts: {}", known.join(" "));
        return ExitCode::from(2);
    }
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let folder = folder.expect("a temporary folder can be made");
    let own = std::env::current_exe().expect("a program knows where it is");
    let place = Place {
        folder: folder.path().to_owned(),
        calamari: own.with_file_name("calamari"),
        own,
    };
    let mut table = Table::default();
    for (name, part) in PARTS {
        if only.is_empty() || only.contains(&name) {
            part(&place, &mut table);
        }
    }
    table.finish();
    ExitCode::SUCCESS
}
