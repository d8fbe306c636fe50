//! .NET settings, and which transforms apply to which files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use calamari::convention::{dotnet_configuration, transform_configuration};
use calamari::transformation::Level;
use calamari::variables::Variables;
use serde_json::Value;

use crate::configuration_file::{Line, bytes, level, lines, same_xml};
use crate::difference::same;

/// The folders of a case.
struct Stage {
    /// Keeps them.
    top: tempfile::TempDir,
}

impl Stage {
    fn folder(&self) -> PathBuf {
        self.top.path().join("case")
    }

    fn replace(&self, text: &str) -> String {
        let path = |name: &str| self.top.path().join(name).display().to_string();
        text.replace("$DIR", &path("case"))
            .replace("$EXTRA", &path("extra"))
            .replace("$PARENT", &self.top.path().display().to_string())
    }

    /// A path as recordings have it.
    fn show(&self, text: &str) -> String {
        let path = |name: &str| self.top.path().join(name).display().to_string();
        text.replace(&(path("case") + "/"), "")
            .replace(&path("case"), "$DIR")
            .replace(&path("extra"), "$EXTRA")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(self.replace(name))
    }
}

/// Runs the conventions in a fresh folder.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    let stage = Stage {
        top: tempfile::tempdir().map_err(|why| why.to_string())?,
    };
    fs::create_dir_all(stage.folder()).map_err(|why| why.to_string())?;
    let before = files(case)?;
    for (name, content) in &before {
        let path = stage.path(name);
        let parent = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(|why| why.to_string())?;
        fs::write(&path, content).map_err(|why| why.to_string())?;
    }
    let mut variables = Variables::default();
    for list in ["variables", "settings"] {
        for pair in case[list].as_array().into_iter().flatten() {
            let name = pair[0].as_str().unwrap_or_default();
            variables.set(name, &stage.replace(pair[1].as_str().unwrap_or_default()));
        }
    }
    let outcome = &case["outcome"];
    if case["kind"] == "selection" {
        return selection(&stage, &variables, outcome);
    }
    let mut told: Vec<Line> = Vec::new();
    let mut tell = |level_of: Level, text: &str| told.push((level(level_of), stage.show(text)));
    let result = if case["kind"] == "settings" {
        dotnet_configuration::replace(&stage.folder(), &variables, &mut tell)
    } else {
        transform_configuration::transform(&stage.folder(), &mut variables, &mut tell)
    };
    same("ok", result.is_ok(), outcome["ok"] == true)?;
    changes(&stage, &before, outcome)?;
    logs(&told, &lines(&outcome["log"]))?;
    if let Some(applied) = outcome["appliedVariable"].as_str() {
        let ours = variables
            .raw(transform_configuration::APPLIED)
            .unwrap_or_default();
        let mut ours: Vec<&str> = ours.split('|').collect();
        let recorded = stage.replace(applied);
        let mut recorded: Vec<&str> = recorded.split('|').collect();
        ours.sort_unstable();
        recorded.sort_unstable();
        same("applied transforms", ours, recorded)?;
    }
    Ok(())
}

/// The files of a case; where only their names are given they are empty.
fn files(case: &Value) -> Result<BTreeMap<String, Vec<u8>>, String> {
    if let Some(names) = case["files"].as_array() {
        let names = names.iter().filter_map(Value::as_str);
        return Ok(names.map(|name| (name.to_owned(), Vec::new())).collect());
    }
    let members = case["files"].as_object().ok_or("the case has no files")?;
    members
        .iter()
        .map(|(name, content)| Ok((name.clone(), bytes(content)?)))
        .collect()
}

/// The pairs by their targets: of different ones the order is that of the disk.
fn selection(stage: &Stage, variables: &Variables, outcome: &Value) -> Result<(), String> {
    let mut recorded: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pair in outcome["applied"].as_array().into_iter().flatten() {
        let text = |index: usize| pair[index].as_str().unwrap_or_default();
        recorded.entry(text(1)).or_default().push(text(0));
    }
    let found = transform_configuration::choose(&stage.folder(), variables);
    same("ok", found.is_ok(), outcome["ok"] == true)?;
    let Ok(found) = found else {
        return Ok(());
    };
    let mut ours: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for application in &found.applications {
        let show = |path: &Path| stage.show(&path.display().to_string());
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
        .map(|line| stage.show(&line.text))
        .filter(|text| about_patterns(text))
        .collect();
    let recorded: Vec<String> = lines(&outcome["log"])
        .into_iter()
        .map(|line| line.1)
        .filter(|text| about_patterns(text))
        .collect();
    same("lines about patterns", ours, recorded)
}

fn changes(stage: &Stage, before: &BTreeMap<String, Vec<u8>>, outcome: &Value) -> Result<(), String> {
    for (name, old) in before {
        let new = fs::read(stage.path(name)).map_err(|why| format!("{name}: {why}"))?;
        match outcome["changed"].get(name) {
            Some(content) => same_xml(name, &new, &bytes(content)?)?,
            None => same(name, String::from_utf8_lossy(&new), String::from_utf8_lossy(old))?,
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
