//! What a script says to its caller on standard output: `##octopus[name key='base64']` (runner specification
//! 3.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const MARK: &str = "##octopus[";

/// Longest message that is read; a longer one is an ordinary line.
const LONGEST: usize = 4 << 20;

/// One message. Names of attributes are equal whatever their case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceMessage {
    /// Such as `setVariable` or `stdout-verbose`.
    pub name: String,
    /// Name and decoded value, in order.
    pub attributes: Vec<(String, String)>,
}

impl ServiceMessage {
    /// A message without attributes.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            attributes: Vec::new(),
        }
    }

    /// Adds an attribute; for building.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The message as a script prints it.
    pub fn format(&self) -> String {
        let mut text = format!("{MARK}{}", self.name);
        for (name, value) in &self.attributes {
            text.push_str(&format!(" {name}='{}'", STANDARD.encode(value)));
        }
        text.push(']');
        text
    }
}

/// The messages of one line, in order. What only looks like a message is passed over, and swallows nothing
/// after it.
pub fn find_all(line: &str) -> Vec<ServiceMessage> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(MARK) {
        rest = &rest[start + MARK.len()..];
        let Some(end) = rest.find(']') else { break };
        match rest[..end].find(MARK) {
            // Half a message before a whole one.
            Some(_) => continue,
            None if end <= LONGEST => found.extend(parse_inside(&rest[..end])),
            None => {}
        }
        rest = &rest[end + 1..];
    }
    found
}

/// The message that a line consists of, if it does.
pub fn parse(line: &str) -> Option<ServiceMessage> {
    let inside = line.trim().strip_prefix(MARK)?.strip_suffix(']')?;
    if inside.contains(']') || inside.len() > LONGEST {
        None
    } else {
        parse_inside(inside)
    }
}

fn parse_inside(inside: &str) -> Option<ServiceMessage> {
    let inside = inside.trim();
    let name_end = inside.find(char::is_whitespace).unwrap_or(inside.len());
    let (name, mut rest) = inside.split_at(name_end);
    if !is_name(name) {
        return None;
    }
    let mut message = ServiceMessage::new(name);
    loop {
        let trimmed = rest.trim_start();
        if trimmed.is_empty() {
            return Some(message);
        }
        if trimmed.len() == rest.len() {
            return None; // no space before an attribute
        }
        let (attribute, after) = trimmed.split_once('=')?;
        let attribute = attribute.trim_end();
        if !is_name(attribute) || message.get(attribute).is_some() {
            return None;
        }
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let (encoded, after) = after[1..].split_once(quote)?;
        let encoded: String = encoded
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect();
        let decoded = STANDARD.decode(encoded).ok()?;
        message
            .attributes
            .push((attribute.to_owned(), String::from_utf8(decoded).ok()?));
        rest = after;
    }
}

fn is_name(text: &str) -> bool {
    let first = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_found_wherever_they_stand() {
        let line = "a ##octopus[setVariable name='QQ==' value=\"Qg==\"] b ##octopus[stdout-verbose]";
        let found = find_all(line);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].get("NAME"), Some("A"));
        assert_eq!(found[0].get("value"), Some("B"));
        assert_eq!(found[1], ServiceMessage::new("stdout-verbose"));
    }

    #[test]
    fn half_a_message_swallows_nothing() {
        let found = find_all(
            "##octopus[setVariable name='QQ ##octopus[stdout-default] and ##octopus[mask value='?']",
        );
        assert_eq!(found, [ServiceMessage::new("stdout-default")]);
        for wrong in [
            "##octopus[",
            "##octopus[]",
            "##octopus[a b]",
            "##octopus[a b='QQ=='c='QQ==']",
            "##octopus[a b='QQ'']",
        ] {
            assert_eq!(find_all(wrong), [], "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name in "[a-z][a-zA-Z-]{0,10}", value in ".*") {
            let message = ServiceMessage::new(&name).with("value", value);
            prop_assert_eq!(parse(&message.format()), Some(message.clone()));
            prop_assert_eq!(find_all(&message.format()), [message]);
        }

        #[test]
        fn nothing_makes_it_panic(line in ".*", tail in "[#octopus\\[\\]'=\" a]{0,40}") {
            let _ = find_all(&format!("{line}##octopus[{tail}"));
        }
    }
}
