//! Lines by which scripts and the runner talk to the Server: `##octopus[name key='base64']` (3.2; observed 9.7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::ops::Range;

/// A message with its values decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceMessage {
    /// What it is about, such as `setVariable`.
    pub name: String,
    /// Names and values, in order; names ignore case.
    pub attributes: Vec<(String, String)>,
}

/// A place in a line that looks like a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// From the marker to the closing bracket.
    pub place: Range<usize>,
    /// The message; none when its attributes cannot be read, which drops it as a whole.
    pub message: Option<ServiceMessage>,
}

/// What every message begins with.
pub(crate) const MARKER: &str = "##octopus";

impl ServiceMessage {
    /// A message with these attributes.
    pub fn new(name: &str, attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            name: name.to_owned(),
            attributes,
        }
    }

    /// The message that sets an output variable.
    pub fn set_variable(name: &str, value: &str) -> Self {
        Self::new("setVariable", &[("name", name), ("value", value)])
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All places in a line that look like messages.
    pub fn find(line: &str) -> Vec<Found> {
        let mut found = Vec::new();
        let mut position = 0;
        while let Some(start) = line[position..].find(MARKER).map(|at| position + at) {
            let inside = start + MARKER.len();
            let Some(end) = line[inside..].find(']').map(|at| inside + at) else {
                break;
            };
            found.push(Found {
                place: start..end + 1,
                message: Self::read(&line[inside..end]),
            });
            position = end + 1;
        }
        found
    }

    /// The beginning of a message that does not end on this line.
    pub(crate) fn open(line: &str) -> Option<&str> {
        let begun = &line[line.rfind(MARKER)?..];
        (!begun.contains(']')).then_some(begun)
    }

    /// Reads what stands between the marker and the closing bracket.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let text = text.trim_start_matches('[');
        let name_end = text
            .find(|character: char| !is_name(character))
            .unwrap_or(text.len());
        let (name, mut rest) = text.split_at(name_end);
        if name.is_empty() {
            return None;
        }
        let mut attributes: Vec<(String, String)> = Vec::new();
        loop {
            let trimmed = rest.trim_start();
            if trimmed.is_empty() {
                return Some(Self {
                    name: name.to_owned(),
                    attributes,
                });
            }
            if trimmed.len() == rest.len() {
                return None;
            }
            let (key, after) = trimmed.split_once('=')?;
            let key = key.trim_end();
            if key.is_empty() || !key.chars().all(is_name) {
                return None;
            }
            let after = after.trim_start();
            let quote = after.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            let (value, after) = after[1..].split_once(quote)?;
            if attributes
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(key))
            {
                return None;
            }
            attributes.push((key.to_owned(), decode(value)?));
            rest = after;
        }
    }
}

impl fmt::Display for ServiceMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{MARKER}[{}", self.name)?;
        for (key, value) in &self.attributes {
            write!(formatter, " {key}=\"{}\"", STANDARD.encode(value))?;
        }
        formatter.write_str("]")
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_' | '.' | ':')
}

fn decode(value: &str) -> Option<String> {
    let value = if value.contains('&') {
        quick_xml::escape::unescape(value).ok()?.into_owned()
    } else {
        value.to_owned()
    };
    let value: String = value
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    let bytes = STANDARD.decode(value).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(line: &str) -> Option<ServiceMessage> {
        let mut found = ServiceMessage::find(line);
        assert_eq!(found.len(), 1, "{line}");
        found.remove(0).message
    }

    #[test]
    fn messages_are_found_anywhere_in_a_line() {
        let expected = ServiceMessage::set_variable("X", "1");
        for line in [
            "##octopus[setVariable name='WA==' value=\"MQ==\"]",
            "text ##octopus[setVariable NAME='WA=='  Value='M Q==']",
            "###octopus[setVariable name='WA==' value='MQ==']",
            "##octo##octopus[setVariable name='&#87;A==' value='MQ==']",
            "##octopus [setVariable name='WA==' value='MQ==']",
        ] {
            let message = only(line).expect("a message");
            assert_eq!(message.attribute("name"), expected.attribute("name"), "{line}");
            assert_eq!(message.attribute("value"), expected.attribute("value"), "{line}");
        }
        assert_eq!(
            only("##octopus[stdout-verbose]").expect("a word").name,
            "stdout-verbose"
        );
        assert_eq!(ServiceMessage::find("##octopus[a]##octopus[b]").len(), 2);
    }

    #[test]
    fn bad_attributes_drop_the_whole_message() {
        for line in [
            "##octopus[setVariable name='WA' value='MQ==']",
            "##octopus[setVariable name='WA==' name='MQ==']",
            "##octopus[setVariable name=WA==]",
            "##octopus[ setVariable name='WA==']",
        ] {
            assert_eq!(only(line), None, "{line}");
        }
        assert!(ServiceMessage::find("##OCTOPUS[a]").is_empty());
        assert!(ServiceMessage::find("##octopus[open").is_empty());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let message = ServiceMessage::new("createArtifact", &[("path", "/a b/ż'\""), ("name", "")]);
        assert_eq!(only(&message.to_string()), Some(message));
    }
}
