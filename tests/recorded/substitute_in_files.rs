//! `substitute-in-files.jsonl`: templates in files, and the files that patterns mean.

use std::collections::BTreeSet;

use calamari::convention::substitute_in_files;
use calamari::glob;
use serde_json::{Map, Value};

use crate::difference::same;
use crate::folder_case::{Folders, bytes, play as play_in_folder};

/// The files that the word `TREE` stands for.
const TREE: &[&str] = &[
    "a.txt",
    "B.TXT",
    "ab.txt",
    "a.b.txt",
    ".hidden",
    ".h/x.txt",
    "noext",
    "s/a.txt",
    "s/t/a.txt",
    "s/t/u/deep.txt",
    "s/[x].txt",
    "s/x.txt",
    "[d]/in.txt",
    "d/in.txt",
    "{e}/in.txt",
    "e/in.txt",
    "sp ace/f g.txt",
    "bin/a.dll",
    "bin/b.exe",
    "bin/Debug/c.dll",
    "S/upper.txt",
    "q?.txt",
    "star*.txt",
    "café.txt",
    "plus+.txt",
    "(p).txt",
    "dollar$.txt",
    "^c.txt",
    "back\\slash.txt",
    "empty/",
];

/// Gives a case to our substitution or our patterns.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    match case["kind"].as_str() {
        Some("glob") => patterns(case),
        Some("substitute") => substitute(case),
        other => Err(format!("there is no kind {other:?}")),
    }
}

fn patterns(case: &Value) -> Result<(), String> {
    let tree: Map<String, Value> = match &case["tree"] {
        Value::String(word) if word == "TREE" => {
            TREE.iter().map(|name| ((*name).to_owned(), "".into())).collect()
        }
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .map(|name| (name.to_owned(), "".into()))
            .collect(),
        Value::Object(files) => files.clone(),
        other => return Err(format!("{other} is no tree")),
    };
    let folders = Folders::make(&Value::Object(tree))?;
    let mut patterns: Vec<&str> = strings(&case["patterns"]).collect();
    if patterns.is_empty() {
        // No pattern at all means this one.
        patterns.push("*");
    }
    let mut ours = BTreeSet::new();
    for pattern in patterns {
        match glob::find(&folders.case(), &folders.named(pattern)) {
            Ok(found) => ours.extend(
                found
                    .files
                    .iter()
                    .map(|file| folders.anonymous(&file.display().to_string())),
            ),
            Err(_) if case["error"].is_string() => return Ok(()),
            Err(failure) => return Err(format!("ours fails: {failure}")),
        }
    }
    same("error", None, case["error"].as_str())?;
    let recorded: BTreeSet<String> = strings(&case["matches"]).map(str::to_owned).collect();
    same("matches", ours, recorded)
}

fn substitute(case: &Value) -> Result<(), String> {
    let targets = case["targets"].as_str().unwrap_or_default();
    let added = [("Octopus.Action.SubstituteInFiles.TargetFiles", targets)];
    let ours = play_in_folder(case, &added, substitute_in_files::substitute_targets)?;
    let recorded = &case["outcome"];
    same("ok", ours.failure.is_none(), recorded["ok"] == true)?;
    for (name, content) in &ours.files {
        let expected = recorded["changed"].get(name).unwrap_or(&case["files"][name]);
        same(
            &format!("the file {name}"),
            String::from_utf8_lossy(content),
            String::from_utf8_lossy(&bytes(expected)?),
        )?;
        same(&format!("the bytes of {name}"), content, &bytes(expected)?)?;
    }
    for quoted in ["No files were found in", "Performing variable substitution on"] {
        let of = |lines: Vec<&str>| -> Vec<String> {
            lines
                .into_iter()
                .filter(|line| line.starts_with(quoted))
                .map(str::to_owned)
                .collect()
        };
        let mut our_lines = of(ours.log.iter().map(String::as_str).collect());
        let mut recorded_lines = of(recorded["log"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|line| line[1].as_str())
            .collect());
        // The order of the files of one pattern is that of the disk.
        our_lines.sort();
        recorded_lines.sort();
        same("log", our_lines, recorded_lines)?;
    }
    Ok(())
}

fn strings(values: &Value) -> impl Iterator<Item = &str> {
    values.as_array().into_iter().flatten().filter_map(Value::as_str)
}
