//! Logs as the recordings hold them, and XML compared as the rules of transforms say: elements and
//! attributes in their order, text, comments; white space between elements and the bytes aside.

use calamari::transformation::Level;
use calamari::xml::name::declared_prefix;
use calamari::xml::{Document, Kind, NodeId, encoding};
use serde_json::Value;

use crate::difference;

/// A line of a log, by its level (`verbose`, `info`, `warn`, `error`) and text.
pub type Line = (String, String);

/// The lines of a recorded log.
pub fn lines(log: &Value) -> Vec<Line> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    log.as_array()
        .into_iter()
        .flatten()
        .map(|line| (text(&line[0]), text(&line[1])))
        .collect()
}

/// The level as recordings name it.
pub fn level(level: Level) -> String {
    match level {
        Level::Verbose => "verbose",
        Level::Information => "info",
        Level::Warning => "warn",
        Level::Error => "error",
    }
    .to_owned()
}

/// Compares two files that hold XML.
///
/// # Errors
/// When one is no XML, or at the first part that differs.
pub fn same_xml(what: &str, ours: &[u8], recorded: &[u8]) -> Result<(), String> {
    let ours = parts(ours).map_err(|why| format!("{what}: {why}"))?;
    let recorded = parts(recorded).map_err(|why| format!("{what} as recorded: {why}"))?;
    for (index, (own, other)) in ours.iter().zip(&recorded).enumerate() {
        difference::same(&format!("{what}, part {}", index + 1), own, other)?;
    }
    difference::same(&format!("number of parts of {what}"), ours.len(), recorded.len())
}

/// The parts of a document, each as a text.
fn parts(bytes: &[u8]) -> Result<Vec<String>, String> {
    let document = Document::parse(&encoding::decode(bytes).text).map_err(|why| why.to_string())?;
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut open = vec![(document.root(), false)];
    while let Some((node, ends)) = open.pop() {
        match document.kind(node) {
            Kind::Text { value, .. } => {
                text.push_str(value);
                continue;
            }
            Kind::CData(content) => {
                text.push_str(content);
                continue;
            }
            _ => {}
        }
        if !text.trim().is_empty() {
            parts.push(format!("text {}", text.trim()));
        }
        text.clear();
        match document.kind(node) {
            Kind::Element(_) if ends => parts.push("end".to_owned()),
            Kind::Element(_) => {
                parts.push(tag(&document, node));
                open.push((node, true));
            }
            Kind::Comment(content) => parts.push(format!("comment {}", content.replace("\r\n", "\n"))),
            Kind::Instruction { target, data } => parts.push(format!("instruction {target} {}", data.trim())),
            _ => {}
        }
        if !ends {
            open.extend(document.children(node).iter().rev().map(|child| (*child, false)));
        }
    }
    Ok(parts)
}

/// Namespace and name of an element and its attributes; declarations of namespaces show in those alone.
fn tag(document: &Document, node: NodeId) -> String {
    let Some(element) = document.element(node) else {
        return String::new();
    };
    let mut shown = format!("element {{{}}}{}", document.namespace(node), element.local());
    for attribute in element.attributes() {
        if declared_prefix(&attribute.name).is_none() {
            let namespace = document.attribute_namespace(node, &attribute.name);
            let local = attribute.name.rsplit(':').next().unwrap_or_default();
            shown.push_str(&format!(" {{{namespace}}}{local}={:?}", attribute.value));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_attributes_counts_and_blanks_between_elements_do_not() {
        let left = b"\xEF\xBB\xBF<?xml version='1.0'?><a x='1' y='&#50;'>\n <b/><!--c--></a>";
        assert_eq!(
            same_xml("it", left, b"<a x=\"1\" y='2'><b></b><!--c--></a>"),
            Ok(())
        );
        assert_eq!(same_xml("it", b"<p:a xmlns:p='u'/>", b"<a xmlns='u'/>"), Ok(()));
        for other in [
            "<a y='2' x='1'><b/><!--c--></a>",
            "<a x='1' y='2'>t<b/><!--c--></a>",
            "<a x='1' y='2'><b/><!-- c--></a>",
        ] {
            assert!(same_xml("it", left, other.as_bytes()).is_err(), "{other}");
        }
    }
}
