//! A file of recorded cases.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The lines of a file: cases, and what they have in common.
pub struct CaseFile {
    /// The file's own name.
    pub name: String,
    /// The lines whose id begins with `fixture`.
    pub fixtures: Vec<Value>,
    /// The cases, in the order of the file.
    pub cases: Vec<Value>,
}

impl CaseFile {
    /// Reads a file. Lines of `kind` `container` are no cases of a program and left out.
    ///
    /// # Errors
    /// When the file cannot be read, a line is not a JSON object, or one has no id.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let mut file = Self {
            name: file_name(path),
            fixtures: Vec::new(),
            cases: Vec::new(),
        };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let place = format!("{} line {}", path.display(), number + 1);
            let case: Value = serde_json::from_str(line).map_err(|why| format!("{place}: {why}"))?;
            let Some(id) = case["id"].as_str() else {
                return Err(format!("{place}: there is no id"));
            };
            if id.starts_with("fixture") {
                file.fixtures.push(case);
            } else if case["kind"] != "container" {
                file.cases.push(case);
            }
        }
        Ok(file)
    }
}

/// The id of a case.
pub fn id(case: &Value) -> &str {
    case["id"].as_str().unwrap_or_default()
}

/// The files of a folder that hold cases, by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let name = folder.display();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|why| format!("{name}: {why}"))? {
        let path = entry.map_err(|why| format!("{name}: {why}"))?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixtures_and_containers_are_no_cases() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let lines = "{\"id\":\"fixture-a\"}\n{\"id\":\"b\",\"kind\":\"container\"}\n{\"id\":\"c\"}\n";
        std::fs::write(&path, lines).unwrap();
        let file = CaseFile::read(&path).unwrap();
        assert_eq!(file.fixtures.len(), 1);
        assert_eq!(file.cases.iter().map(id).collect::<Vec<_>>(), ["c"]);
        assert_eq!(in_folder(folder.path()).unwrap(), std::slice::from_ref(&path));
        std::fs::write(&path, "{}\n").unwrap();
        assert!(CaseFile::read(&path).is_err());
    }
}
