//! `structured-config.jsonl`: variables put into JSON, YAML, XML and properties. What is in the files is compared as data,
//! and which variables were put in.

use calamari::convention::structured_configuration;
use calamari::text_file::TextFile;
use serde_json::Value;

use crate::difference::same;
use crate::document::{self, Part};
use crate::folder_case::{Played, bytes, play as play_in_folder};
use crate::{json_data, yaml_data};

/// Gives a case to our convention.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    let targets = case["targets"].as_str().unwrap_or_default();
    let added = [(
        "Octopus.Action.Package.JsonConfigurationVariablesTargets",
        targets,
    )];
    let ours = play_in_folder(case, &added, structured_configuration::replace_in)?;
    let recorded = &case["outcome"];
    let log = recorded_log(recorded);
    same("ok", ours.failure.is_none(), recorded["ok"] == true)
        .map_err(|why| format!("{why} ({:?})", ours.failure))?;
    same("variables put in", used(&ours.log), used(&log))?;
    same("formats", formats(&ours.log), formats(&log))?;
    for quoted in [
        "No files were found that match",
        "Skipping structured variable replacement on",
    ] {
        let of = |lines: &[String]| -> Vec<String> {
            let lines = lines.iter().filter(|line| line.starts_with(quoted));
            lines.cloned().collect()
        };
        same("warnings", of(&ours.log), of(&log))?;
    }
    for name in ours.files.keys() {
        let expected = recorded["changed"].get(name).unwrap_or(&case["files"][name]);
        let format = formats(&log)
            .into_iter()
            .find(|(file, _)| file == name)
            .map(|(_, format)| format);
        file(&ours, name, &bytes(expected)?, format.as_deref()).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

fn file(ours: &Played, name: &str, recorded: &[u8], format: Option<&str>) -> Result<(), String> {
    let content = &ours.files[name];
    let (our_file, recorded_file) = (TextFile::decode(content), TextFile::decode(recorded));
    let (text, recorded_text) = (&*our_file.text, &*recorded_file.text);
    if format != Some("Xml") {
        let plain = |text: &str| text.is_ascii();
        // What is only ASCII is the same in UTF-8 and in what came before it.
        if !plain(text) || !plain(recorded_text) || our_file.storage.marked || recorded_file.storage.marked {
            same("encoding", our_file.storage, recorded_file.storage)?;
        }
    }
    match format {
        Some("Json") => json_data::same_data(text, recorded_text),
        Some("Yaml") => yaml_data::same_data(text, recorded_text),
        Some("Xml") => same("XML", xml(text)?, xml(recorded_text)?),
        // Properties are exact, and so is a file that was not changed.
        _ => same(
            "bytes",
            String::from_utf8_lossy(content),
            String::from_utf8_lossy(recorded),
        ),
    }
}

/// The parts of a document. The original writes an internal subset also where there was none.
fn xml(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = document::parts(text)?;
    for part in &mut parts {
        if let Part::Instruction(text) = part
            && let Some(shorter) = text.strip_suffix("[]")
        {
            *text = shorter.trim_end().to_owned();
        }
    }
    Ok(parts)
}

fn recorded_log(outcome: &Value) -> Vec<String> {
    let lines = outcome["log"].as_array().into_iter().flatten();
    lines
        .filter_map(|line| line[1].as_str())
        .map(str::to_owned)
        .collect()
}

/// The variables that were put in, as often as they were, in any order.
fn used(log: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = log
        .iter()
        .filter_map(|text| text.strip_prefix("Structure found matching the variable '"))
        .filter_map(|rest| rest.strip_suffix("'. Replacing its content with the variable value."))
        .collect();
    names.sort_unstable();
    names
}

/// Which file was taken for which format, in any order.
fn formats(log: &[String]) -> Vec<(String, String)> {
    let mut formats: Vec<(String, String)> = log
        .iter()
        .filter_map(|text| text.strip_prefix("Structured variable replacement succeeded on file "))
        .filter_map(|rest| rest.split_once(" with format "))
        .map(|(file, format)| (file.to_owned(), format.to_owned()))
        .collect();
    formats.sort();
    formats
}
