#![doc = include_str!("README.md")]

pub mod agent;
pub mod better;
pub mod case_file;
pub mod configuration_file;
pub mod difference;
pub mod document;
pub mod dotnet_configuration;
pub mod folder_case;
pub mod json_data;
pub mod octodiff;
pub mod package_name;
pub mod process;
pub mod stage;
pub mod structured_configuration;
pub mod substitute_in_files;
pub mod template;
pub mod version;
pub mod xdt;
pub mod yaml_data;

use serde_json::Value;

/// Gives a case to our code. The error is the first difference.
pub type Player = fn(case: &Value) -> Result<(), String>;

/// How a file's name begins, and who plays its cases.
pub const PLAYERS: &[(&str, Player)] = &[
    ("calamari-", process::play),
    ("dotnet-config", dotnet_configuration::play),
    ("octodiff", octodiff::play),
    ("package-names", package_name::play),
    ("structured-config", structured_configuration::play),
    ("substitute-in-files", substitute_in_files::play),
    ("templates", template::play),
    ("versions", version::play),
    ("xdt", xdt::play),
];

/// Gives a case to our code, together with the lines that all cases of its file share.
pub type PlayerWithFixtures = fn(fixtures: &[Value], case: &Value) -> Result<(), String>;

/// As [`PLAYERS`], for the files whose cases share a machine.
pub const PLAYERS_WITH_FIXTURES: &[(&str, PlayerWithFixtures)] = &[("tentacle-", agent::play)];
