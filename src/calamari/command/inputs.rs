//! What a command with inputs is given: members of a manifest, or options of the same names.

use crate::command_line::CommandLine;
use crate::lenient_json::Json;

/// Inputs by name, in any case.
#[derive(Debug, Clone)]
pub enum Inputs {
    /// From the options of the command line.
    Line(CommandLine),
    /// From an instruction of a manifest.
    Manifest(Json),
}

impl Inputs {
    /// A text, unless it is blank.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = match self {
            Self::Line(line) => line.option(name).map(str::to_owned),
            Self::Manifest(inputs) => inputs.member(name).and_then(Json::scalar).flatten(),
        };
        text.filter(|text| !text.trim().is_empty())
    }

    /// A list; a text counts as a list of one, and an option may be repeated.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self {
            Self::Line(line) => line.all(name).to_vec(),
            Self::Manifest(inputs) => match inputs.member(name) {
                Some(Json::Array(items)) => items.iter().filter_map(|item| item.scalar().flatten()).collect(),
                Some(item) => item.scalar().flatten().into_iter().collect(),
                None => Vec::new(),
            },
        }
    }
}
