//! The one reader of JSON, which knows where each value stands.

use std::ops::Range;

use crate::configuration::edit;

/// A value and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) range: Range<usize>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// Members in order; of a repeated one the last.
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Text(String),
    Number(Number),
    Boolean(bool),
    /// Also what is left out between two commas.
    Null,
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    /// With a fraction, an exponent, or more than 64 bits; also those that are none.
    Other(f64),
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadError {
    pub(crate) reason: String,
    pub(crate) position: usize,
}

impl ReadError {
    /// The line and column of it in its text, both from 1.
    pub(crate) fn place(&self, text: &str) -> (usize, usize) {
        edit::place(text, self.position)
    }
}

/// Values may lie in each other this deep.
const DEEPEST: usize = 64;

/// Reads one value, with comments around it.
pub(crate) fn read(text: &str) -> Result<Node, ReadError> {
    let mut reader = Reader {
        text,
        position: 0,
        depth: 0,
    };
    reader.skip()?;
    let root = reader.value()?;
    reader.skip()?;
    match reader.peek() {
        None => Ok(root),
        Some(next) => Err(reader.error(format!("after the end of the JSON content stands '{next}'"))),
    }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
}

impl Reader<'_> {
    fn error(&self, reason: impl Into<String>) -> ReadError {
        ReadError {
            reason: reason.into(),
            position: self.position,
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.position += wanted.len_utf8();
        }
        found
    }

    /// Over blanks and comments.
    fn skip(&mut self) -> Result<(), ReadError> {
        loop {
            let rest = self.rest();
            self.position += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            if rest.starts_with("//") {
                self.position += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => self.position += end + 4,
                    None => return Err(self.error("a comment does not end")),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self) -> Result<Node, ReadError> {
        let start = self.position;
        let content = match self.peek() {
            None => return Err(self.error("a value is missing at the end of the text")),
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some(quote @ ('"' | '\'')) => Content::Text(self.quoted(quote)?),
            Some('-' | '.' | '0'..='9') => Content::Number(self.number()?),
            Some(_) => self.word()?,
        };
        Ok(Node {
            content,
            range: start..self.position,
        })
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Content, ReadError>,
    ) -> Result<Content, ReadError> {
        if self.depth == DEEPEST {
            return Err(self.error(format!("values lie more than {DEEPEST} deep in each other")));
        }
        self.depth += 1;
        self.position += 1;
        let content = read(self)?;
        self.depth -= 1;
        Ok(content)
    }

    fn object(&mut self) -> Result<Content, ReadError> {
        let mut members: Vec<(String, Node)> = Vec::new();
        let mut known = std::collections::HashMap::new();
        loop {
            self.skip()?;
            if self.take('}') {
                return Ok(Content::Object(members));
            }
            let name = self.name()?;
            let rest = self.rest();
            self.position += rest.len() - rest.trim_start().len();
            if !self.take(':') {
                return Err(self.error(format!("':' is missing after the name '{name}'")));
            }
            self.skip()?;
            let value = self.value()?;
            match known.get(&name) {
                Some(index) => {
                    let member: &mut (String, Node) = &mut members[*index];
                    member.1 = value;
                }
                None => {
                    known.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
            self.skip()?;
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.error(match self.peek() {
                    Some(next) => format!("after a value stands '{next}' instead of ',' or '}}'"),
                    None => "an object does not end".to_owned(),
                }));
            }
        }
    }

    fn array(&mut self) -> Result<Content, ReadError> {
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if self.take(']') {
                return Ok(Content::Array(items));
            }
            if self.peek() == Some(',') {
                let range = self.position..self.position;
                let content = Content::Null;
                items.push(Node { content, range });
            } else {
                items.push(self.value()?);
                self.skip()?;
            }
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.error(match self.peek() {
                    Some(next) => format!("after a value stands '{next}' instead of ',' or ']'"),
                    None => "an array does not end".to_owned(),
                }));
            }
        }
    }

    fn name(&mut self) -> Result<String, ReadError> {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(next) => {
                let rest = self.rest();
                let end = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .unwrap_or(rest.len());
                if end == 0 {
                    return Err(self.error(format!("'{next}' cannot begin the name of a member")));
                }
                let name = rest[..end].to_owned();
                self.position += end;
                Ok(name)
            }
            None => Err(self.error("an object does not end")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, ReadError> {
        let start = self.position;
        self.position += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find([quote, '\\']) else {
                self.position = start;
                return Err(self.error("a text in quotes does not end"));
            };
            text.push_str(&rest[..end]);
            self.position += end;
            if self.take(quote) {
                return Ok(text);
            }
            let escape = self.position;
            self.position += 1;
            let Some(escaped) = self.peek() else {
                return Err(self.error("a text in quotes does not end"));
            };
            self.position += escaped.len_utf8();
            text.push(match escaped {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '\\' | '/' | '"' | '\'' => escaped,
                'u' => self.unicode()?,
                other => {
                    self.position = escape;
                    return Err(self.error(format!("'\\{other}' is no escape of JSON")));
                }
            });
        }
    }

    /// After `\u`; two halves make one character, a lonely half becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, ReadError> {
        let first = self.four_digits()?;
        if (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u") {
            let before = self.position;
            self.position += 2;
            let second = self.four_digits()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.position = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32, ReadError> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                self.position += 4;
                Ok(code)
            }
            None => Err(self.error("'\\u' needs four hexadecimal digits")),
        }
    }

    fn number(&mut self) -> Result<Number, ReadError> {
        let rest = self.rest();
        if rest.starts_with("-Infinity") {
            self.position += "-Infinity".len();
            return Ok(Number::Other(f64::NEG_INFINITY));
        }
        let end = rest
            .find(|c: char| !matches!(c, '0'..='9' | 'a'..='z' | 'A'..='Z' | '.' | '-' | '+'))
            .unwrap_or(rest.len());
        let text = &rest[..end];
        match number(text) {
            Some(number) => {
                self.position += end;
                Ok(number)
            }
            None => Err(self.error(format!("'{text}' is no number"))),
        }
    }

    fn word(&mut self) -> Result<Content, ReadError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let content = match &rest[..end] {
            "true" => Content::Boolean(true),
            "false" => Content::Boolean(false),
            "null" | "undefined" => Content::Null,
            "NaN" => Content::Number(Number::Other(f64::NAN)),
            "Infinity" => Content::Number(Number::Other(f64::INFINITY)),
            _ => {
                let next = rest.chars().next().unwrap_or_default();
                return Err(self.error(format!("'{next}' cannot begin a value")));
            }
        };
        self.position += end;
        Ok(content)
    }
}

/// A number as the original reads it: also hexadecimal, and octal with a leading zero.
fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Number::Whole);
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return if negative || hexadecimal.starts_with(['+', '-']) {
            None
        } else {
            radix(hexadecimal, 16)
        };
    }
    let mut bytes = digits.bytes();
    if bytes.next() == Some(b'0')
        && bytes
            .next()
            .is_some_and(|second| !matches!(second, b'.' | b'e' | b'E'))
    {
        return if negative || digits.contains(['+', '-']) {
            None
        } else {
            radix(digits, 8)
        };
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(whole) = text.parse()
    {
        return Some(Number::Whole(whole));
    }
    let spelt = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse().ok().filter(|_| spelt).map(Number::Other)
}
