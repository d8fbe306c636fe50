//! JSON in values, read leniently ("Variable templates" 7; observed 1.2, 1.20 to 1.26).

use crate::number;
use std::fmt::Write;

/// Containers within each other beyond this are not JSON.
const DEEPEST: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    /// `undefined`, and the gap between two commas.
    Undefined,
    Boolean(bool),
    /// An integer, in decimal digits.
    Integer(String),
    Float(f64),
    Text(String),
    /// A comment, which is an element when it stands in an array.
    Comment(String),
    Array(Vec<Json>),
    /// Members in order; of two with the same key only the last is kept, at the place of the first.
    Object(Vec<(String, Json)>),
}

/// A member of a flat object.
pub(crate) type Named = (String, Option<String>);

/// Whether a text can be an object or an array at all: only such texts are read.
pub(crate) fn may_be_container(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '/'])
}

/// Reads an object or an array; none when the text is neither.
pub(crate) fn read(text: &str) -> Option<Json> {
    let mut reader = Reader { text, position: 0 };
    reader.skip()?;
    match reader.peek()? {
        '{' => {
            let Json::Object(members) = reader.object(1, false)? else {
                return None;
            };
            let value = Json::Object(without_metadata(members)?);
            reader.skip()?;
            reader.at_end().then_some(value)
        }
        '[' => {
            let value = reader.array(1, true)?;
            reader.skip()?;
            reader.at_end().then_some(value)
        }
        _ => None,
    }
}

/// Members of the outermost object that the original takes for its own are not seen: `$type` and `$id` where they come
/// first. An object that begins with a `$ref` is not JSON to it.
fn without_metadata(mut members: Vec<(String, Json)>) -> Option<Vec<(String, Json)>> {
    let metadata = members
        .iter()
        .take_while(|(key, _)| matches!(key.as_str(), "$type" | "$id" | "$ref"))
        .count();
    if members[..metadata].iter().any(|(key, _)| key == "$ref") {
        return None;
    }
    members.drain(..metadata);
    Some(members)
}

/// Reads a flat object whose values are scalars, as the file form of a collection is: each value as the text that
/// stands there, null as none. What follows the object is ignored.
///
/// # Errors
/// What is wrong, with the position in bytes.
pub(crate) fn read_flat(text: &str) -> Result<Vec<Named>, (usize, &'static str)> {
    let mut reader = Reader { text, position: 0 };
    let wrong = |reader: &Reader<'_>, what| Err((reader.position, what));
    if reader.skip().is_none() || !reader.take('{') {
        return wrong(&reader, "an object is expected: the file must begin with {");
    }
    let mut members = Vec::new();
    loop {
        if reader.skip().is_none() {
            return wrong(&reader, "a comment does not end");
        }
        if reader.take('}') {
            return Ok(members);
        }
        let Some(key) = reader.key() else {
            return wrong(&reader, "a name is expected");
        };
        reader.blanks();
        if !reader.take(':') {
            return wrong(&reader, "a colon is expected after the name");
        }
        if reader.skip().is_none() {
            return wrong(&reader, "a comment does not end");
        }
        let start = reader.position;
        let value = match reader.peek() {
            Some('{' | '[') => {
                return wrong(
                    &reader,
                    "the value is not a text; objects and lists cannot be values",
                );
            }
            Some(_) => reader.value(1, false),
            None => None,
        };
        let value = match value {
            None | Some(Json::Undefined) => return wrong(&reader, "the value cannot be read"),
            Some(Json::Null) => None,
            Some(Json::Text(text)) => Some(text),
            Some(_) => Some(text[start..reader.position].to_owned()),
        };
        members.push((key, value));
        if reader.skip().is_none() {
            return wrong(&reader, "a comment does not end");
        }
        if !reader.take(',') && reader.peek() != Some('}') {
            return wrong(&reader, "a comma or } is expected after the value");
        }
    }
}

/// The member of this key; case counts.
pub(crate) fn member<'a>(members: &'a [(String, Json)], key: &str) -> Option<&'a Json> {
    members
        .iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

/// A text in double quotes, escaped.
pub(crate) fn quote(text: &str, output: &mut String) {
    output.push('"');
    for character in text.chars() {
        match character {
            '"' => output.push_str("\\\""),
            '\\' => output.push_str("\\\\"),
            '\u{8}' => output.push_str("\\b"),
            '\t' => output.push_str("\\t"),
            '\n' => output.push_str("\\n"),
            '\u{c}' => output.push_str("\\f"),
            '\r' => output.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(output, "\\u{:04x}", u32::from(character));
            }
            _ => output.push(character),
        }
    }
    output.push('"');
}

