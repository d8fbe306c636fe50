#![doc = include_str!("README.md")]

pub mod better;
pub mod case_file;
pub mod difference;
pub mod document;
pub mod process;
pub mod stage;

use serde_json::Value;

/// Gives a case to our code. The error is the first difference.
pub type Player = fn(case: &Value) -> Result<(), String>;

/// How a file's name begins, and who plays its cases.
pub const PLAYERS: &[(&str, Player)] = &[("calamari-", process::play)];
