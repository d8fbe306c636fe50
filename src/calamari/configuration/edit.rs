//! Changes to a text that leave everything else as it is.

use std::ops::Range;

/// A part of a text that becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// The bytes that go; an empty range only adds.
    pub(super) range: Range<usize>,
    /// What stands there then.
    pub(super) text: String,
}

/// Applies the changes. One that lies inside of another gives way to it.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by(|a, b| {
        (a.range.start, std::cmp::Reverse(a.range.end)).cmp(&(b.range.start, std::cmp::Reverse(b.range.end)))
    });
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for edit in edits {
        if edit.range.start < copied {
            continue;
        }
        result.push_str(&text[copied..edit.range.start]);
        result.push_str(&edit.text);
        copied = edit.range.end;
    }
    result.push_str(&text[copied..]);
    result
}

/// The line end that a text has more often; `\n` when it has none.
pub(super) fn line_end(text: &str) -> &'static str {
    let all = text.matches('\n').count();
    let windows = text.matches("\r\n").count();
    if windows > all - windows { "\r\n" } else { "\n" }
}

/// The line and column of a place, both from 1.
pub(crate) fn place(text: &str, position: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..position.min(text.len())];
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count();
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    (line + 1, column + 1)
}
