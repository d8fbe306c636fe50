//! Where the instructions of an element apply: paths that are put together from the outside in.

use super::NAMESPACE;
use super::instruction::Instruction;
use crate::xml::xpath::Prefixes;
use crate::xml::{Attribute, Document, NodeId};

/// The prefix that the default namespace of a transform has inside expressions.
const DEFAULT_PREFIX: &str = "_defaultNamespace";

/// The path of an element, and that of where it is inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paths {
    pub(super) own: String,
    pub(super) parent: String,
}

/// The attribute of this local name in the namespace of transforms.
pub(super) fn instruction_attribute<'a>(
    transform: &'a Document,
    element: NodeId,
    local: &str,
) -> Option<&'a Attribute> {
    transform.element(element)?.attributes().iter().find(|attribute| {
        crate::xml::name::split(&attribute.name).1 == local
            && transform.attribute_namespace(element, &attribute.name) == NAMESPACE
    })
}

/// The prefixes that expressions on this element may use.
pub(super) fn prefixes(transform: &Document, element: NodeId) -> Prefixes {
    let scope = transform.namespaces_in_scope(element).into_iter();
    scope
        .map(|(prefix, address)| {
            let prefix = if prefix.is_empty() {
                DEFAULT_PREFIX.to_owned()
            } else {
                prefix
            };
            (prefix, address)
        })
        .collect()
}

/// The paths of an element below the path of its parent.
///
/// # Errors
/// A locator that is unknown, or has the wrong arguments.
pub(super) fn paths(transform: &Document, element: NodeId, above: &str) -> Result<Paths, String> {
    let step = step_name(transform, element);
    let plain = append(above, &step);
    let Some(locator) = instruction_attribute(transform, element, "Locator") else {
        return Ok(Paths {
            own: plain,
            parent: above.to_owned(),
        });
    };
    let locator = Instruction::read(&locator.value)?;
    let only = || match locator.arguments.as_slice() {
        [only] => Ok(only.as_str()),
        given => Err(format!(
            "{} requires exactly 1 arguments, not {}",
            locator.name,
            given.len()
        )),
    };
    match locator.name.as_str() {
        "Condition" => {
            let condition = only()?;
            let open = if condition.starts_with('[') { "" } else { "[" };
            let close = if condition.ends_with(']') && open.is_empty() {
                ""
            } else {
                "]"
            };
            Ok(Paths {
                own: format!("{plain}{open}{condition}{close}"),
                parent: above.to_owned(),
            })
        }
        "Match" => Ok(Paths {
            own: format!("{plain}[{}]", matching(transform, element, &locator.arguments)?),
            parent: above.to_owned(),
        }),
        "XPath" => {
            let given = only()?;
            let path = if given.starts_with('/') {
                given.to_owned()
            } else {
                append(&plain, given).replace("/./", "/")
            };
            Ok(Paths {
                own: path.clone(),
                parent: path,
            })
        }
        name => Err(format!(
            "Could not resolve '{name}' as a type of Locator; use one of Condition, Match, XPath"
        )),
    }
}

fn append(path: &str, step: &str) -> String {
    let slash = if path.ends_with('/') { "" } else { "/" };
    format!("{path}{slash}{step}")
}

fn step_name(transform: &Document, element: NodeId) -> String {
    let name = transform.element(element).map_or("", |tag| tag.name.as_str());
    if name.contains(':') || transform.namespace(element).is_empty() {
        name.to_owned()
    } else {
        format!("{DEFAULT_PREFIX}:{name}")
    }
}

fn matching(transform: &Document, element: NodeId, names: &[String]) -> Result<String, String> {
    if names.is_empty() {
        return Err("Match requires at least 1 arguments".to_owned());
    }
    let mut conditions = Vec::with_capacity(names.len());
    for name in names {
        let value = transform.element(element).and_then(|tag| tag.attribute(name));
        let Some(value) = value else {
            return Err(format!("No attribute '{name}' exists for the Match Locator"));
        };
        let quote = match (value.contains('\''), value.contains('"')) {
            (false, _) => '\'',
            (true, false) => '"',
            (true, true) => {
                return Err(format!(
                    "The value of the attribute '{name}' holds both kinds of quotes, which a Match Locator cannot look \
                     for; use a Condition"
                ));
            }
        };
        conditions.push(format!("@{name}={quote}{value}{quote}"));
    }
    Ok(conditions.join(" and "))
}
