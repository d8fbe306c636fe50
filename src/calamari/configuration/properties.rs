//! Java properties (14.4): comments, separators and everything that is not a replaced value stay byte for byte.

use super::edit::{self, Edit};
use super::{Note, ReplaceError, Replaced};
use octostache::{VariableCollection, fold};
use std::collections::HashMap;
use std::ops::Range;

/// One entry of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: String,
    /// Between key and value.
    separator: Range<usize>,
    value: Range<usize>,
}

/// Puts variables into the entries whose keys are their names.
///
/// # Errors
/// A `\u` without four hexadecimal digits, or a value that cannot be evaluated.
pub fn replace(text: &str, variables: &VariableCollection) -> Result<Replaced, ReplaceError> {
    let entries = read(text)?;
    let names: HashMap<String, &str> = variables
        .iter()
        .filter(|(name, _)| !fold(name).starts_with("OCTOPUS"))
        .map(|(name, _)| (fold(name), name))
        .collect();
    let mut edits = Vec::new();
    let mut notes = Vec::new();
    for entry in entries {
        let Some(name) = names.get(&fold(&entry.key)) else {
            continue;
        };
        let Some(value) = variables.get(name)? else {
            continue;
        };
        let separator = &text[entry.separator.clone()];
        let mut new = escaped(&value);
        if separator.is_empty() {
            new.insert(0, ':');
        } else if !separator.contains(['=', ':']) && new.starts_with(['=', ':']) {
            // Behind a blank it would be taken for the separator.
            new.insert(0, '\\');
        }
        notes.push(Note::Used(entry.key));
        edits.push(Edit {
            range: entry.value,
            text: new,
        });
    }
    Ok(Replaced {
        text: (!edits.is_empty()).then(|| edit::apply(text, edits)),
        notes,
    })
}

fn read(text: &str) -> Result<Vec<Entry>, ReplaceError> {
    let mut entries = Vec::new();
    let mut position = 0;
    while position < text.len() {
        let start = position + blanks(&text[position..]);
        let rest = &text[start..];
        if rest.starts_with(['#', '!', '\n', '\r']) || rest.is_empty() {
            position = start + rest.find(['\n', '\r']).map_or(rest.len(), |end| end + 1);
            continue;
        }
        let end = start + logical_line(rest);
        let key_end = start + key(&text[start..end]);
        let value_start = key_end + separator(&text[key_end..end]);
        unescaped(text, value_start..end)?;
        entries.push(Entry {
            key: unescaped(text, start..key_end)?,
            separator: key_end..value_start,
            value: value_start..end,
        });
        position = end;
    }
    Ok(entries)
}

/// Blanks are spaces and tabs only.
fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// The length of the line end here, if there is one.
fn line_end(text: &str) -> usize {
    if text.starts_with("\r\n") {
        2
    } else {
        usize::from(text.starts_with(['\n', '\r']))
    }
}

/// The length of a line with the lines that continue it, without its end.
fn logical_line(text: &str) -> usize {
    let mut position = 0;
    while let Some(found) = text[position..].find(['\\', '\n', '\r']) {
        position += found;
        if !text[position..].starts_with('\\') {
            return position;
        }
        position += escape(&text[position..]);
    }
    text.len()
}

/// The length of a backslash and what belongs to it.
fn escape(text: &str) -> usize {
    let after = &text[1..];
    match line_end(after) {
        0 => 1 + after.chars().next().map_or(0, char::len_utf8),
        length => 1 + length + blanks(&after[length..]),
    }
}

fn key(line: &str) -> usize {
    let mut position = 0;
    while let Some(found) = line[position..].find(['\\', '=', ':', ' ', '\t']) {
        position += found;
        if !line[position..].starts_with('\\') {
            return position;
        }
        position += escape(&line[position..]);
    }
    line.len()
}

/// Blanks, at most one `=` or `:`, blanks; all of it may go on in the next line.
fn separator(line: &str) -> usize {
    let skip = |mut position: usize| loop {
        position += blanks(&line[position..]);
        let rest = &line[position..];
        if !rest.starts_with('\\') || line_end(&rest[1..]) == 0 {
            return position;
        }
        position += escape(rest);
    };
    let position = skip(0);
    if line[position..].starts_with(['=', ':']) {
        skip(position + 1)
    } else {
        position
    }
}

