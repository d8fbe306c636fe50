//! XML documents as data: elements, attributes, text, comments; not their bytes.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// A part of a document, in the order of the text. White space alone is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The start of an element; attributes by name.
    Start(String, Vec<(String, String)>),
    /// The end of an element.
    End(String),
    /// Text, also that of CDATA, without white space around it.
    Text(String),
    /// A comment.
    Comment(String),
    /// A processing instruction or document type.
    Instruction(String),
}

/// Reads a document; a byte order mark and the declaration are passed over.
///
/// # Errors
/// When the text is not well-formed.
pub fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut parts = Vec::new();
    let mut pending = String::new();
    loop {
        let event = reader.read_event().map_err(|why| format!("not XML: {why}"))?;
        match &event {
            Event::Text(text) => {
                pending.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                continue;
            }
            Event::CData(text) => {
                pending.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                continue;
            }
            Event::GeneralRef(reference) => {
                match reference
                    .resolve_char_ref()
                    .map_err(|why| format!("not XML: {why}"))?
                {
                    Some(character) => pending.push(character),
                    None => {
                        let name = reference.xml_content(XmlVersion::Implicit1_0);
                        match resolve_predefined_entity(&name) {
                            Some(value) => pending.push_str(value),
                            None => pending.push_str(&format!("&{name};")),
                        }
                    }
                }
                continue;
            }
            _ => {}
        }
        let text = std::mem::take(&mut pending);
        if !text.trim().is_empty() {
            parts.push(Part::Text(text.trim().to_owned()));
        }
        match event {
            Event::Start(start) => parts.push(start_of(&start)?),
            Event::Empty(start) => {
                parts.push(start_of(&start)?);
                parts.push(Part::End(start.name().into_inner().to_owned()));
            }
            Event::End(end) => parts.push(Part::End(end.name().into_inner().to_owned())),
            Event::Comment(comment) => {
                parts.push(Part::Comment(
                    comment.xml_content(XmlVersion::Implicit1_0).into_owned(),
                ));
            }
            Event::PI(instruction) => parts.push(Part::Instruction(instruction.to_string())),
            Event::DocType(kind) => parts.push(Part::Instruction(kind.to_string())),
            Event::Decl(_) | Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {}
            Event::Eof => return Ok(parts),
        }
    }
}

/// Compares two documents; `fits` says whether a recorded text and ours are the same.
///
/// # Errors
/// When a document is not well-formed, or at the first part that differs.
pub fn same_xml(
    what: &str,
    ours: &str,
    recorded: &str,
    fits: &dyn Fn(&str, &str) -> bool,
) -> Result<(), String> {
    let theirs = parts(recorded).map_err(|why| format!("{what} as recorded: {why}"))?;
    let ours = parts(ours).map_err(|why| format!("{what}: {why}"))?;
    for (index, (own, other)) in ours.iter().zip(&theirs).enumerate() {
        if !part_fits(own, other, fits) {
            return Err(format!(
                "{what}, part {}: ours {own:?}, recorded {other:?}",
                index + 1
            ));
        }
    }
    crate::difference::same(&format!("number of parts of {what}"), ours.len(), theirs.len())
}

fn part_fits(own: &Part, other: &Part, fits: &dyn Fn(&str, &str) -> bool) -> bool {
    match (own, other) {
        (Part::Start(own, attributes), Part::Start(name, others)) => {
            own == name
                && attributes.len() == others.len()
                && attributes
                    .iter()
                    .zip(others)
                    .all(|((name, value), (other, recorded))| name == other && fits(recorded, value))
        }
        (Part::Text(own), Part::Text(other))
        | (Part::Comment(own), Part::Comment(other))
        | (Part::Instruction(own), Part::Instruction(other)) => fits(other, own),
        _ => own == other,
    }
}

fn start_of(start: &BytesStart<'_>) -> Result<Part, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|why| format!("not XML: {why}"))?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|why| format!("not XML: {why}"))?;
        attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
    }
    attributes.sort();
    Ok(Part::Start(start.name().into_inner().to_owned(), attributes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> Result<(), String> {
        same_xml("it", left, right, &|left, right| left == right)
    }

    #[test]
    fn white_space_quotes_and_the_order_of_attributes_do_not_count() {
        let left = "\u{feff}<?xml version='1.0'?>\n<a>\n  <b x='1' y=\"&lt;\"/>\n  t&amp;u\n</a>";
        assert_eq!(same(left, "<a><b y='&#60;' x='1'></b>t&amp;u</a>"), Ok(()));
    }

    #[test]
    fn what_differs_is_named() {
        assert!(same("<a><b/></a>", "<a><c/></a>").unwrap_err().contains("part 2"));
        assert!(same("<a x='1'/>", "<a/>").is_err());
        assert!(same("<a/>", "<a/><!--c-->").is_err());
        assert!(same("<a>", "<a/>").is_err());
    }
}
