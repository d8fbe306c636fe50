//! The variables of a step: loaded from files and the environment, and which of them are sensitive (2).

use crate::command_line::CommandLine;
use crate::failure::Failure;
use crate::lenient_json::Json;
use crate::text_file::TextFile;
use octostache::{EvaluationError, VariableCollection, Variables as _};
use security::{Secret, sensitive_file};
use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::Path;

/// Variables by name, without case.
#[derive(Clone, Default)]
pub struct Variables {
    collection: VariableCollection,
    sensitive: BTreeSet<String>,
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Variables")
            .field("count", &self.collection.len())
            .finish_non_exhaustive()
    }
}

/// Larger files of variables are refused.
const LARGEST_FILE: u64 = 256 << 20;

impl Variables {
    /// Reads the files that the command line names, then the environment (2.4).
    ///
    /// # Errors
    /// A file that is missing, is not JSON, or does not open with the password.
    pub fn load(
        line: &CommandLine,
        environment: &[(String, String)],
        mut input: impl BufRead,
    ) -> Result<Self, Failure> {
        let mut read: Option<Secret> = None;
        let mut password = |option: &str| -> Result<Option<Secret>, Failure> {
            match line.option(option) {
                Some("-") => {
                    if read.is_none() {
                        read = Some(read_password(&mut input, option)?);
                    }
                    Ok(read.clone())
                }
                given => Ok(given.map(Secret::from)),
            }
        };
        let mut variables = Self::default();
        let passwords = [
            password("variablesPassword")?,
            password("sensitiveVariablesPassword")?,
        ];
        for (option, password, sensitive) in [
            ("variables", &passwords[0], false),
            ("sensitiveVariables", &passwords[1], true),
        ] {
            for file in line.all(option).iter().filter(|file| !file.trim().is_empty()) {
                variables.load_file(Path::new(file), password.as_ref(), sensitive)?;
            }
        }
        for (name, value) in environment {
            variables.set(&format!("env:{name}"), value);
        }
        if !variables
            .collection
            .contains("Octopus.Tentacle.Agent.InstanceName")
        {
            variables.set(
                "Octopus.Tentacle.Agent.InstanceName",
                "#{env:TentacleInstanceName}",
            );
        }
        let additional = match variables.get("AdditionalVariablesPath")? {
            Some(path) => Some(path),
            None => variables.get("env:AdditionalVariablesPath")?,
        };
        if let Some(path) = additional.filter(|path| !path.trim().is_empty()) {
            variables.load_file(Path::new(&path), None, false)?;
        }
        Ok(variables)
    }

    fn load_file(&mut self, path: &Path, password: Option<&Secret>, sensitive: bool) -> Result<(), Failure> {
        let length = std::fs::metadata(path)
            .map_err(|error| missing(path, &error))?
            .len();
        if length > LARGEST_FILE {
            return Err(Failure::unexpected(format!(
                "The variables file {} has {length} bytes, more than the {LARGEST_FILE} that are read; \
                 use fewer or shorter variables",
                path.display()
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| missing(path, &error))?;
        let clear = match password.filter(|password| !password.expose().trim().is_empty()) {
            None => bytes,
            Some(password) => sensitive_file::decrypt(password, &with_known_mark(bytes))
                .map_err(|error| {
                    Failure::expected(format!(
                        "Cannot decrypt variables. Check your password is correct.\nThe file is {}: {error}",
                        path.display()
                    ))
                })?
                .to_vec(),
        };
        let unreadable = |reason: String| {
            Failure::expected(format!(
                "Unable to parse variables as valid JSON.\nThe file is {}: {reason}",
                path.display()
            ))
        };
        let json = Json::read(&TextFile::decode(&clear).text).map_err(unreadable)?;
        match json {
            Json::Array(entries) => {
                for (position, entry) in entries.iter().enumerate() {
                    let (name, value, flagged) = entry_of(entry).ok_or_else(|| {
                        unreadable(format!("entry {position} is not {{\"k\", \"v\", \"s\"}}"))
                    })?;
                    self.collection.set(&name, value.as_deref());
                    self.mark(&name, flagged || sensitive);
                }
            }
            Json::Object(members) => {
                for (name, value) in &members {
                    let value = value
                        .scalar()
                        .ok_or_else(|| unreadable(format!("the value of {name} is nested")))?;
                    self.collection.set(name, value.as_deref());
                    self.mark(name, sensitive);
                }
            }
            _ => return Err(unreadable("it is neither an array nor an object".to_owned())),
        }
        Ok(())
    }

    fn mark(&mut self, name: &str, sensitive: bool) {
        let name = octostache::fold(name);
        if sensitive {
            self.sensitive.insert(name);
        } else {
            self.sensitive.remove(&name);
        }
    }

    /// The evaluated value; none when unknown or null.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn get(&self, name: &str) -> Result<Option<String>, EvaluationError> {
        self.collection.get(name)
    }

    /// The evaluated value, unless it is blank.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn filled(&self, name: &str) -> Result<Option<String>, EvaluationError> {
        Ok(self.get(name)?.filter(|value| !value.trim().is_empty()))
    }

    /// The evaluated value, empty when there is none.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn text(&self, name: &str) -> Result<String, EvaluationError> {
        Ok(self.get(name)?.unwrap_or_default())
    }

