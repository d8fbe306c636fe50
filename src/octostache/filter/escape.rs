//! Filters that escape a text for some format, or change its case.

use crate::character::{fold, lower};
use std::fmt::Write;

/// The escape of this name, in lower case.
pub(super) fn named(name: &str) -> Option<fn(&str) -> String> {
    Some(match name {
        "tolower" => |text| text.chars().map(lower).collect(),
        "toupper" => fold,
        "htmlescape" => |text| {
            each(text, |character| {
                (character == '/').then_some("&#x2F;").or(xml(character))
            })
        },
        "xmlescape" => |text| each(text, xml),
        "jsonescape" => |text| {
            each(text, |character| match character {
                '"' => Some("\\\""),
                '\\' => Some("\\\\"),
                _ => line_end_or_tab(character),
            })
        },
        "yamlsinglequoteescape" => yaml_single_quoted,
        "yamldoublequoteescape" => yaml_double_quoted,
        "propertieskeyescape" => |text| {
            properties(text, |character| match character {
                ' ' => Some("\\ "),
                ':' => Some("\\:"),
                '=' => Some("\\="),
                _ => None,
            })
        },
        "propertiesvalueescape" => |text| {
            let escaped = properties(text, |_| None);
            if text.starts_with(' ') {
                format!("\\{escaped}")
            } else {
                escaped
            }
        },
        "uriescape" => |text| percent_encoded(text, b"-._~;/?:@&=+$,#[]!'()*"),
        "uridataescape" => |text| percent_encoded(text, b"-._~"),
        _ => return None,
    })
}

/// Percent-encodes the UTF-8 of all but letters, digits and these characters.
pub(super) fn percent_encoded(text: &str, kept: &[u8]) -> String {
    let mut output = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            output.push(char::from(byte));
        } else {
            hexadecimal(&mut output, format_args!("%{byte:02X}"));
        }
    }
    output
}

fn each(text: &str, escaped: impl Fn(char) -> Option<&'static str>) -> String {
    let mut output = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match escaped(character) {
            Some(escape) => output.push_str(escape),
            None => output.push(character),
        }
    }
    output
}

fn xml(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&apos;"),
        _ => None,
    }
}

fn line_end_or_tab(character: char) -> Option<&'static str> {
    match character {
        '\r' => Some("\\r"),
        '\n' => Some("\\n"),
        '\t' => Some("\\t"),
        _ => None,
    }
}

fn yaml_single_quoted(text: &str) -> String {
    let mut output = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let newline = match character {
            '\n' => "\n",
            '\r' if rest.starts_with("\r\n") => "\r\n",
            '\'' => {
                output.push_str("''");
                rest = &rest[1..];
                continue;
            }
            _ => {
                output.push(character);
                rest = &rest[character.len_utf8()..];
                continue;
            }
        };
        output.push_str(newline);
        while let Some(after) = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")) {
            output.push_str(&rest[..rest.len() - after.len()]);
            rest = after;
        }
    }
    output
}

fn yaml_double_quoted(text: &str) -> String {
    let mut output = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '"' => output.push_str("\\\""),
            '\\' => output.push_str("\\\\"),
            ' '..='~' => output.push(character),
            _ => match line_end_or_tab(character) {
                Some(escape) => output.push_str(escape),
                None => utf16_escaped(&mut output, character),
            },
        }
    }
    output
}

fn properties(text: &str, more: impl Fn(char) -> Option<&'static str>) -> String {
    let mut output = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if let Some(escape) = line_end_or_tab(character).or_else(|| more(character)) {
            output.push_str(escape);
        } else if character == '\\' {
            output.push_str("\\\\");
        } else if character >= '\u{ff}' {
            utf16_escaped(&mut output, character);
        } else {
            output.push(character);
        }
    }
    output
}

fn utf16_escaped(output: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        hexadecimal(output, format_args!("\\u{unit:04x}"));
    }
}

fn hexadecimal(output: &mut String, escape: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = output.write_fmt(escape);
}
