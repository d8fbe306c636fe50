//! Instances: which settings file a command means (`observed.md` 10.12, 10.19).

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::command_line::Options;
use crate::durable_file;
use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// The instance that is meant when nobody names one.
pub const DEFAULT_NAME: &str = "Tentacle";
/// The settings file that is meant when nobody names one.
pub const DEFAULT_FILE: &str = "Tentacle.config";
const LONGEST_NAME: usize = 128;

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Instance {
    /// Its name; lookup ignores case.
    pub name: String,
    /// Its settings file.
    pub configuration_file_path: PathBuf,
}

/// What a command works on: a settings file, and the name of its instance where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Name of the instance, or none when only a file was meant.
    pub name: Option<String>,
    /// The settings file, which exists.
    pub file: PathBuf,
}

/// The index of a machine: one small file for each instance.
#[derive(Debug, Clone)]
pub struct InstanceIndex {
    folder: PathBuf,
}

impl InstanceIndex {
    /// The index under the machine's folder, `/etc/octopus` unless told otherwise.
    pub fn new(surroundings: &Surroundings) -> InstanceIndex {
        InstanceIndex {
            folder: surroundings.machine_folder.join("Tentacle/Instances"),
        }
    }

    /// Every instance, by name.
    pub fn all(&self) -> Vec<Instance> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut instances: Vec<Instance> = entries
            .filter_map(|entry| fs::read(entry.path()).ok())
            .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
            .collect();
        instances.sort_by_key(|instance| instance.name.to_lowercase());
        instances
    }

    /// An instance by its name in any case.
    pub fn find(&self, name: &str) -> Option<Instance> {
        let name = name.to_lowercase();
        self.all()
            .into_iter()
            .find(|instance| instance.name.to_lowercase() == name)
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put(&self, instance: &Instance) -> Result<(), Failure> {
        let path = self.path_of(&instance.name);
        let text = serde_json::to_string_pretty(instance).expect("two texts are JSON");
        fs::create_dir_all(&self.folder)
            .and_then(|()| durable_file::write_public(&path, text.as_bytes()))
            .map_err(|error| Failure::of_file("write the instance index", &path, &error))
    }

    /// Removes an entry; its settings stay.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn remove(&self, instance: &Instance) -> Result<(), Failure> {
        let path = self.path_of(&instance.name);
        fs::remove_file(&path)
            .map_err(|error| Failure::of_file("remove from the instance index", &path, &error))
    }

    /// What a command works on.
    ///
    /// # Errors
    /// There is no such instance, there are several, or its settings file is gone.
    pub fn select(&self, options: &Options, surroundings: &Surroundings) -> Result<Selected, Failure> {
        if let Some(name) = options.text("instance") {
            let found = self.find(name).ok_or_else(|| {
                Failure::controlled(format!(
                    "Instance {name} of Tentacle has not been configured on this machine. Available instances: {}.",
                    self.names()
                ))
            })?;
            return existing(found);
        }
        if let Some(file) = options.path("config", &surroundings.current_folder) {
            if !file.is_file() {
                return Err(Failure::controlled(format!(
                    "The settings file '{}' does not exist. Make it with create-instance --config.",
                    file.display()
                )));
            }
            let name = self
                .all()
                .into_iter()
                .find(|one| one.configuration_file_path == file)
                .map(|one| one.name);
            return Ok(Selected { name, file });
        }
        let here = surroundings.current_folder.join(DEFAULT_FILE);
        if here.is_file() {
            let name = self
                .all()
                .into_iter()
                .find(|one| one.configuration_file_path == here)
                .map(|one| one.name);
            return Ok(Selected { name, file: here });
        }
        if let Some(default) = self.find(DEFAULT_NAME) {
            return existing(default);
        }
        let mut all = self.all();
        match all.len() {
            1 => existing(all.remove(0)),
            0 => Err(Failure::controlled(
                "Unable to find default instance of Tentacle. Available instances: .",
            )),
            _ => Err(Failure::controlled(format!(
                "There is more than one instance of Tentacle configured on this machine. Please pass \
                 --instance=INSTANCENAME when invoking this command to target a specific instance. Available instances: {}.",
                self.names()
            ))),
        }
    }

    fn names(&self) -> String {
        self.all()
            .into_iter()
            .map(|instance| instance.name)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!(
            "{}.config",
            name.to_lowercase().replace(char::is_whitespace, "-")
        ))
    }
}

/// Letters, digits, blank, `.`, `-` and `_`: a name becomes the name of a file.
///
/// # Errors
/// Another character, only dots and blanks, or too long.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_');
    let is_good =
        name.len() <= LONGEST_NAME && name.chars().all(allowed) && name.chars().any(char::is_alphanumeric);
    if is_good {
        return Ok(());
    }
    Err(Failure::controlled(format!(
        "'{name}' is not a name for an instance; use letters, digits, blanks, dots, - and _."
    )))
}

fn existing(instance: Instance) -> Result<Selected, Failure> {
    let file = instance.configuration_file_path;
    if Path::new(&file).is_file() {
        return Ok(Selected {
            name: Some(instance.name),
            file,
        });
    }
    Err(Failure::controlled(format!(
        "The configuration file for instance {} could not be located at the specified location {}. Create the instance \
         again (create-instance), or remove it (delete-instance).",
        instance.name,
        file.display()
    )))
}
