//! JSON as people and older tools write it: with comments, trailing commas, single quotes and bare member names (observed
//! 9.3). Numbers keep the text they were written with.

use std::iter::Peekable;
use std::str::CharIndices;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`, or `undefined`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number as it was written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    Array(Vec<Json>),
    /// Names and values in order; a name may stand twice.
    Object(Vec<(String, Json)>),
}

/// Deeper nesting is refused.
const DEEPEST: usize = 64;

impl Json {
    /// Reads a text that is one value.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader {
            text,
            rest: text.char_indices().peekable(),
        };
        let value = reader.value(0)?;
        reader.blanks()?;
        match reader.rest.peek() {
            None => Ok(value),
            Some(_) => Err(reader.wrong("something follows the value")),
        }
    }

    /// A member by name, in any case; the last one of that name.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .rev()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value as text (`None` inside for null); none at all for lists and objects.
    pub fn scalar(&self) -> Option<Option<String>> {
        match self {
            Self::Null => Some(None),
            Self::Boolean(flag) => Some(Some(flag.to_string())),
            Self::Number(text) | Self::Text(text) => Some(Some(text.clone())),
            Self::Array(_) | Self::Object(_) => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEEPEST {
            return Err(self.wrong(&format!("it is nested deeper than {DEEPEST} levels")));
        }
        self.blanks()?;
        match self.rest.peek().map(|(_, character)| *character) {
            None => Err(self.wrong("a value is missing")),
            Some('[') => self.array(depth),
            Some('{') => self.object(depth),
            Some(quote @ ('"' | '\'')) => self.quoted(quote).map(Json::Text),
            Some(_) => {
                let word = self.word();
                match word.as_str() {
                    "null" | "undefined" => Ok(Json::Null),
                    "true" => Ok(Json::Boolean(true)),
                    "false" => Ok(Json::Boolean(false)),
                    "NaN" | "Infinity" | "-Infinity" => Ok(Json::Number(word)),
                    number if is_number(number) => Ok(Json::Number(word)),
                    _ => Err(self.wrong(&format!("'{word}' is no value"))),
                }
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        self.rest.next();
        let mut items = Vec::new();
        loop {
            self.blanks()?;
            if self.next_if(']') {
                return Ok(Json::Array(items));
            }
            items.push(self.value(depth + 1)?);
            self.blanks()?;
            if !self.next_if(',') && self.rest.peek().is_none_or(|(_, next)| *next != ']') {
                return Err(self.wrong("',' or ']' is missing"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.rest.next();
        let mut members = Vec::new();
        loop {
            self.blanks()?;
            if self.next_if('}') {
                return Ok(Json::Object(members));
            }
            let name = match self.rest.peek() {
                Some((_, quote @ ('"' | '\''))) => {
                    let quote = *quote;
                    self.quoted(quote)?
                }
                _ => self.word(),
            };
            self.blanks()?;
            if !self.next_if(':') {
                return Err(self.wrong("':' is missing after a member's name"));
            }
            members.push((name, self.value(depth + 1)?));
            self.blanks()?;
            if !self.next_if(',') && self.rest.peek().is_none_or(|(_, next)| *next != '}') {
                return Err(self.wrong("',' or '}' is missing"));
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        self.rest.next();
        let mut text = String::new();
        // A character above U+FFFF is written as two escapes.
        let mut high: Option<u32> = None;
        loop {
            let Some((_, character)) = self.rest.next() else {
                return Err(self.wrong("a text does not end"));
            };
            let unit = match character {
                ending if ending == quote => {
                    text.extend(high.map(|_| char::REPLACEMENT_CHARACTER));
                    return Ok(text);
                }
                '\\' => self.escape()?,
                plain => u32::from(plain),
            };
            match (high.take(), unit) {
                (Some(before), 0xDC00..=0xDFFF) => {
                    text.extend(char::from_u32(
                        0x1_0000 + ((before - 0xD800) << 10) + (unit - 0xDC00),
                    ));
                }
                (before, unit) => {
                    text.extend(before.map(|_| char::REPLACEMENT_CHARACTER));
                    if (0xD800..0xDC00).contains(&unit) {
                        high = Some(unit);
                    } else {
                        text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                }
            }
        }
    }

    fn escape(&mut self) -> Result<u32, String> {
        let character = self.rest.next().map(|(_, character)| character);
        let plain = match character {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(same @ ('"' | '\'' | '\\' | '/')) => same,
            Some('u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = self.rest.next().and_then(|(_, digit)| digit.to_digit(16));
                    unit = unit * 16 + digit.ok_or_else(|| self.wrong("\\u needs four hex digits"))?;
                }
                return Ok(unit);
            }
            _ => return Err(self.wrong("an unknown escape in a text")),
        };
        Ok(u32::from(plain))
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some((_, character)) = self.rest.next_if(|(_, character)| {
            character.is_alphanumeric() || matches!(character, '-' | '+' | '.' | '_' | '$')
        }) {
            word.push(character);
        }
        word
    }

    /// Passes blanks and comments.
    fn blanks(&mut self) -> Result<(), String> {
        loop {
            while self
                .rest
                .next_if(|(_, character)| character.is_whitespace())
                .is_some()
            {}
            if !self.next_if('/') {
                return Ok(());
            }
            match self.rest.next() {
                Some((_, '/')) => {
                    while self
                        .rest
                        .next_if(|(_, character)| !matches!(character, '\r' | '\n'))
                        .is_some()
                    {}
                }
                Some((start, '*')) => {
                    let Some(length) = self.text[start + 1..].find("*/") else {
                        return Err(self.wrong("a comment does not end"));
                    };
                    let end = start + 1 + length + 2;
                    while self.rest.next_if(|(at, _)| *at < end).is_some() {}
                }
                _ => return Err(self.wrong("'/' begins no comment")),
            }
        }
    }

    fn next_if(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, character)| *character == wanted).is_some()
    }

    fn wrong(&mut self, what: &str) -> String {
        let at = self.rest.peek().map_or(self.text.len(), |(at, _)| *at);
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |start| start.chars().count())
            + 1;
        format!("line {line}, column {column}: {what}")
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && (digits.parse::<f64>().is_ok()
            || digits
                .strip_prefix("0x")
                .is_some_and(|hex| !hex.is_empty() && hex.chars().all(|digit| digit.is_ascii_hexdigit())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_read() {
        let text =
            "// one\n[{'k': \"a\\u00e9\\ud83d\\ude00\", v: 1.50, /* two */ \"s\": true,}, null,]\n// end";
        let value = Json::read(text).expect("readable");
        let Json::Array(items) = value else {
            panic!("{value:?}")
        };
        assert_eq!(items[0].member("K"), Some(&Json::Text("aé😀".to_owned())));
        assert_eq!(
            items[0].member("v").and_then(Json::scalar),
            Some(Some("1.50".to_owned()))
        );
        assert_eq!(items[1], Json::Null);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            ("", "line 1, column 1: a value is missing"),
            ("[1\n2]", "line 2, column 1: ',' or ']' is missing"),
            ("[1] x", "line 1, column 5: something follows the value"),
            (
                "{'a' 1}",
                "line 1, column 6: ':' is missing after a member's name",
            ),
            ("[hello]", "line 1, column 7: 'hello' is no value"),
            ("['x", "line 1, column 4: a text does not end"),
        ] {
            assert_eq!(Json::read(text), Err(told.to_owned()), "{text}");
        }
        assert!(Json::read(&"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn strict_json_is_read_as_it_is(texts in prop::collection::vec(".*", 0..4)) {
            let value = Json::Array(texts.iter().cloned().map(Json::Text).collect());
            prop_assert_eq!(Json::read(&serde_json::to_string(&texts).expect("JSON")), Ok(value));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{}\"',:/*\\\\a1. \n]{0,60}") {
            Json::read(&text).ok();
        }
    }
}
