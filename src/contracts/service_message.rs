//! Lines by which scripts and the runner talk to the Server: `##octopus[name key='base64']` (runner specification 3.2;
//! observed 9.7).

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
pub const MARKER: &str = "##octopus";

/// Longest message that is read, in bytes; a longer one is dropped like one whose attributes cannot be read. No line of a
/// script is kept longer in one piece.
pub const LONGEST: usize = 1 << 20;

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

    /// The value of an attribute, whatever the case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All places in a line that look like messages, in order. Half a message before a whole one swallows nothing.
    pub fn find(line: &str) -> Vec<Found> {
        let mut found = Vec::new();
        let mut position = 0;
        while let Some(start) = line[position..].find(MARKER).map(|at| position + at) {
            let Some(end) = line[start..].find(']').map(|at| start + at) else {
                break;
            };
            // Another one may begin in this one: a value in Base64 has no marker.
            let start = line[..end].rfind(MARKER).unwrap_or(start);
            let inside = start + MARKER.len();
            found.push(Found {
                place: start..end + 1,
                message: Self::read(&line[inside..end]),
            });
            position = end + 1;
        }
        found
    }

    /// Reads what stands between the marker and the closing bracket.
    fn read(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
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

/// Puts a message together that goes over several lines, because `base64` wraps what it prints. The line must break inside a
/// value, and nothing but Base64 may follow, so that half a message swallows nothing.
#[derive(Debug, Clone, Default)]
pub struct WrappedMessage {
    /// What has come of it, with its line breaks.
    held: String,
    /// What ends the value in which its last line broke.
    quote: Option<char>,
}

/// Where a part of a message ends.
enum End {
    InValue(char),
    AtBracket,
    /// It is no part of a message, or breaks somewhere else.
    None,
}

impl WrappedMessage {
    /// Whether a message has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.quote.is_some()
    }

    /// Takes a line, and gives what can be read now: the line itself, nothing while a message is open, then the whole
    /// message as one text with line breaks. What turned out to be none comes back as the lines that it was.
    pub fn take(&mut self, line: &str) -> Vec<String> {
        let mut ready = Vec::new();
        let Some(quote) = self.quote.take() else {
            self.begin(line.to_owned(), &mut ready);
            return ready;
        };
        let end = match end(line, Some(quote)) {
            _ if self.held.len() + line.len() > LONGEST => End::None,
            end => end,
        };
        if let End::None = end {
            ready = self.give_up();
            self.begin(line.to_owned(), &mut ready);
            return ready;
        }
        self.held.push('\n');
        self.held.push_str(line);
        match end {
            End::InValue(quote) => self.quote = Some(quote),
            _ => {
                let whole = std::mem::take(&mut self.held);
                self.begin(whole, &mut ready);
            }
        }
        ready
    }

    /// The lines of a message that will not end.
    pub fn give_up(&mut self) -> Vec<String> {
        self.quote = None;
        std::mem::take(&mut self.held)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Holds back the message that begins in a text and does not end there.
    fn begin(&mut self, text: String, ready: &mut Vec<String>) {
        let Some(start) = text.rfind(MARKER) else {
            return ready.push(text);
        };
        let End::InValue(quote) = end(&text[start + MARKER.len()..], None) else {
            return ready.push(text);
        };
        if !text[..start].trim().is_empty() {
            ready.push(text[..start].to_owned());
        }
        self.held = text[start..].to_owned();
        self.quote = Some(quote);
    }
}

/// Where this part of a message ends that begins in a value which `quote` ends, or between values.
fn end(part: &str, mut quote: Option<char>) -> End {
    for character in part.chars() {
        match quote {
            Some(ending) if character == ending => quote = None,
            // Also character references.
            Some(_) if character.is_ascii_alphanumeric() || "+/=&#; \t\r\n".contains(character) => {}
            Some(_) => return End::None,
            None if character == ']' => return End::AtBracket,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if is_name(character) || character.is_whitespace() || matches!(character, '=' | '[') => {}
            None => return End::None,
        }
    }
    quote.map_or(End::None, End::InValue)
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
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

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
            assert_eq!(message.get("name"), expected.get("name"), "{line}");
            assert_eq!(message.get("value"), expected.get("value"), "{line}");
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

    #[test]
    fn half_a_message_swallows_nothing() {
        let line = "##octopus[setVariable name='QQ ##octopus[stdout-default] and ##octopus[mask value='?']";
        let found = ServiceMessage::find(line);
        assert_eq!(found[0].message, Some(ServiceMessage::new("stdout-default", &[])));
        assert_eq!(&line[found[0].place.clone()], "##octopus[stdout-default]");
        assert_eq!(found[1].message, None);
        for wrong in [
            "##octopus[]",
            "##octopus[a b]",
            "##octopus[a b='QQ=='c='QQ==']",
            "##octopus[a b='QQ'']",
        ] {
            assert_eq!(only(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrapped_value_is_put_together() {
        let mut wrapped = WrappedMessage::default();
        assert_eq!(wrapped.take("plain"), ["plain"]);
        assert_eq!(
            wrapped.take("say ##octopus[setVariable name='WA==' value='MT"),
            ["say "]
        );
        assert!(wrapped.is_open() && wrapped.take("Iz").is_empty());
        let ready = wrapped.take("NA==' sensitive='VHJ1ZQ=='] and more");
        assert_eq!(ready.len(), 1);
        let found = ServiceMessage::find(&ready[0]);
        let message = found[0].message.as_ref().expect("a message");
        assert_eq!(message.get("value"), Some("1234"));
        assert_eq!(&ready[0][found[0].place.end..], " and more");
    }

    #[test]
    fn what_only_begins_like_a_wrapped_message_is_shown_as_it_was() {
        let mut wrapped = WrappedMessage::default();
        assert_eq!(
            wrapped.take("see ##octopus in the manual"),
            ["see ##octopus in the manual"]
        );
        assert_eq!(
            wrapped.take("##octopus[setVariable name="),
            ["##octopus[setVariable name="]
        );
        assert!(wrapped.take("##octopus[mask value='QUJD").is_empty());
        assert!(wrapped.take("QUJD").is_empty());
        assert_eq!(
            wrapped.take("An error: 12 %"),
            ["##octopus[mask value='QUJD", "QUJD", "An error: 12 %"]
        );
        assert!(wrapped.take("##octopus[mask value='QUJD").is_empty());
        assert_eq!(wrapped.give_up(), ["##octopus[mask value='QUJD"]);
    }

    #[test]
    fn many_markers_before_one_bracket_are_read_in_one_pass() {
        let line = format!("{}[a]", MARKER.repeat(200_000));
        assert_eq!(only(&line), Some(ServiceMessage::new("a", &[])));
    }

    #[test]
    fn what_is_too_long_is_dropped() {
        let value = "a".repeat(LONGEST);
        let line = ServiceMessage::set_variable("X", &value).to_string();
        assert_eq!(only(&line), None);
    }

    proptest! {
        #[test]
        fn every_message_that_is_written_is_read(
            name in "[a-z][a-zA-Z-]{0,10}", keys in proptest::collection::btree_map("[a-z]{1,4}", ".*", 0..4)
        ) {
            let attributes: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let message = ServiceMessage::new(&name, &attributes);
            prop_assert_eq!(only(&message.to_string()), Some(message));
        }
    }

    /// Lines with messages, damaged, for as long as `MANTLE_FUZZ_SECONDS` says (else one second): what is found lies in
    /// the line in order, begins and ends as a message does, and what is understood can be written and read again.
    #[test]
    fn damaged_messages_do_no_harm() {
        const SAMPLES: [&str; 4] = [
            "a ##octopus[setVariable name='WA==' value=\"MQ==\" sensitive='VHJ1ZQ==']b##octopus[stdout-verbose]",
            "##octopus[createArtifact path='L2EgYi/FvA==' name='JiM4Nzs=' length='MTI=']",
            "##octopus [progress percentage='&#78;TA=' message='ZG9uZQ==']\u{e9}##octopus[",
            "##octo##octopus[mask value='czNj cjN0']##octopus[[x-y.z:w a = 'QQ==' ]]",
        ];
        const SIGNS: [char; 16] = [
            '#',
            '[',
            ']',
            '\'',
            '"',
            '=',
            ' ',
            '&',
            ';',
            'o',
            'Q',
            '\u{e9}',
            '\u{0}',
            '\t',
            '<',
            '\u{1f600}',
        ];
        let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).expect("below a usize")
        };
        let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let (begun, time) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(1)));
        while begun.elapsed() < time {
            let mut line: Vec<char> = SAMPLES[random(SAMPLES.len())].chars().collect();
            for _ in 0..=random(5) {
                let at = random(line.len());
                match random(5) {
                    0 => line[at] = SIGNS[random(SIGNS.len())],
                    1 if line.len() > 1 => drop(line.remove(at)),
                    2 => line.insert(at, SIGNS[random(SIGNS.len())]),
                    3 => {
                        let copy = line[at..(at + random(30)).min(line.len())].to_vec();
                        let to = random(line.len());
                        line.splice(to..to, copy);
                    }
                    _ => line.truncate(at.max(1)),
                }
            }
            let line: String = line.into_iter().collect();
            let mut end = 0;
            for found in ServiceMessage::find(&line) {
                assert!(end <= found.place.start, "{line}");
                end = found.place.end;
                let place = &line[found.place];
                assert!(place.starts_with(MARKER) && place.ends_with(']'), "{line}");
                if let Some(message) = found.message {
                    assert_eq!(only(&message.to_string()), Some(message), "{line}");
                }
            }
            // Cut anywhere, it loses nothing.
            let mut wrapped = WrappedMessage::default();
            let cut = (0..=line.len())
                .rev()
                .find(|at| *at <= line.len() / 2 && line.is_char_boundary(*at));
            let (one, other) = line.split_at(cut.unwrap_or_default());
            let mut ready = wrapped.take(one);
            ready.extend(wrapped.take(other));
            ready.extend(wrapped.give_up());
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(letters(&ready.concat()), letters(&line));
        }
    }
}