    /// The stored value, as it was given.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.collection.raw(name)
    }

    /// The value as yes or no.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, EvaluationError> {
        self.collection.flag(name, default)
    }

    /// Sets a value that is not sensitive.
    pub fn set(&mut self, name: &str, value: &str) {
        self.collection.set(name, Some(value));
    }

    /// Sets an output variable under its names (2.7).
    ///
    /// # Errors
    /// A circular definition in the name of the step or the machine.
    pub fn set_output(&mut self, name: &str, value: &str, sensitive: bool) -> Result<(), EvaluationError> {
        let mut names = vec![name.to_owned()];
        if let Some(action) = self.filled("Octopus.Action.Name")? {
            names.push(format!("Octopus.Action[{action}].Output.{name}"));
            if let Some(machine) = self.filled("Octopus.Machine.Name")? {
                names.push(format!("Octopus.Action[{action}].Output[{machine}].{name}"));
            }
        }
        for name in names {
            self.set(&name, value);
            self.mark(&name, sensitive);
        }
        Ok(())
    }

    /// All of them, for templates.
    pub fn collection(&self) -> &VariableCollection {
        &self.collection
    }

    /// Whether the feature is among `Octopus.Action.EnabledFeatures`.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn feature(&self, name: &str) -> Result<bool, EvaluationError> {
        Ok(self
            .collection
            .strings("Octopus.Action.EnabledFeatures")?
            .iter()
            .any(|feature| feature == name))
    }

    /// The sensitive values, as stored and as evaluated.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        for (name, value) in self.collection.iter() {
            let Some(value) = value.filter(|_| self.sensitive.contains(&octostache::fold(name))) else {
                continue;
            };
            secrets.push(value.to_owned());
            if let Ok(Some(evaluated)) = self.collection.get(name)
                && evaluated != value
            {
                secrets.push(evaluated);
            }
        }
        secrets
    }

    /// Whether a value is to be hidden.
    pub fn is_sensitive(&self, name: &str) -> bool {
        self.sensitive.contains(&octostache::fold(name))
    }
}

/// The original's format begins with any four bytes, ours with `ODF1`.
fn with_known_mark(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 4 && !bytes.starts_with(b"ODF1") {
        bytes[..4].copy_from_slice(b"IV__");
    }
    bytes
}

fn missing(path: &Path, error: &std::io::Error) -> Failure {
    Failure::expected(format!(
        "Could not read the variables file {}: {error}",
        path.display()
    ))
}

fn read_password(input: &mut impl BufRead, option: &str) -> Result<Secret, Failure> {
    let mut password = String::new();
    input.read_line(&mut password).map_err(|error| {
        Failure::expected(format!(
            "Could not read the password for --{option} from standard input: {error}"
        ))
    })?;
    let password = password.trim_end_matches(['\r', '\n']);
    // With nothing on standard input the dash is a password like any other.
    Ok(Secret::from(if password.is_empty() { "-" } else { password }))
}

/// A script or other text file: UTF-8 with or without byte order mark, or UTF-16 with one; bad bytes become U+FFFD.
pub(crate) fn text_of_file(bytes: &[u8]) -> String {
    match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => TextFile::decode(bytes).text.into_owned(),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).into_owned(),
    }
}

/// Name, value and flag of an entry; none when it is not one.
fn entry_of(entry: &Json) -> Option<(String, Option<String>, bool)> {
    let Json::Object(_) = entry else { return None };
    let text = |name: &str| entry.member(name).map_or(Some(None), Json::scalar);
    let sensitive = match entry.member("s") {
        None => false,
        Some(Json::Boolean(flag)) => *flag,
        Some(Json::Text(text)) => text.trim().eq_ignore_ascii_case("true"),
        Some(Json::Number(number)) => number != "0",
        Some(_) => return None,
    };
    Some((text("k")?.unwrap_or_default(), text("v")?, sensitive))
}
