//! Cases that change files of a folder: the folder is made, our convention runs in it, and what it left is read.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calamari::command_line::CommandLine;
use calamari::failure::Failure;
use calamari::interruption::Interruption;
use calamari::log::Log;
use calamari::runner::Runner;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What our code did with a case.
pub struct Played {
    /// Why it failed.
    pub failure: Option<String>,
    /// Its lines, the folders as in the case.
    pub log: Vec<String>,
    /// The files afterwards.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// The folders of a case.
pub struct Folders {
    kept: TempDir,
}

impl Folders {
    /// Makes the folders and their files.
    ///
    /// # Errors
    /// When a file cannot be made, or is in no known form.
    pub fn make(files: &Value) -> Result<Self, String> {
        let kept = tempfile::tempdir().map_err(|why| format!("no folder: {why}"))?;
        let folders = Self { kept };
        std::fs::create_dir_all(folders.case()).map_err(|why| format!("no folder: {why}"))?;
        for (name, content) in files.as_object().into_iter().flatten() {
            let path = folders.path(name);
            let made = if name.ends_with('/') {
                std::fs::create_dir_all(&path)
            } else {
                let content = bytes(content)?;
                path.parent()
                    .map_or(Ok(()), std::fs::create_dir_all)
                    .and_then(|()| std::fs::write(&path, content))
            };
            made.map_err(|why| format!("{name} cannot be made: {why}"))?;
        }
        Ok(folders)
    }

    /// The folder that the case runs in.
    pub fn case(&self) -> PathBuf {
        self.kept.path().join("case")
    }

    /// A text with the names of the folders in the place of `$DIR`, `$EXTRA` and `$PARENT`.
    pub fn named(&self, text: &str) -> String {
        let parent = self.kept.path().display().to_string();
        text.replace("$DIR", &format!("{parent}/case"))
            .replace("$EXTRA", &format!("{parent}/extra"))
            .replace("$PARENT", &parent)
    }

    /// The other way.
    pub fn anonymous(&self, text: &str) -> String {
        let parent = self.kept.path().display().to_string();
        text.replace(&format!("{parent}/case/"), "")
            .replace(&format!("{parent}/case"), "$DIR")
            .replace(&format!("{parent}/extra"), "$EXTRA")
            .replace(&parent, "$PARENT")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.case().join(self.named(name))
    }

    /// All files, by their names in the case.
    fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let problem = |why: io::Error| format!("the folder cannot be read: {why}");
        let mut files = BTreeMap::new();
        let mut folders = vec![self.kept.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).map_err(problem)? {
                let path = entry.map_err(problem)?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = std::fs::read(&path).map_err(problem)?;
                    files.insert(self.anonymous(&path.display().to_string()), content);
                }
            }
        }
        Ok(files)
    }
}

/// The bytes of a file of a case.
///
/// # Errors
/// When it is in no known form.
pub fn bytes(content: &Value) -> Result<Vec<u8>, String> {
    let text = |member: &str| content[member].as_str();
    match content.as_str() {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => match (text("utf8bom"), text("base64")) {
            (Some(text), _) => Ok([b"\xEF\xBB\xBF", text.as_bytes()].concat()),
            (None, Some(coded)) => STANDARD.decode(coded).map_err(|why| format!("no base64: {why}")),
            _ => Err(format!("{content} is no content of a file")),
        },
    }
}

/// Plays a case: `run` is given the runner, with the variables and settings of the case and those added here, and the folder.
///
/// # Errors
/// When the case cannot be set up.
pub fn play(
    case: &Value,
    added: &[(&str, &str)],
    run: impl FnOnce(&Runner, &Path) -> Result<(), Failure>,
) -> Result<Played, String> {
    let folders = Folders::make(&case["files"])?;
    let mut variables = Vec::new();
    for pair in [&case["variables"], &case["settings"]]
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
    {
        let value = pair[1].as_str().map(|text| folders.named(text));
        variables.push(json!({"k": pair[0], "v": value, "s": false}));
    }
    for (name, value) in added {
        variables.push(json!({"k": name, "v": folders.named(value), "s": false}));
    }
    let settings = tempfile::tempdir().map_err(|why| format!("no folder: {why}"))?;
    let file = settings.path().join("variables.json");
    std::fs::write(&file, Value::Array(variables).to_string())
        .map_err(|why| format!("no variables: {why}"))?;

    let output = Shared::default();
    let problem = |failure: Failure| format!("the runner does not start: {failure}");
    let line = CommandLine::read(&["test".to_owned(), format!("--variables={}", file.display())])
        .map_err(problem)?;
    let log = Log::new(output.clone(), output.clone());
    let runner = Runner::start(line, &[], io::empty(), log, Interruption::default()).map_err(problem)?;
    output.take();
    let failure = run(&runner, &folders.case()).err();
    runner.log.flush();
    Ok(Played {
        failure: failure.map(|failure| folders.anonymous(&failure.message)),
        log: lines(&folders.anonymous(&output.take())),
        files: folders.files()?,
    })
}

/// The lines of a log without those that tell the level.
fn lines(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| !line.starts_with("##octopus[stdout-"))
        .map(str::to_owned)
        .collect()
}

/// Bytes that are written on one side and read on the other.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> String {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&std::mem::take(&mut *bytes)).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
