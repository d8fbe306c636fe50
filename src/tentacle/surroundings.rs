//! What a command finds around itself; an argument, so that commands can run in tests beside each other.

use std::ffi::OsString;
use std::path::PathBuf;

use settings::{AgentSettings, Program};

use crate::failure::{CONFIGURATION, Failure};
use crate::machine_key::MachineKeyPlace;

/// Overrides the folder of the machine, as in the original.
const MACHINE_FOLDER: &str = "TentacleMachineConfigurationHomeDirectory";
/// Set by our image, and by `entrypoint` for its children.
const IN_CONTAINER: [&str; 2] = ["OCTOPUS_RUNNING_IN_CONTAINER", "MANTLE_UNDER_ENTRYPOINT"];

/// The machine and process that a command runs on.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Relative paths start here.
    pub current_folder: PathBuf,
    /// `/etc/octopus`: instance index and machine key file.
    pub machine_folder: PathBuf,
    /// `/etc/machine-id`.
    pub machine_id: PathBuf,
    /// The home folder unless told: `/home/Octopus/Applications` for the applications.
    pub applications: PathBuf,
    /// Whether this is a container, whose machine id comes from an image and is not used.
    pub is_container: bool,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// The current folder is gone.
    pub fn of_process() -> std::io::Result<Surroundings> {
        let variables: Vec<_> = std::env::vars_os().collect();
        let mut surroundings = Surroundings {
            current_folder: std::env::current_dir()?,
            machine_folder: PathBuf::from("/etc/octopus"),
            machine_id: PathBuf::from("/etc/machine-id"),
            applications: PathBuf::from("/home/Octopus/Applications"),
            is_container: false,
            variables,
        };
        surroundings.is_container = IN_CONTAINER.iter().any(|name| surroundings.says_yes(name));
        if let Some(folder) = surroundings.variable(MACHINE_FOLDER) {
            surroundings.machine_folder = surroundings.current_folder.join(folder);
        }
        Ok(surroundings)
    }

    /// A variable of the environment that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.to_str())
            .filter(|value| !value.trim().is_empty())
            .map(str::to_owned)
    }

    /// The settings of the container under some names, in any spelling and with `_FILE`; others belong to other
    /// commands and are not looked at.
    ///
    /// # Errors
    /// Every problem of these settings, one line each.
    pub(crate) fn settings(&self, names: &[&str]) -> Result<AgentSettings, Failure> {
        let wanted: Vec<String> = names.iter().map(|name| folded(name)).collect();
        let is_wanted = |name: &OsString| {
            let name = folded(&name.to_string_lossy());
            wanted.contains(&name)
                || name
                    .strip_suffix("FILE")
                    .is_some_and(|name| wanted.iter().any(|known| known == name))
        };
        let variables = self.variables.iter().filter(|(name, _)| is_wanted(name)).cloned();
        settings::Environment::new(Program::Agent, variables)
            .agent()
            .map_err(|problems| Failure::with_code(CONFIGURATION, problems.lines().join("\n")))
    }

    /// Where the machine key is.
    pub fn machine_key(&self) -> MachineKeyPlace {
        MachineKeyPlace {
            machine_id: (!self.is_container).then(|| self.machine_id.clone()),
            key_file: self.machine_folder.join("machinekey"),
        }
    }

    /// The name of this machine.
    pub fn host_name(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    fn says_yes(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| {
            matches!(
                value.trim().to_ascii_lowercase().as_str(),
                "y" | "yes" | "true" | "1"
            )
        })
    }
}

/// Letter case and underscores do not count in the name of a setting.
fn folded(name: &str) -> String {
    name.replace('_', "").to_ascii_uppercase()
}
