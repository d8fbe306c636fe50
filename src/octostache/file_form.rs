//! The file form of a collection: one flat JSON object ("Variable templates" 1; observed 1.2).

use crate::json;
use crate::variable_collection::VariableCollection;

/// Why a file is no collection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variables cannot be read at line {line}, column {column}: {reason}")]
pub struct FileError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl VariableCollection {
    /// The byte order mark that a file of variables begins with; [`VariableCollection::to_file_text`] does not hold it.
    pub const BYTE_ORDER_MARK: &'static str = "\u{feff}";

    /// The collection as a file has it: one JSON object, two blanks of indent, `\n` line ends.
    pub fn to_file_text(&self) -> String {
        if self.is_empty() {
            return "{}".to_owned();
        }
        let mut text = String::from("{");
        for (position, (name, value)) in self.iter().enumerate() {
            text.push_str(if position > 0 { ",\n  " } else { "\n  " });
            json::quote(name, &mut text);
            text.push_str(": ");
            match value {
                Some(value) => json::quote(value, &mut text),
                None => text.push_str("null"),
            }
        }
        text.push_str("\n}");
        text
    }

    /// Reads what [`VariableCollection::to_file_text`] writes, leniently: single quotes, bare names, comments, a comma at the end. Numbers
    /// and truths become the text that stands there; what follows the object is ignored.
    ///
    /// # Errors
    /// A text that is no such object, with the place: empty, cut off, or with objects or lists as values.
    pub fn from_file_text(text: &str) -> Result<Self, FileError> {
        let plain = text.strip_prefix(Self::BYTE_ORDER_MARK).unwrap_or(text);
        let members = json::read_flat(plain).map_err(|(position, reason)| {
            let (line, column) = crate::template::line_and_column(plain, position);
            FileError { line, column, reason }
        })?;
        let mut collection = Self::new();
        for (name, value) in members {
            collection.set(&name, value.as_deref());
        }
        Ok(collection)
    }
}
