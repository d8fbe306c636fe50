//! The name of one run of a script.

use std::fmt;
use std::hash::{Hash, Hasher};

/// 1 to 128 characters of `A–Z a–z 0–9 . _ -`, neither `.` nor `..`; compared without case. An agent keeps
/// the run in a folder of this name.
#[derive(Clone)]
pub struct ScriptTicket(String);

/// A text that cannot be a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a script ticket; it takes 1 to 128 letters, digits, dots, dashes and underscores")]
pub struct ScriptTicketError(String);

impl ScriptTicket {
    /// Checks and takes a text.
    pub fn parse(text: &str) -> Result<Self, ScriptTicketError> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if plain && (1..=128).contains(&text.len()) && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err(ScriptTicketError(text.chars().take(60).collect()))
        }
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for ScriptTicket {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for ScriptTicket {}

impl Hash for ScriptTicket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for ScriptTicket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ScriptTicket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_ticket_cannot_be_a_path() {
        for wrong in ["", ".", "..", "a/b", "a\\b", "a\0", "caf\u{e9}", &"x".repeat(129)] {
            assert!(ScriptTicket::parse(wrong).is_err(), "{wrong}");
        }
        for right in ["x", "...", "20261121113218-42-1", "Abc_1.2", &"x".repeat(128)] {
            assert!(ScriptTicket::parse(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn tickets_are_equal_whatever_their_case() {
        let tickets: HashSet<_> = ["Abc", "aBC"]
            .map(|text| ScriptTicket::parse(text).expect(text))
            .into();
        assert_eq!(tickets.len(), 1);
    }
}
