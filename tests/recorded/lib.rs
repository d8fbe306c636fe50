#![doc = include_str!("README.md")]

pub mod better;
pub mod case_file;
pub mod difference;
pub mod document;
pub mod octodiff;
pub mod package_name;
pub mod process;
pub mod stage;
pub mod version;

use serde_json::Value;

/// Gives a case to our code. The error is the first difference.
pub type Player = fn(case: &Value) -> Result<(), String>;

/// How a file's name begins, and who plays its cases.
pub const PLAYERS: &[(&str, Player)] = &[
    ("calamari-", process::play),
    ("octodiff", octodiff::play),
    ("package-names", package_name::play),
    ("versions", version::play),
];
