//! What matches are replaced by: text with `$1`, `${name}`, `$$`, `$&`, `` $` ``, `$'`, `$+` and `$_`.

use super::Groups;
use fancy_regex::Captures;

pub(super) struct Replacement(Vec<Part>);

enum Part {
    Text(String),
    Group(usize),
    Before,
    After,
    Input,
}

impl Replacement {
    /// Reads a replacement; what names no group is text.
    pub(super) fn read(text: &str, groups: &Groups) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            push(&mut parts, &rest[..dollar]);
            rest = &rest[dollar..];
            let after = &rest[1..];
            let digits = after.len()
                - after
                    .trim_start_matches(|digit: char| digit.is_ascii_digit())
                    .len();
            let (part, length) = if digits > 0 {
                let group = after[..digits]
                    .parse()
                    .ok()
                    .and_then(|number| groups.of_number(number));
                (group.map(Part::Group), 1 + digits)
            } else {
                match after.chars().next() {
                    Some('$') => (Some(Part::Text("$".to_owned())), 2),
                    Some('&') => (Some(Part::Group(0)), 2),
                    Some('`') => (Some(Part::Before), 2),
                    Some('\'') => (Some(Part::After), 2),
                    Some('+') => (Some(Part::Group(groups.last())), 2),
                    Some('_') => (Some(Part::Input), 2),
                    Some('{') => match after.find('}') {
                        Some(end) => (groups.of_name(&after[1..end]).map(Part::Group), end + 2),
                        None => (None, 1),
                    },
                    _ => (None, 1),
                }
            };
            match part {
                Some(part) => {
                    parts.push(part);
                    rest = &rest[length..];
                }
                None => {
                    push(&mut parts, "$");
                    rest = after;
                }
            }
        }
        push(&mut parts, rest);
        Self(parts)
    }

    /// Appends the replacement of one match.
    pub(super) fn append(&self, captures: &Captures<'_, str>, input: &str, output: &mut String) {
        let group = |number| captures.get(number);
        for part in &self.0 {
            match part {
                Part::Text(text) => output.push_str(text),
                Part::Group(number) => output.push_str(group(*number).map_or("", |found| found.as_str())),
                Part::Before => output.push_str(group(0).map_or("", |whole| &input[..whole.start()])),
                Part::After => output.push_str(group(0).map_or("", |whole| &input[whole.end()..])),
                Part::Input => output.push_str(input),
            }
        }
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}
