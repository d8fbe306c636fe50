//! A value that takes the place of a mapping or a sequence: YAML itself, or else a text.

use super::document::{Document, Item, Meaning, Node, column, line_start};
use super::scalar;
use granit_parser::{Event, ScalarStyle, StructureStyle};

/// How a value is written.
pub(super) struct Fragment {
    pub(super) form: Form,
    pub(super) meaning: Vec<Meaning>,
}

/// One line, or several.
pub(super) enum Form {
    /// Fits everywhere.
    Line(String),
    /// The lines of a block collection, the outermost of them without indentation.
    Block { lines: Vec<String>, sequence: bool },
}

/// Reads a value. In a flow collection, or when the plainest form is asked for, it becomes one line.
pub(super) fn read(value: Option<&str>, flow: bool, plain_form: bool) -> Fragment {
    let Some(value) = value else {
        return Fragment {
            form: Form::Line("null".to_owned()),
            meaning: vec![scalar_meaning("null", true)],
        };
    };
    let text = value.replace("\r\n", "\n").replace('\r', "\n");
    match Document::read(&text) {
        Ok(document) if document.documents() == 1 && !document.nodes.is_empty() && !has_directive(&text) => {
            written(&text, &document, flow, plain_form)
        }
        // Nothing, only comments, several documents, or no YAML.
        _ => Fragment {
            form: Form::Line(scalar::double_quoted(value)),
            meaning: vec![scalar_meaning(value, false)],
        },
    }
}

pub(super) fn scalar_meaning(value: &str, plain: bool) -> Meaning {
    Meaning::Scalar {
        value: value.to_owned(),
        plain,
        tag: None,
        anchor: None,
    }
}

fn has_directive(text: &str) -> bool {
    text.lines().any(|line| line.starts_with('%'))
}

fn written(text: &str, document: &Document<'_>, flow: bool, plain_form: bool) -> Fragment {
    let items: Vec<&Item<'_>> = document
        .items
        .iter()
        .filter(|item| item.meaning().is_some_and(|meaning| meaning != Meaning::Document))
        .collect();
    let mut meaning: Vec<Meaning> = items.iter().filter_map(|item| item.meaning()).collect();
    let root = &document.nodes[0];
    let block = match &document.items[root.first].event {
        Event::MappingStart(StructureStyle::Block, ..) => Some(false),
        Event::SequenceStart(StructureStyle::Block, ..) => Some(true),
        _ => None,
    };
    let own_properties = document.items[root.first].properties_end().is_some();
    if let Some(sequence) = block
        && !flow
        && !plain_form
        && !own_properties
    {
        return Fragment {
            form: Form::Block {
                lines: lines(text, document, root),
                sequence,
            },
            meaning,
        };
    }
    let mut line = String::new();
    let mut position = 0;
    let mut new_meaning = Vec::new();
    write(text, &items, &mut position, &mut line, &mut new_meaning);
    meaning.clone_from(&new_meaning);
    Fragment {
        form: Form::Line(line),
        meaning,
    }
}

/// The lines of the root, moved to the left border.
fn lines(text: &str, document: &Document<'_>, root: &Node) -> Vec<String> {
    let first = root.start;
    let border = column(text, first);
    let mut lines: Vec<String> = Vec::new();
    let end = document
        .items
        .iter()
        .rev()
        .find(|item| matches!(item.event, Event::DocumentEnd))
        .filter(|item| !item.range.is_empty())
        .map_or(text.len(), |item| item.range.start);
    for (index, line) in text[line_start(text, first)..end]
        .trim_end()
        .split('\n')
        .enumerate()
    {
        let indentation = line.len() - line.trim_start_matches(' ').len();
        lines.push(if index == 0 {
            line[first - line_start(text, first)..].to_owned()
        } else {
            line[indentation.min(border)..].to_owned()
        });
    }
    lines
}

/// Writes the next value on one line.
fn write(
    text: &str,
    items: &[&Item<'_>],
    position: &mut usize,
    line: &mut String,
    meaning: &mut Vec<Meaning>,
) {
    let Some(item) = items.get(*position) else {
        return;
    };
    *position += 1;
    for property in [&item.anchor, &item.tag].into_iter().flatten() {
        line.push_str(&text[property.clone()]);
        line.push(' ');
    }
    let own = item.meaning();
    match &item.event {
        Event::Scalar(value, style, _, tag) => {
            if item.is_empty_scalar() {
                if tag.is_none() {
                    line.push_str("null");
                }
                meaning.extend(own.map(|own| with_value(own, if tag.is_none() { "null" } else { "" }, true)));
                return;
            }
            let (written, plain) = scalar::line(value, *style, true);
            line.push_str(&written);
            meaning.extend(own.map(|own| with_value(own, value, plain)));
        }
        Event::SequenceStart(..) => {
            meaning.extend(own);
            line.push('[');
            let mut separator = "";
            while items
                .get(*position)
                .is_some_and(|item| !matches!(item.event, Event::SequenceEnd))
            {
                line.push_str(separator);
                write(text, items, position, line, meaning);
                separator = ", ";
            }
            *position += 1;
            meaning.push(Meaning::End);
            line.push(']');
        }
        Event::MappingStart(..) => {
            meaning.extend(own);
            line.push('{');
            let mut separator = "";
            while items
                .get(*position)
                .is_some_and(|item| !matches!(item.event, Event::MappingEnd))
            {
                line.push_str(separator);
                // Long keys, and those that are no scalars, need the question mark; it never hurts.
                let simple = matches!(&items[*position].event, Event::Scalar(value, style, ..)
                    if value.len() < 200 && !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded));
                if !simple {
                    line.push_str("? ");
                }
                write(text, items, position, line, meaning);
                line.push_str(if simple { ": " } else { " : " });
                write(text, items, position, line, meaning);
                separator = ", ";
            }
            *position += 1;
            meaning.push(Meaning::End);
            line.push('}');
        }
        Event::Alias(_) | Event::UnresolvedAlias(_) => {
            meaning.extend(own);
            line.push_str(&text[item.range.clone()]);
            line.push(' ');
        }
        _ => {}
    }
}

fn with_value(meaning: Meaning, value: &str, plain: bool) -> Meaning {
    match meaning {
        Meaning::Scalar { tag, anchor, .. } => Meaning::Scalar {
            value: value.to_owned(),
            plain,
            tag,
            anchor,
        },
        other => other,
    }
}
