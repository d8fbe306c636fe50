//! Where in a text something stands, and through which values the evaluation came there.

use crate::template::line_and_column;
use std::fmt;

/// A place in a template or in the value of a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The paths through which the evaluation came to this text, outermost first; empty for the template itself.
    pub chain: Vec<String>,
}

impl Place {
    pub(crate) fn new(text: &str, position: usize, chain: Vec<String>) -> Self {
        let (line, column) = line_and_column(text, position);
        Self { line, column, chain }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)?;
        match self.chain.as_slice() {
            [] => Ok(()),
            [only] => write!(formatter, " of the value of {only}"),
            [.., last] => write!(
                formatter,
                " of the value of {last} (reached by {})",
                self.chain.join(" -> ")
            ),
        }
    }
}