impl Json {
    /// The value as a text: scalars in their shortest form, containers as compact JSON.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Null | Self::Undefined => String::new(),
            Self::Boolean(true) => "True".to_owned(),
            Self::Boolean(false) => "False".to_owned(),
            Self::Integer(digits) => digits.clone(),
            Self::Float(value) => number::print(*value),
            Self::Text(text) | Self::Comment(text) => text.clone(),
            Self::Array(_) | Self::Object(_) => {
                let mut output = String::new();
                self.print(&mut output);
                output
            }
        }
    }

    fn print(&self, output: &mut String) {
        match self {
            Self::Null => output.push_str("null"),
            Self::Undefined => output.push_str("undefined"),
            Self::Boolean(value) => output.push_str(if *value { "true" } else { "false" }),
            Self::Integer(digits) => output.push_str(digits),
            Self::Float(value) => {
                let text = number::print(*value);
                if !value.is_finite() {
                    return quote(&text, output);
                }
                output.push_str(&text);
                if !text.contains(['.', 'E']) {
                    output.push_str(".0");
                }
            }
            Self::Text(text) => quote(text, output),
            Self::Comment(text) => {
                output.push_str("/*");
                output.push_str(text);
                output.push_str("*/");
            }
            Self::Array(elements) => {
                output.push('[');
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 && !matches!(element, Self::Comment(_)) {
                        output.push(',');
                    }
                    element.print(output);
                }
                output.push(']');
            }
            Self::Object(members) => {
                output.push('{');
                for (position, (key, value)) in members.iter().enumerate() {
                    if position > 0 {
                        output.push(',');
                    }
                    quote(key, output);
                    output.push(':');
                    value.print(output);
                }
                output.push('}');
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl Reader<'_> {
    /// `open`: the outermost container is an array, and the end of the text also ends everything in it.
    fn value(&mut self, depth: usize, open: bool) -> Option<Json> {
        match self.peek()? {
            '{' => self.object(depth + 1, open),
            '[' => self.array(depth + 1, open),
            quote @ ('"' | '\'') => self.quoted(quote).map(Json::Text),
            'a'..='z' | 'A'..='Z' => self.word(),
            '-' if self.rest().starts_with("-I") => self.word(),
            '-' | '.' | '0'..='9' => self.number(),
            _ => None,
        }
    }

    fn object(&mut self, depth: usize, open: bool) -> Option<Json> {
        if depth > DEEPEST || !self.take('{') {
            return None;
        }
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        loop {
            self.skip()?;
            if self.take('}') || (open && self.at_end()) {
                return Some(Json::Object(members));
            }
            let key = self.key()?;
            self.blanks();
            if !self.take(':') {
                return None;
            }
            self.skip()?;
            // A comma where the value should be leaves it undefined.
            let value = match self.peek() {
                Some(',') => Json::Undefined,
                None if open => Json::Undefined,
                _ => self.value(depth, open)?,
            };
            match places.get(&key) {
                Some(place) => {
                    let member: &mut (String, Json) = &mut members[*place];
                    member.1 = value;
                }
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, value));
                }
            }
            self.skip()?;
            if !self.take(',') && self.peek() != Some('}') && !(open && self.at_end()) {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize, open: bool) -> Option<Json> {
        if depth > DEEPEST || !self.take('[') {
            return None;
        }
        let mut elements = Vec::new();
        loop {
            self.between(open, &mut elements)?;
            if self.take(']') || (open && self.at_end()) {
                return Some(Json::Array(elements));
            }
            if self.take(',') {
                elements.push(Json::Undefined);
                continue;
            }
            elements.push(self.value(depth, open)?);
            self.between(open, &mut elements)?;
            if !self.take(',') && self.peek() != Some(']') && !(open && self.at_end()) {
                return None;
            }
        }
    }

    fn key(&mut self) -> Option<String> {
        match self.peek()? {
            quote @ ('"' | '\'') => self.quoted(quote),
            _ => {
                let rest = self.rest();
                let end = rest
                    .find(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | '$')))
                    .unwrap_or(rest.len());
                let key = rest[..end].to_owned();
                self.position += end;
                (!key.is_empty()).then_some(key)
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        self.take(quote);
        let mut units: Vec<u16> = Vec::new();
        let mut output = String::new();
        loop {
            let character = self.next()?;
            if character == '\\' && self.peek() == Some('u') {
                self.position += 1;
                let digits = self.rest().get(..4)?;
                units.push(
                    u16::from_str_radix(digits, 16)
                        .ok()
                        .filter(|_| !digits.starts_with('+'))?,
                );
                self.position += 4;
                continue;
            }
            if !units.is_empty() {
                output.push_str(&String::from_utf16_lossy(&units));
                units.clear();
            }
            if character == quote {
                return Some(output);
            }
            if character != '\\' {
                output.push(character);
                continue;
            }
            output.push(match self.next()? {
                'b' => '\u{8}',
                't' => '\t',
                'n' => '\n',
                'f' => '\u{c}',
                'r' => '\r',
                same @ ('\\' | '"' | '\'' | '/') => same,
                _ => return None,
            });
        }
    }

    fn word(&mut self) -> Option<Json> {
        let words = [
            ("true", Json::Boolean(true)),
            ("false", Json::Boolean(false)),
            ("null", Json::Null),
            ("undefined", Json::Undefined),
            ("NaN", Json::Float(f64::NAN)),
            ("Infinity", Json::Float(f64::INFINITY)),
            ("-Infinity", Json::Float(f64::NEG_INFINITY)),
        ];
        let (word, value) = words
            .into_iter()
            .find(|(word, _)| self.rest().starts_with(word))?;
        self.position += word.len();
        self.separated().then_some(value)
    }

    fn number(&mut self) -> Option<Json> {
        let rest = self.rest();
        let end = rest
            .find(|character: char| {
                !(character.is_ascii_hexdigit() || matches!(character, '+' | '-' | '.' | 'x' | 'X'))
            })
            .unwrap_or(rest.len());
        let written = &rest[..end];
        let value = number_of(written)?;
        self.position += end;
        self.separated().then_some(value)
    }

    /// After a word or a number something must follow that ends it.
    fn separated(&self) -> bool {
        self.peek()
            .is_none_or(|next| matches!(next, ',' | '}' | ']' | ')' | '/') || next.is_whitespace())
    }

    /// Blanks and comments; none for a comment that does not end.
    fn skip(&mut self) -> Option<()> {
        self.comments(&mut Vec::new())
    }

    /// What stands between elements: comments are elements too, when the outermost container is an array.
    fn between(&mut self, open: bool, elements: &mut Vec<Json>) -> Option<()> {
        if open {
            self.comments(elements)
        } else {
            self.skip()
        }
    }

    fn comments(&mut self, found: &mut Vec<Json>) -> Option<()> {
        loop {
            self.blanks();
            let rest = self.rest();
            if let Some(comment) = rest.strip_prefix("/*") {
                let end = comment.find("*/")?;
                found.push(Json::Comment(comment[..end].to_owned()));
                self.position += end + 4;
            } else if let Some(comment) = rest.strip_prefix("//") {
                let end = comment.find(['\r', '\n']).unwrap_or(comment.len());
                found.push(Json::Comment(comment[..end].to_owned()));
                self.position += end + 2;
            } else {
                return Some(());
            }
        }
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn at_end(&self) -> bool {
        self.position >= self.text.len()
    }

    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.position += wanted.len_utf8();
        }
        there
    }
}

/// Integers of any length, floats, `0x` hexadecimal and octal with a leading zero.
fn number_of(written: &str) -> Option<Json> {
    let (sign, digits) = match written.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", written),
    };
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let value = i64::from_str_radix(hexadecimal, 16).ok()?;
        return Some(Json::Integer(format!("{sign}{value}")));
    }
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty();
    if whole && digits.len() > 1 && digits.starts_with('0') {
        let value = i64::from_str_radix(digits, 8).ok()?;
        return Some(Json::Integer(format!("{sign}{value}")));
    }
    if whole {
        // Minus zero is zero.
        let sign = if digits == "0" { "" } else { sign };
        return Some(Json::Integer(format!("{sign}{digits}")));
    }
    if digits.starts_with(['+', '-']) || !digits.contains(|character: char| character.is_ascii_digit()) {
        return None;
    }
    if !digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    written.parse().ok().map(Json::Float)
}
