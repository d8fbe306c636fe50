//! Variables whose names are XPath expressions, put into XML (14.3).

use super::{Note, ReplaceError, Replaced};
use crate::failure::Failure;
use crate::xml::document::{Document, Kind, NodeId};
use crate::xml::name::declared_prefix;
use crate::xml::xpath::{Dialect, Place, Prefixes, XPath};
use crate::xml::{ParseError, check_characters};
use octostache::VariableCollection;

impl From<ParseError> for ReplaceError {
    fn from(error: ParseError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Sets what the names select: texts, attributes, comments, CDATA sections, instructions, the content of elements.
///
/// # Errors
/// The text is no XML, a name yields no nodes but a value, or a value cannot stand in XML.
pub fn replace(text: &str, variables: &VariableCollection) -> Result<Replaced, ReplaceError> {
    let mut document = Document::parse(text)?;
    let mut notes = Vec::new();
    let prefixes = prefixes(&document, &mut notes);
    for (name, _) in variables.iter() {
        if !name.contains(['/', ':']) {
            continue;
        }
        // What is no expression is the name of something else.
        let Ok(path) = XPath::parse(name, &prefixes, Dialect::Two) else {
            continue;
        };
        let places = path.select(&document, document.root(), false).map_err(|error| {
            Failure::expected(format!("The variable '{name}' cannot be put into XML: {error}"))
        })?;
        if places.is_empty() {
            continue;
        }
        let value = variables.get(name)?.unwrap_or_default();
        check_characters(&value).map_err(|error| {
            Failure::expected(format!(
                "The value of the variable '{name}' cannot be put into XML: {error}"
            ))
        })?;
        for place in places {
            notes.push(Note::Used(name.to_owned()));
            notes.extend(set(&mut document, place, name, &value).map(Note::Warning));
        }
    }
    let printed = document.print();
    Ok(Replaced {
        text: (printed != text).then_some(printed),
        notes,
    })
}

/// Sets one place; answers with a warning when it cannot be.
fn set(document: &mut Document, place: Place, name: &str, value: &str) -> Option<String> {
    let node = match place {
        Place::Attribute(element, index) => {
            document.set_attribute(element, index, value);
            return None;
        }
        Place::Node(node) => node,
    };
    match document.kind(node) {
        Kind::Element(_) => set_element(document, node, name, value),
        Kind::Root | Kind::Declaration(_) | Kind::Doctype(_) => Some(format!(
            "The XPath '{name}' selects the document itself, which has no value. Skipping it."
        )),
        _ => {
            document.set_value(node, value);
            None
        }
    }
}

fn set_element(document: &mut Document, element: NodeId, name: &str, value: &str) -> Option<String> {
    let content: Vec<NodeId> = document
        .children(element)
        .iter()
        .copied()
        .filter(|child| !document.is_blank_text(*child))
        .collect();
    let only = match content.as_slice() {
        [only] => Some((*only, document.kind(*only))),
        _ => None,
    };
    match only {
        Some((section, Kind::CData(_))) => document.set_value(section, value),
        Some((_, Kind::Text { value: old, .. })) if old == value => {}
        _ if document.child_elements(element).next().is_some() => {
            if let Err(error) = document.set_inner_xml(element, value) {
                // The reason may quote the value.
                return Some(format!(
                    "Could not set the content of the XML element at XPath '{name}': the value is no valid XML \
                     fragment ({}). Skipping replacement of this element.",
                    error.position
                ));
            }
        }
        _ => document.set_content(element, value),
    }
    None
}

/// All prefixes that the document declares, wherever it does.
fn prefixes(document: &Document, notes: &mut Vec<Note>) -> Prefixes {
    let mut prefixes = Prefixes::new();
    for node in document.descendants(document.root()) {
        let Some(element) = document.element(node) else {
            continue;
        };
        for attribute in element.attributes() {
            let Some(prefix) = declared_prefix(&attribute.name).filter(|prefix| !prefix.is_empty()) else {
                continue;
            };
            match prefixes.get(prefix) {
                None => {
                    prefixes.insert(prefix.to_owned(), attribute.value.clone());
                }
                Some(first) if *first != attribute.value => {
                    let warning = format!(
                        "The prefix '{prefix}' stands for '{first}' and, at {}, for '{}' in this document. In XPath \
                         expressions it means the first; write *[local-name()='...'] for elements of the second.",
                        attribute.position, attribute.value
                    );
                    notes.push(Note::Warning(warning));
                }
                Some(_) => {}
            }
        }
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variables(pairs: &[(&str, Option<&str>)]) -> VariableCollection {
        let mut variables = VariableCollection::new();
        for (name, value) in pairs {
            variables.set(name, *value);
        }
        variables
    }

    fn replaced(text: &str, pairs: &[(&str, Option<&str>)]) -> String {
        let replaced = replace(text, &variables(pairs)).unwrap();
        replaced.text.unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn only_what_is_named_changes() {
        let text = "<?xml version='1.0'?>\r\n<r  a = '1'\r\n   b=\"&#233;\"><x   /><y></y>\r\n\t<z>old</z><!-- c --></r>\r\n";
        assert_eq!(
            replaced(text, &[("/r/z", Some("new")), ("//@a", Some("<'>"))]),
            text.replace("old", "new")
                .replace("'1'\r\n", "'&lt;&apos;&gt;'\r\n")
        );
        assert_eq!(
            replace(text, &variables(&[("/r/none", Some("x"))])).unwrap(),
            Replaced::default()
        );
    }

    #[test]
    fn each_kind_of_node_gets_what_it_can_hold() {
        let text = "<r><t>1</t><c><![CDATA[a]]></c><!--b--><?p d?><e/><i><k/></i></r>";
        for (name, value, expected) in [
            ("/r/t", "a\nb<", "<t>a\nb&lt;</t>"),
            ("/r/t/text()", "2", "<t>2</t>"),
            ("/r/c", "x]]>y", "<c><![CDATA[x]]]]><![CDATA[>y]]></c>"),
            ("/r/comment()", "x--y-", "<!--x- -y- -->"),
            ("//processing-instruction('p')", "a?>b", "<?p a? >b?>"),
            ("/r/e", "", "<e></e>"),
            ("/r/i", "<k>1</k> z", "<i><k>1</k> z</i>"),
            ("/r/i", "<k>", "<i><k/></i>"),
            ("/r/i", "</i><i>", "<i><k/></i>"),
            ("/r/i", "<p:k/>", "<i><k/></i>"),
        ] {
            let changed = replaced(text, &[(name, Some(value))]);
            assert!(changed.contains(expected), "{name} = {value}: {changed}");
        }
    }

    #[test]
    fn names_that_are_no_paths_are_passed_over_and_those_without_nodes_fail() {
        let text = "<r><a/></r>";
        for name in [
            "http://somewhere/a b",
            "a:b",
            "//q:a",
            "C:/x y",
            "r",
            "/r[",
            "/r/foo()",
            "1 to 2",
        ] {
            let outcome = replace(text, &variables(&[(name, Some("x"))]));
            assert_eq!(outcome, Ok(Replaced::default()), "{name}");
        }
        for name in ["count(//a)", "//a[. = $v]", "//a = 1", "//a[matches(., '[')]"] {
            let outcome = replace(text, &variables(&[(name, Some("x"))]));
            let Err(ReplaceError::Failed(failure)) = outcome else {
                panic!("{name}: {outcome:?}")
            };
            assert!(failure.message.contains(name), "{failure}");
        }
    }

    #[test]
    fn bombs_and_strangers_are_refused() {
        let mut bomb = "<!DOCTYPE r [<!ENTITY l0 \"lol\">".to_owned();
        for level in 1..10 {
            let previous = format!("&l{};", level - 1).repeat(10);
            bomb += &format!("<!ENTITY l{level} \"{previous}\">");
        }
        bomb += "]><r>&l9;</r>";
        let empty_bomb = bomb.replace("\"lol\"", "\"\"");
        let stranger = "<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><r>&e;</r>";
        let circle = "<!DOCTYPE r [<!ENTITY a \"&b;\"><!ENTITY b \"&a;\">]><r>&a;</r>";
        for text in [
            &bomb,
            &empty_bomb,
            stranger,
            circle,
            "<r>&nbsp;</r>",
            "<?xml version='1.1'?><r/>",
        ] {
            let outcome = replace(text, &variables(&[("//r", Some("x"))]));
            assert!(matches!(outcome, Err(ReplaceError::Unreadable(_))), "{outcome:?}");
        }
        let kept = "<!DOCTYPE r SYSTEM 'no.dtd' [<!ENTITY e 'x'>]><r><a>&e;</a><b/></r>";
        assert!(replaced(kept, &[("//a[. = 'x']/../b", Some("1"))]).contains("<a>&e;</a><b>1</b>"));
    }

    proptest! {
        #[test]
        fn any_value_can_be_read_back(value in "[ -~\\n\\t\u{E9}]{0,40}") {
            // A template would not come back as it was.
            let value = value.replace("#{", "");
            let changed = replaced("<r a=''><b/></r>", &[("/r/@a", Some(&value)), ("/r/b", Some(&value))]);
            let document = Document::parse(&changed).unwrap();
            let root = document.document_element().unwrap();
            prop_assert_eq!(document.element(root).unwrap().attribute("a"), Some(value.as_str()));
        }

        #[test]
        fn any_name_is_tried_without_panic(name in "[/@.*a-c:()\\[\\]'=|<> 0-9$-]{0,30}") {
            let _ = replace("<a b='1'><b>x</b><c/><!--c--></a>", &variables(&[(&name, Some("x"))]));
        }
    }
}
