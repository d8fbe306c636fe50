//! Variables put into configuration files by the names of their places (14): one module for each format.
//!
//! Each has `replace(text, variables)`, which changes only the places that a variable names and leaves every other byte as
//! it is. What is read and written, and in which order formats are tried, is the convention's business.

pub(crate) mod edit;
pub mod json;
#[cfg(test)]
mod mutated;
pub mod properties;
pub mod xml;
pub mod yaml;

use crate::failure::Failure;
use octostache::EvaluationError;

/// What a replacer made of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replaced {
    /// The new text; none when nothing is to be written.
    pub text: Option<String>,
    /// What there is to tell, in order.
    pub notes: Vec<Note>,
}

/// Something to tell about one place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The variable of this name was put in.
    Used(String),
    /// A variable was not put in, or not as it was meant.
    Warning(String),
}

/// Why a replacer did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// The file is not in this format: the next one is tried. The text names the line and the reason.
    #[error("{0}")]
    Unreadable(String),
    /// The step fails, whatever the file is.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<EvaluationError> for ReplaceError {
    fn from(error: EvaluationError) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether a variable may name a place by a path with colons: those of the Server may not, but for `Octopus:`.
fn is_for_paths(name: &str) -> bool {
    octostache::fold(name)
        .strip_prefix("OCTOPUS")
        .is_none_or(|rest| rest.starts_with(':'))
}

impl Replaced {
    /// The names of the variables that were put in, as often as they were.
    pub fn used(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().filter_map(|note| match note {
            Note::Used(name) => Some(name.as_str()),
            Note::Warning(_) => None,
        })
    }
}
