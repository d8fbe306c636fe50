//! How a scalar is written.

use granit_parser::ScalarStyle;

/// A scalar on one line, and whether it is plain: in its old style when that can hold it, else in quotes.
pub(super) fn line(value: &str, style: ScalarStyle, flow: bool) -> (String, bool) {
    let quotable = value.chars().all(|c| c == '\t' || is_printable(c));
    match style {
        ScalarStyle::Plain if is_plain(value, flow) => (value.to_owned(), true),
        ScalarStyle::Plain | ScalarStyle::SingleQuoted if quotable => {
            (format!("'{}'", value.replace('\'', "''")), false)
        }
        _ => (double_quoted(value), false),
    }
}

/// A scalar in double quotes, on one line.
pub(super) fn double_quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => match u32::from(c) {
                code @ ..0x100 => quoted.push_str(&format!("\\x{code:02X}")),
                code @ ..0x1_0000 => quoted.push_str(&format!("\\u{code:04X}")),
                code => quoted.push_str(&format!("\\U{code:08X}")),
            },
        }
    }
    quoted.push('"');
    quoted
}

/// A block scalar: the part behind `|` or `>`, and its lines with their indentation, without the last line end.
pub(super) struct Block {
    pub(super) header: String,
    pub(super) lines: String,
    /// What is read back.
    pub(super) value: String,
    /// Whether blank lines that follow would belong to it.
    pub(super) keeps: bool,
}

/// A scalar in block style; none when that cannot hold it. `indent` is where its lines begin, `parent` where the keys or
/// dashes stand that it lies below.
pub(super) fn block(value: &str, folded: bool, indent: usize, parent: Option<usize>) -> Option<Block> {
    let value = value.replace("\r\n", "\n").replace('\r', "\n");
    let content = value.trim_end_matches('\n');
    let fits = value.chars().all(|c| matches!(c, '\n' | '\t') || is_printable(c));
    if content.trim_matches(['\n', ' ', '\t']).is_empty() || !fits || indent == 0 {
        return None;
    }
    let mut header = String::new();
    if content.trim_start_matches('\n').starts_with([' ', '\t']) {
        let digit = indent.checked_sub(parent?)?;
        header = (1..=9).contains(&digit).then(|| digit.to_string())?;
    }
    let newlines = value.len() - content.len();
    match newlines {
        0 => header.push('-'),
        1 => {}
        _ => header.push('+'),
    }
    let texts: Vec<&str> = content.split('\n').collect();
    let mut lines = String::new();
    for (index, line) in texts.iter().enumerate() {
        if index > 0 {
            lines.push('\n');
            // A single line end between two texts would be read as a blank.
            if folded && folds(texts[index - 1], &texts[index..]) {
                lines.push('\n');
            }
        }
        if !line.is_empty() {
            lines.push_str(&" ".repeat(indent));
            lines.push_str(line);
        }
    }
    lines.push_str(&"\n".repeat(newlines.saturating_sub(1)));
    Some(Block {
        header,
        lines,
        value,
        keeps: newlines > 1,
    })
}

/// Whether the line end behind a line needs a second one: the first behind a text that does not begin with a blank, when
/// the next text does not either.
fn folds(line: &str, following: &[&str]) -> bool {
    let blank = |line: &str| line.starts_with([' ', '\t']);
    let next = following.iter().find(|line| !line.is_empty());
    !line.is_empty() && !blank(line) && next.is_some_and(|next| !blank(next))
}

/// Whether a value keeps its meaning without quotes.
fn is_plain(value: &str, flow: bool) -> bool {
    let mut characters = value.chars();
    let Some(first) = characters.next() else {
        return false;
    };
    let second = characters.next();
    let indicator =
        match first {
            ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`' => true,
            '-' => second
                .is_none_or(|second| second == ' ' || second == '\t' || (flow && ",[]{}".contains(second))),
            '?' | ':' => flow || second.is_none_or(|second| second == ' ' || second == '\t'),
            _ => false,
        };
    let breaks = |pair: &[char; 2]| value.contains(&pair.iter().collect::<String>());
    !indicator
        && value.trim_matches([' ', '\t']) == value
        && value.chars().all(|c| c == '\t' || is_printable(c))
        && !value.ends_with(':')
        && ![[':', ' '], [':', '\t'], [' ', '#'], ['\t', '#']]
            .iter()
            .any(breaks)
        && !value.starts_with("---")
        && !value.starts_with("...")
        && !(flow
            && [",", "[", "]", "{", "}", ":\"", ":'"]
                .iter()
                .any(|sign| value.contains(sign)))
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
        | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}
