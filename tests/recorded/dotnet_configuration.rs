//! .NET settings, and which transforms apply to which files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use calamari::convention::{dotnet_configuration, transform_configuration};
use calamari::transformation::Level;
use calamari::variables::Variables;
use serde_json::Value;

use crate::configuration_file::{Line, level, lines, same_xml};
use crate::difference::same;
use crate::folder_case::{Folders, bytes};

/// Runs the conventions in a fresh folder.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    let files = match case["files"].as_array() {
        // Where only their names are given they are empty.
        Some(names) => {
            let names = names.iter().filter_map(Value::as_str);
            names.map(|name| (name.to_owned(), Value::from(""))).collect()
        }
        None => case["files"].clone(),
    };
    let folders = Folders::make(&files)?;
    let mut variables = Variables::default();
    for list in ["variables", "settings"] {
        for pair in case[list].as_array().into_iter().flatten() {
            let name = pair[0].as_str().unwrap_or_default();
            variables.set(name, &folders.named(pair[1].as_str().unwrap_or_default()));
        }
    }
    let outcome = &case["outcome"];
    if case["kind"] == "selection" {
        return selection(&folders, &variables, outcome);
    }
    let mut told: Vec<Line> = Vec::new();
    let mut tell = |level_of: Level, text: &str| told.push((level(level_of), folders.anonymous(text)));
    let result = if case["kind"] == "settings" {
        dotnet_configuration::replace(&folders.case(), &variables, &mut tell)
    } else {
        transform_configuration::transform(&folders.case(), &mut variables, &mut tell)
    };
    same("ok", result.is_ok(), outcome["ok"] == true)?;
    changes(&folders, &files, outcome)?;
    logs(&told, &lines(&outcome["log"]))?;
    if let Some(applied) = outcome["appliedVariable"].as_str() {
        let ours = variables
            .raw(transform_configuration::APPLIED)
            .unwrap_or_default();
        let mut ours: Vec<&str> = ours.split('|').collect();
        let recorded = folders.named(applied);
        let mut recorded: Vec<&str> = recorded.split('|').collect();
        ours.sort_unstable();
        recorded.sort_unstable();
        same("applied transforms", ours, recorded)?;
    }
    Ok(())
}

/// The pairs by their targets: of different ones the order is that of the disk.
fn selection(folders: &Folders, variables: &Variables, outcome: &Value) -> Result<(), String> {
    let mut recorded: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pair in outcome["applied"].as_array().into_iter().flatten() {
        let text = |index: usize| pair[index].as_str().unwrap_or_default();
        recorded.entry(text(1)).or_default().push(text(0));
    }
    let found = transform_configuration::choose(&folders.case(), variables);
    same("ok", found.is_ok(), outcome["ok"] == true)?;
    let Ok(found) = found else {
        return Ok(());
    };
    let mut ours: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for application in &found.applications {
        let show = |path: &Path| folders.anonymous(&path.display().to_string());
        ours.entry(show(&application.source))
            .or_default()
            .push(show(&application.transform));
    }
    let recorded: BTreeMap<String, Vec<String>> = recorded
        .into_iter()
        .map(|(target, transforms)| {
            (
                target.to_owned(),
                transforms.into_iter().map(str::to_owned).collect(),
            )
        })
        .collect();
    same("applied", ours, recorded)?;
    let about_patterns = |text: &str| text.starts_with("The transform pattern");
    let ours: Vec<String> = found
        .lines
        .iter()
        .map(|line| folders.anonymous(&line.text))
        .filter(|text| about_patterns(text))
        .collect();
    let recorded: Vec<String> = lines(&outcome["log"])
        .into_iter()
        .map(|line| line.1)
        .filter(|text| about_patterns(text))
        .collect();
    same("lines about patterns", ours, recorded)
}

fn changes(folders: &Folders, before: &Value, outcome: &Value) -> Result<(), String> {
    for (name, old) in before.as_object().into_iter().flatten() {
        let path = folders.case().join(folders.named(name));
        let new = fs::read(path).map_err(|why| format!("{name}: {why}"))?;
        match outcome["changed"].get(name) {
            Some(content) => same_xml(name, &new, &bytes(content)?)?,
            None => same(
                name,
                String::from_utf8_lossy(&new),
                String::from_utf8_lossy(&bytes(old)?),
            )?,
        }
    }
    Ok(())
}

/// Lines that the specification quotes, in any order; of the others those that are not verbose by their number.
fn logs(ours: &[Line], recorded: &[Line]) -> Result<(), String> {
    const QUOTED: [&str; 6] = [
        "Setting '",
        "Updating appSettings",
        "No matching appSetting",
        "Transforming '",
        "Could not transform",
        "The XML configuration file",
    ];
    let quoted = |log: &[Line]| {
        let mut found: Vec<String> = log
            .iter()
            .map(|line| line.1.replace("\r\n", "\n").replace('\r', "\n"))
            .filter(|text| QUOTED.iter().any(|start| text.starts_with(start)))
            .collect();
        found.sort();
        found
    };
    same("quoted lines", quoted(ours), quoted(recorded))?;
    for level in ["info", "warn", "error"] {
        let of = |log: &[Line]| log.iter().filter(|line| line.0 == level).count();
        same(
            &format!("number of lines of level {level}"),
            of(ours),
            of(recorded),
        )?;
    }
    Ok(())
}
