//! JSON (14.1): the path of a value is its member names and array indexes joined by `:`.
//!
//! Reading is as lenient as that of the original ([`crate::lenient_json`]).

use super::edit::{self, Edit};
use super::{Note, ReplaceError, Replaced, is_for_paths};
use crate::lenient_json::reader::{self, Content, Node};
use octostache::{VariableCollection, fold};
use std::collections::HashMap;
use std::ops::Range;

/// The values of each path that a variable names.
type Places = HashMap<String, Vec<(Old, Range<usize>)>>;

/// What stood at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Old {
    Number,
    Boolean,
    /// Also null.
    Text,
    Container,
}

/// Puts variables into a JSON text. An empty text counts as `{}`.
///
/// # Errors
/// It is not JSON, or a value cannot be evaluated.
pub fn replace(text: &str, variables: &VariableCollection) -> Result<Replaced, ReplaceError> {
    if text.is_empty() {
        return Ok(Replaced::default());
    }
    let root = reader::read(text).map_err(|error| {
        let (line, column) = error.place(text);
        ReplaceError::Unreadable(format!("{} (line {line}, column {column})", error.reason))
    })?;
    let names: Vec<&str> = variables
        .iter()
        .map(|(name, _)| name)
        .filter(|name| is_for_paths(name))
        .collect();
    let mut places: Places = names.iter().map(|name| (fold(name), Vec::new())).collect();
    collect(&root, None, &mut places);
    let mut edits = Vec::new();
    let mut notes = Vec::new();
    for name in names {
        let Some(places) = places.get(&fold(name)).filter(|places| !places.is_empty()) else {
            continue;
        };
        let value = variables.get(name)?;
        notes.push(Note::Used(name.to_owned()));
        for (old, range) in places {
            match new_text(*old, value.as_deref(), edit::line_end(text)) {
                Ok(New { text, warning }) => {
                    let warning = warning.map(|reason| {
                        Note::Warning(format!("The value for {name} {reason}; it is written as a text"))
                    });
                    notes.extend(warning.filter(|warning| notes.last() != Some(warning)));
                    edits.push(Edit {
                        range: range.clone(),
                        text,
                    });
                }
                Err(reason) => notes.push(Note::Warning(format!(
                    "Unable to set value for {name}. The following error occurred: {reason}"
                ))),
            }
        }
    }
    Ok(Replaced {
        text: (!edits.is_empty()).then(|| edit::apply(text, edits)),
        notes,
    })
}

/// Takes down what is named below a value; `path` is its own, none for the root.
fn collect(node: &Node, path: Option<&str>, places: &mut Places) {
    let mut child = |name: &str, child: &Node| {
        let path = path.map_or_else(|| name.to_owned(), |path| format!("{path}:{name}"));
        let old = match child.content {
            Content::Object(_) | Content::Array(_) => Old::Container,
            Content::Number(_) => Old::Number,
            Content::Boolean(_) => Old::Boolean,
            Content::Text(_) | Content::Null => Old::Text,
        };
        if let Some(places) = places.get_mut(&fold(&path)) {
            places.push((old, child.range.clone()));
        }
        collect(child, Some(&path), places);
    };
    match &node.content {
        Content::Object(members) => {
            for (name, value) in members {
                child(name, value);
            }
        }
        Content::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                child(&index.to_string(), item);
            }
        }
        _ => {}
    }
}

/// The JSON that a value becomes.
struct New {
    text: String,
    /// Why it has not the type of the old value.
    warning: Option<&'static str>,
}

/// What is written for a value where this stood; an error leaves the old value.
fn new_text(old: Old, value: Option<&str>, line_end: &str) -> Result<New, String> {
    let plain = |text: String| New { text, warning: None };
    match (old, value) {
        (Old::Text, None) => Ok(plain("null".to_owned())),
        (_, None) => Err("the variable has no value".to_owned()),
        (Old::Text, Some(value)) => Ok(plain(quoted(value))),
        (Old::Number, Some(value)) => Ok(match number(value) {
            Some(number) => plain(number),
            None => New {
                text: quoted(value),
                warning: Some("is no JSON number"),
            },
        }),
        (Old::Boolean, Some(value)) => {
            // As .NET reads flags.
            let trimmed = value.trim_matches(|c: char| c.is_whitespace() || c == '\0');
            Ok(plain(
                match [true, false]
                    .iter()
                    .find(|flag| trimmed.eq_ignore_ascii_case(&flag.to_string()))
                {
                    Some(flag) => flag.to_string(),
                    None => quoted(value),
                },
            ))
        }
        (Old::Container, Some(value)) => {
            let root = reader::read(value).map_err(|error| {
                let (line, column) = error.place(value);
                format!("{} (line {line}, column {column} of the value)", error.reason)
            })?;
            let trimmed = value.trim();
            if serde_json::from_str::<serde_json::Value>(trimmed).is_ok() {
                let unix = trimmed.replace("\r\n", "\n").replace('\r', "\n");
                return Ok(plain(unix.replace('\n', line_end)));
            }
            Ok(plain(strict(&root, value).to_string()))
        }
    }
}

/// A number as JSON spells it: blanks and a sign around it, and zeros before it, are allowed.
fn number(value: &str) -> Option<String> {
    let trimmed = value.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let (sign, digits) = match trimmed.as_bytes().first()? {
        b'-' => ("-", &trimmed[1..]),
        b'+' => ("", &trimmed[1..]),
        _ => ("", trimmed),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    if let Some(exponent) = exponent {
        let figures = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if figures.is_empty() || !is_digits(figures) {
            return None;
        }
        let value: f64 = trimmed.strip_prefix('+').unwrap_or(trimmed).parse().ok()?;
        if !value.is_finite() {
            return None;
        }
        // As the original writes it where that can be: without an exponent.
        return Some(if value.fract() == 0.0 && value.abs() < 1e15 {
            format!("{value:.0}")
        } else {
            format!("{value:e}")
        });
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if mantissa.contains('.') {
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        format!("{sign}{whole}.{fraction}")
    } else {
        format!("{sign}{whole}")
    })
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The data of a lenient text, to be written strictly. Numbers that JSON cannot spell become texts.
fn strict(node: &Node, text: &str) -> serde_json::Value {
    use serde_json::Value;
    match &node.content {
        Content::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), strict(value, text)))
                .collect(),
        ),
        Content::Array(items) => Value::Array(items.iter().map(|item| strict(item, text)).collect()),
        Content::Text(value) => Value::String(value.clone()),
        Content::Boolean(flag) => Value::Bool(*flag),
        Content::Null => Value::Null,
        Content::Number(number) => match number {
            reader::Number::Whole(whole) => Value::Number((*whole).into()),
            reader::Number::Other(value) => serde_json::Number::from_f64(*value).map_or_else(
                || Value::String(text[node.range.clone()].to_owned()),
                Value::Number,
            ),
        },
    }
}

#[cfg(test)]
mod tests;
