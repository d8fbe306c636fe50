//! Settings of .NET programs in `*.config` files, set by variables of the same names (16).

use crate::failure::Failure;
use crate::variables::Variables;
use crate::xml::{Document, Kind, NodeId, check_characters, encoding};
use octostache::EvaluationError;
use std::collections::HashMap;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The new bytes; none when they are the old ones.
    pub bytes: Option<Vec<u8>>,
    /// The variables that were set, as often as they were, in their order.
    pub used: Vec<String>,
}

/// A place that a variable names.
enum Place {
    /// An attribute of this name, which may not be there yet.
    Attribute(NodeId, &'static str),
    /// The text of the child `value`, which may not be there yet.
    Value(NodeId),
}

/// Sets `appSettings`, `connectionStrings` and `applicationSettings`. `name` is what messages call the file.
///
/// # Errors
/// The file is no XML, a value cannot stand in it, or a definition is circular.
pub fn replace(name: &str, bytes: &[u8], variables: &Variables) -> Result<Replaced, Failure> {
    let stored = encoding::decode(bytes);
    let mut document = Document::parse(&stored.text)
        .map_err(|error| Failure::expected(format!("The XML file {name} cannot be read: {error}")))?;
    let mut places = places(&document);
    let mut used = Vec::new();
    for (variable, _) in variables.collection().iter() {
        let Some(places) = places.remove(&octostache::fold(variable)) else {
            continue;
        };
        let value = variables.text(variable)?;
        check_characters(&value).map_err(|error| {
            Failure::expected(format!(
                "The value of the variable '{variable}' cannot be put into {name}: {error}"
            ))
        })?;
        for place in places {
            set(&mut document, &place, &value);
            used.push(variable.to_owned());
        }
    }
    let bytes = if document.print() == stored.text {
        None
    } else {
        let bytes = encoding::encode(&document, stored.storage)
            .map_err(|error| Failure::expected(format!("The file {name} cannot be written: {error}")))?;
        Some(bytes)
    };
    Ok(Replaced { bytes, used })
}

/// The line that tells of a setting; the value of a sensitive variable is not in it.
///
/// # Errors
/// A circular definition.
pub fn line(variables: &Variables, variable: &str) -> Result<String, EvaluationError> {
    let value = if variables.is_sensitive(variable) {
        "********".to_owned()
    } else {
        variables.text(variable)?
    };
    Ok(format!("Setting '{variable}' = '{value}'"))
}

/// All places by the folded names of their variables.
fn places(document: &Document) -> HashMap<String, Vec<Place>> {
    let mut places: HashMap<String, Vec<Place>> = HashMap::new();
    let mut add = |name: Option<&str>, place| {
        if let Some(name) = name {
            places.entry(octostache::fold(name)).or_default().push(place);
        }
    };
    for node in document.descendants(document.root()) {
        let Some(tag) = document.element(node) else {
            continue;
        };
        let below = |section: &str| {
            let parent = document.parent(node).and_then(|parent| document.element(parent));
            parent.is_some_and(|parent| parent.local() == section)
        };
        match tag.local() {
            "add" => {
                if below("appSettings") {
                    add(tag.attribute("key"), Place::Attribute(node, "value"));
                }
                if below("connectionStrings") {
                    add(tag.attribute("name"), Place::Attribute(node, "connectionString"));
                }
            }
            "setting" if is_within(document, node, "applicationSettings") => {
                add(tag.attribute("name"), Place::Value(node));
            }
            _ => {}
        }
    }
    places
}

fn is_within(document: &Document, node: NodeId, section: &str) -> bool {
    let mut place = document.parent(node);
    while let Some(above) = place {
        if document.element(above).is_some_and(|tag| tag.local() == section) {
            return true;
        }
        place = document.parent(above);
    }
    false
}

fn set(document: &mut Document, place: &Place, value: &str) {
    match *place {
        Place::Attribute(node, name) => {
            let attributes = document.element(node).map_or(&[][..], |tag| tag.attributes());
            match attributes.iter().position(|attribute| attribute.name == name) {
                Some(index) => document.set_attribute(node, index, value),
                None => document.add_attribute(node, name, value),
            }
        }
        Place::Value(setting) => {
            let known = document
                .child_elements(setting)
                .find(|child| document.element(*child).is_some_and(|tag| tag.local() == "value"));
            match known {
                Some(element) if holds(document, element, value) => {}
                Some(element) => document.set_content(element, value),
                None => {
                    // In the namespace of its parent.
                    let prefix = document.element(setting).map_or("", |tag| tag.prefix());
                    let name = if prefix.is_empty() {
                        "value".to_owned()
                    } else {
                        format!("{prefix}:value")
                    };
                    let element = document.new_element(&name);
                    document.set_content(element, value);
                    document.append_on_line(setting, element);
                }
            }
        }
    }
}

/// Whether the element has exactly this text already.
fn holds(document: &Document, element: NodeId, value: &str) -> bool {
    match document.children(element) {
        [only] => matches!(document.kind(*only), Kind::Text { value: old, .. } if old == value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in pairs {
            variables.set(name, value);
        }
        variables
    }

    #[test]
    fn only_the_settings_change() {
        let file = "\u{feff}<?xml version='1.0'?>\r\n<configuration>\r\n  <appSettings>\r\n    <add  key='A'  value='1' /><!-- c -->\r\n\
            \t<add key=\"B\"/>\r\n  </appSettings>\r\n  <applicationSettings><s>\r\n      <setting name='C' />\r\n  </s></applicationSettings>\r\n\
            </configuration>";
        let values = variables(&[("a", "it's <1>"), ("b", "2"), ("C", "3"), ("D", "4")]);
        let replaced = replace("web.config", file.as_bytes(), &values).unwrap();
        assert_eq!(replaced.used, ["a", "b", "C"]);
        let expected = file
            .replace("value='1'", "value='it&apos;s &lt;1&gt;'")
            .replace("key=\"B\"/>", "key=\"B\" value=\"2\"/>")
            .replace(
                "<setting name='C' />",
                "<setting name='C'>\r\n        <value>3</value>\r\n      </setting>",
            );
        assert_eq!(String::from_utf8(replaced.bytes.unwrap()).unwrap(), expected);
        let same = replace("web.config", expected.as_bytes(), &values).unwrap();
        assert_eq!((same.bytes, same.used.len()), (None, 3));
    }

    #[test]
    fn e16_an_external_entity_is_refused() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        let file = format!(
            "<!DOCTYPE c [<!ENTITY e SYSTEM 'file://{}'>]><c><appSettings><add key='A' value='1'/></appSettings>&e;</c>",
            secret.path().display()
        );
        let failure = replace("web.config", file.as_bytes(), &variables(&[("A", "2")])).unwrap_err();
        assert!(
            failure.message.contains("web.config") && failure.message.contains("external"),
            "{failure}"
        );
    }

    #[test]
    fn e17_an_entity_bomb_is_refused() {
        let mut file = "<!DOCTYPE c [<!ENTITY l0 'lol'>".to_owned();
        for level in 1..12 {
            let previous = format!("&l{};", level - 1).repeat(10);
            file += &format!("<!ENTITY l{level} '{previous}'>");
        }
        file += "]><c><appSettings><add key='A' value='&l11;'/></appSettings></c>";
        let failure = replace("web.config", file.as_bytes(), &variables(&[("A", "2")])).unwrap_err();
        assert!(failure.message.contains("expand"), "{failure}");
    }
}
