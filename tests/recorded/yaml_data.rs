//! YAML texts as data: styles, comments, anchors and the spelling of null aside.

use granit_parser::{Event, Parser, ScalarStyle};

use crate::difference::same;

/// What an event says.
#[derive(Debug, PartialEq)]
enum Data {
    Document,
    Sequence(Option<String>),
    Mapping(Option<String>),
    End,
    /// The type of a plain scalar follows from its text.
    Plain(String),
    Text(String, Option<String>),
    Null,
    Alias(String),
}

/// Compares two texts. A value that is left out is null for us and an empty text in the original's own spelling (`''`), which
/// is how it writes such values again; the two count as the same.
///
/// # Errors
/// When they say different things, or one is no YAML.
pub fn same_data(ours: &str, recorded: &str) -> Result<(), String> {
    let (ours, mut recorded) = (data(ours)?, data(recorded)?);
    for (our, theirs) in ours.iter().zip(&mut recorded) {
        if *our == Data::Null && *theirs == Data::Text(String::new(), None) {
            *theirs = Data::Null;
        }
    }
    same("YAML", ours, recorded)
}

fn data(text: &str) -> Result<Vec<Data>, String> {
    // Characters that the original lets pass.
    let text: String = text
        .chars()
        .map(|c| {
            if c.is_control() && !matches!(c, '\t' | '\n' | '\r') {
                'x'
            } else {
                c
            }
        })
        .collect();
    let options = granit_parser::options! { emit_unresolved_aliases: true };
    let mut data = Vec::new();
    for next in Parser::new_from_str_with_options(&text, options) {
        let (event, span) = next.map_err(|why| format!("not YAML: {why}"))?;
        let tag = event.tag().map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
        data.push(match &event {
            Event::DocumentStart(..) => Data::Document,
            Event::SequenceStart(..) => Data::Sequence(tag),
            Event::MappingStart(..) => Data::Mapping(tag),
            Event::SequenceEnd | Event::MappingEnd => Data::End,
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                Data::Alias(span.slice(&text).unwrap_or_default().to_owned())
            }
            Event::Scalar(value, ScalarStyle::Plain, ..) if tag.is_none() => match value.as_ref() {
                "" | "~" | "null" | "Null" | "NULL" => Data::Null,
                value if is_text(value) => Data::Text(value.to_owned(), None),
                value => Data::Plain(value.to_owned()),
            },
            Event::Scalar(value, ..) => Data::Text(value.clone().into_owned(), tag),
            _ => continue,
        });
    }
    Ok(data)
}

/// Whether a plain value can only be a text: it is no flag and does not begin like a number.
fn is_text(value: &str) -> bool {
    let flag = ["true", "false", "yes", "no", "on", "off"].contains(&value.to_ascii_lowercase().as_str());
    !flag && !value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
}
