//! What is wrong with the settings, all at once.

use std::fmt;

/// Every problem that was found, one line each. Never empty. Names settings and paths, never a secret's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// The lines, in the order of the table's reading.
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// `Ok` when nothing was wrong.
    pub(crate) fn check(lines: Vec<String>) -> Result<(), Problems> {
        if lines.is_empty() {
            Ok(())
        } else {
            Err(Problems(lines))
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}
