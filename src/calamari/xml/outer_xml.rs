//! An element as a text of its own: plain tags, one blank between attributes, all the namespaces it needs.

use super::document::{Document, Element, Kind, NodeId};
use super::entity::escape_attribute;
use super::name::{declared_prefix, split};
use std::collections::BTreeSet;

impl Document {
    /// The element as it could stand in another document.
    pub fn outer_xml(&self, element: NodeId) -> String {
        let mut text = String::new();
        let mut open = vec![(element, false)];
        while let Some((node, ends)) = open.pop() {
            match self.kind(node) {
                Kind::Element(tag) if ends => {
                    text.push_str("</");
                    text.push_str(&tag.name);
                    text.push('>');
                    continue;
                }
                Kind::Element(tag) => {
                    text.push('<');
                    text.push_str(&tag.name);
                    for attribute in tag.attributes() {
                        push_attribute(&attribute.name, &attribute.value, &mut text);
                    }
                    if node == element {
                        for (prefix, address) in self.missing_declarations(element) {
                            let name = declaration(&prefix);
                            push_attribute(&name, &address, &mut text);
                        }
                    }
                    if tag.closes_itself() {
                        text.push_str(" />");
                    } else {
                        text.push('>');
                        open.push((node, true));
                    }
                }
                Kind::Text { raw, .. } => text.push_str(raw),
                Kind::CData(content) => text.extend(["<![CDATA[", content, "]]>"]),
                Kind::Comment(content) => text.extend(["<!--", content, "-->"]),
                Kind::Instruction { target, data } => text.extend(["<?", target, data, "?>"]),
                Kind::Root | Kind::Declaration(_) | Kind::Doctype(_) => {}
            }
            open.extend(self.children(node).iter().rev().map(|child| (*child, false)));
        }
        text
    }

    /// Prefixes with addresses that the element or what is below it uses, declared only above it.
    pub fn missing_declarations(&self, element: NodeId) -> Vec<(String, String)> {
        let Some(parent) = self.parent(element) else {
            return Vec::new();
        };
        let mut missing = Vec::new();
        for prefix in self.outer_prefixes(element) {
            match self.namespace_of_prefix(parent, &prefix) {
                Some(address) if !address.is_empty() && prefix != "xml" => {
                    missing.push((prefix, address.to_owned()));
                }
                _ => {}
            }
        }
        missing
    }

    /// The prefixes (empty for none) that the element and those below it use without declaring them on the way.
    pub fn outer_prefixes(&self, element: NodeId) -> BTreeSet<String> {
        let mut prefixes = BTreeSet::new();
        for node in self.descendants(element) {
            let Some(tag) = self.element(node) else { continue };
            for prefix in used_prefixes(tag) {
                if !self.is_declared_within(element, node, prefix) {
                    prefixes.insert(prefix.to_owned());
                }
            }
        }
        prefixes
    }

    fn is_declared_within(&self, top: NodeId, node: NodeId, prefix: &str) -> bool {
        let mut place = node;
        loop {
            let declares = self.element(place).is_some_and(|tag| {
                tag.attributes()
                    .iter()
                    .any(|attribute| declared_prefix(&attribute.name) == Some(prefix))
            });
            if declares {
                return true;
            }
            match self.parent(place) {
                Some(parent) if place != top => place = parent,
                _ => return false,
            }
        }
    }
}

/// The name of the attribute that declares a prefix.
pub fn declaration(prefix: &str) -> String {
    if prefix.is_empty() {
        "xmlns".to_owned()
    } else {
        format!("xmlns:{prefix}")
    }
}

fn used_prefixes(tag: &Element) -> impl Iterator<Item = &str> {
    let attributes = tag
        .attributes()
        .iter()
        .filter(|attribute| attribute.name.contains(':') && declared_prefix(&attribute.name).is_none())
        .map(|attribute| split(&attribute.name).0);
    std::iter::once(tag.prefix()).chain(attributes)
}

fn push_attribute(name: &str, value: &str, text: &mut String) {
    text.push(' ');
    text.push_str(name);
    text.push_str("=\"");
    text.push_str(&escape_attribute(value, '"'));
    text.push('"');
}