fn unescaped(text: &str, range: Range<usize>) -> Result<String, ReplaceError> {
    let part = &text[range.clone()];
    let mut units: Vec<u16> = Vec::with_capacity(part.len());
    let mut position = 0;
    while let Some(found) = part[position..].find('\\') {
        units.extend(part[position..position + found].encode_utf16());
        position += found;
        let length = escape(&part[position..]);
        let escaped = &part[position + 1..position + length];
        position += length;
        match escaped.chars().next() {
            Some('t') => units.push(0x09),
            Some('n') => units.push(0x0A),
            Some('r') => units.push(0x0D),
            Some('f') => units.push(0x0C),
            Some('u') => {
                let digits = part
                    .get(position..position + 4)
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
                    .and_then(|digits| u16::from_str_radix(digits, 16).ok());
                let Some(unit) = digits else {
                    let (line, column) = edit::place(text, range.start + position - length);
                    return Err(ReplaceError::Unreadable(format!(
                        "'\\u' needs four hexadecimal digits (line {line}, column {column})"
                    )));
                };
                units.push(unit);
                position += 4;
            }
            Some('\n' | '\r') | None => {}
            Some(other) => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
        }
    }
    units.extend(part[position..].encode_utf16());
    Ok(String::from_utf16_lossy(&units))
}

fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for (index, character) in value.char_indices() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\r' => escaped.push_str("\\r"),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            ' ' if index == 0 => escaped.push_str("\\ "),
            '\u{ff}'.. => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keys and values in order, without escapes.
    fn pairs(text: &str) -> Result<Vec<(String, String)>, ReplaceError> {
        read(text)?
            .into_iter()
            .map(|entry| Ok((entry.key, unescaped(text, entry.value)?)))
            .collect()
    }

    fn replaced(text: &str, variables: &[(&str, Option<&str>)]) -> Result<Replaced, ReplaceError> {
        let mut collection = VariableCollection::new();
        for (name, value) in variables {
            collection.set(name, *value);
        }
        replace(text, &collection)
    }

    fn text_of(text: &str, name: &str, value: &str) -> String {
        replaced(text, &[(name, Some(value))])
            .unwrap()
            .text
            .unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn only_the_value_changes() {
        for (text, name, expected) in [
            (
                "a\t=\t1\r\n# c \\\n! d\rB : 2\n",
                "b",
                "a\t=\t1\r\n# c \\\n! d\rB : x\n",
            ),
            ("b = = 2", "B", "b = x"),
            ("keyonly\nz", "keyonly", "keyonly:x\nz"),
            ("b   \nc", "b", "b   x\nc"),
            ("multi=one \\\n   two \\\r\n three\nz=1", "multi", "multi=x\nz=1"),
            ("long\\\n  key=1\n", "longkey", "long\\\n  key=x\n"),
            (
                "key\\ with\\:chars\\==v\n",
                "key with:chars=",
                "key\\ with\\:chars\\==x\n",
            ),
            ("a=1\\\n", "a", "a=x"),
            ("a=1\\\\\nb=2\n", "b", "a=1\\\\\nb=x\n"),
            ("=v\n:w\n", "", "=x\n:x\n"),
            ("\\u0061\\t=1", "a\t", "\\u0061\\t=x"),
            ("a\u{c}b=1", "a\u{c}b", "a\u{c}b=x"),
            ("Octopus.A=1", "Octopus.A", "Octopus.A=1"),
        ] {
            assert_eq!(text_of(text, name, "x"), expected, "{text}");
        }
    }

    #[test]
    fn values_are_escaped() {
        for (value, expected) in [
            ("a\\b\n\r\t", "a=a\\\\b\\n\\r\\t"),
            ("  a", "a=\\  a"),
            ("ÿþ中😀", "a=\\u00ffþ\\u4e2d\\ud83d\\ude00"),
            ("#a=:!", "a=#a=:!"),
        ] {
            assert_eq!(text_of("a=old", "a", value), expected, "{value}");
        }
        assert_eq!(text_of("a old", "a", "=b"), "a \\=b");
    }

    #[test]
    fn a_variable_without_a_value_leaves_the_entry_alone() {
        assert_eq!(replaced("a=1", &[("a", None)]), Ok(Replaced::default()));
    }

    #[test]
    fn a_bad_escape_names_its_line() {
        for text in ["ok=1\na=\\u12", "ok=1\n\\u00g1=b"] {
            let error = replaced(text, &[]).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
        }
        assert_eq!(replaced("# \\u12", &[]), Ok(Replaced::default()));
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(
            value in "[^#]{0,20}",
            separator in "[ \\t]{0,2}[=:]?[ \\t]{0,2}",
            before in "[a-z=: \\n\\r#!]{0,30}",
        ) {
            let text = format!("{before}\nKEY{separator}\n");
            let new = text_of(&text, "KEY", &value);
            let read = pairs(&new).unwrap();
            prop_assert_eq!(&read.last().unwrap().1, &value, "{}", new);
            let same = pairs(&text).unwrap();
            prop_assert_eq!(&read[..read.len() - 1], &same[..same.len() - 1]);
        }

        #[test]
        fn broken_texts_never_panic(text in "[\\\\u0aéz=: \\t\\n\\r#!]{0,40}|\\PC{0,30}") {
            if let Ok(replaced) = replaced(&text, &[("a", Some("x")), ("", Some("=y"))])
                && replaced.text.is_some()
            {
                pairs(&replaced.text.unwrap_or_default()).unwrap();
            }
        }
    }
}
