//! XML files that keep every byte that nobody changed: documents, XPath, and the replacer of structured variables.
//!
//! A document is a tree over its own text. What is not edited is written again as it stood: quotes, blanks in tags,
//! entities, line ends, declaration. Nothing outside the file is ever read (no DTD, no external entity).

pub mod document;
pub mod encoding;
pub mod entity;
pub mod indentation;
pub mod name;
pub mod outer_xml;
pub mod parser;
#[cfg(test)]
mod stories;
pub mod xpath;

pub use document::{Attribute, Document, Element, Kind, NodeId};
pub use parser::{ParseError, Position};

/// Deepest nesting of elements that is read.
pub const MOST_DEPTH: usize = 128;

/// Longest document that is read, in bytes of UTF-8.
pub const LONGEST_DOCUMENT: usize = 64 << 20;

/// Characters that internal entities may become in one document.
pub const LONGEST_EXPANSION: usize = 1 << 20;

/// The blanks of XML.
pub const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// A character that no XML 1.0 file can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the character U+{:04X} cannot stand in an XML file; take it out of the value",
    u32::from(*.0)
)]
pub struct ForbiddenCharacter(pub char);

/// Looks for characters that XML cannot hold.
///
/// # Errors
/// The first of them.
pub fn check_characters(text: &str) -> Result<(), ForbiddenCharacter> {
    match text.chars().find(|character| !is_allowed(*character)) {
        None => Ok(()),
        Some(character) => Err(ForbiddenCharacter(character)),
    }
}

/// Whether XML 1.0 allows the character in text.
pub const fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
