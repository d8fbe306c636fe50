//! What happens on the machine of a case.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::program::{Ended, run};
use super::stub::Stub;
use super::{answer, tls};

/// The thumbprint of the recorded server's own certificate, whose key nobody has.
const RECORDED_SERVER: &str = "7437178BA19B960C242907F17E4A6257A6EC25DD";
/// Where settings, index and exports are written.
const WATCHED: [&str; 4] = ["/etc/octopus", "/Octopus", "/home/Octopus", "/etc/systemd/system"];

/// Plays a case on its machine.
///
/// # Errors
/// The first difference.
pub fn play(fixtures: &Value, case: Value) -> Result<(), String> {
    let (config, thumbprint) = tls::certificate()?;
    let case: Value = serde_json::from_str(&case.to_string().replace(RECORDED_SERVER, &thumbprint))
        .map_err(|why| format!("the case: {why}"))?;
    let shared = fixtures.as_array().map(Vec::as_slice).unwrap_or_default();
    let nothing = Value::Null;
    let server = shared.iter().find(|line| line["id"] == "fixture-server");
    let stub = Stub::start(server.unwrap_or(&nothing), &case, &config)?;
    let steps = case["setup"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (number, step) in steps.iter().enumerate() {
        let before = &steps[..number];
        let played = shared.iter().find(|line| {
            line["argv"] == step["argv"]
                && line["setup"].as_array().map(Vec::as_slice).unwrap_or_default() == before
        });
        stub.record(played.map_or(&nothing, |line| &line["requests"]));
        // Some of the steps fail on purpose; what they leave is what counts.
        run(step).map_err(|why| format!("step {} before: {why}", number + 1))?;
    }
    let start = watched()?;
    stub.record(&case["requests"]);
    let ended = run(&case)?;
    let end = watched()?;
    compare(&case, &ended)?;
    answer::same_files(&case["files"], &start, &end)?;
    if case["requests"].is_array() {
        answer::same_requests(&case["requests"], &stub.seen())?;
    }
    Ok(())
}

fn compare(case: &Value, ended: &Ended) -> Result<(), String> {
    answer::same_end(&case["exit"], ended)?;
    answer::same_output(case, ended)?;
    answer::same_probes(&case["probes"], &ended.probes)
}

/// Files below the watched folders, by path; folders are none.
fn watched() -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<_> = WATCHED
        .iter()
        .map(|folder| Path::new(folder).to_owned())
        .collect();
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        let problem = |why: std::io::Error| format!("{}: {why}", folder.display());
        for entry in fs::read_dir(&folder).map_err(problem)? {
            let entry = entry.map_err(problem)?;
            let path = entry.path();
            if entry.file_type().map_err(problem)?.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                files.insert(path.to_string_lossy().into_owned(), bytes);
            }
        }
    }
    Ok(files)
}
