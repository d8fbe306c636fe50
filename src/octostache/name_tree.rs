//! All names of a collection as a tree of named and indexed children ("Variable templates" 1).

use crate::character::Name;
use crate::template::{Step, Template};
use crate::text;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The tree that paths are walked in.
#[derive(Debug, Clone, Default)]
pub struct NameTree {
    root: Node,
}

/// A place in the tree.
#[derive(Debug, Clone, Default)]
pub struct Node {
    text: Option<String>,
    /// Which variable the text is of: the later one keeps it.
    owner: Option<usize>,
    /// The text as a template, parsed when it is first needed; none for one that does not parse.
    parsed: OnceLock<Option<Arc<Template<'static>>>>,
    children: Children,
    indexes: Children,
}

#[derive(Debug, Clone, Default)]
struct Children {
    nodes: Vec<Node>,
    places: HashMap<String, usize>,
}

impl NameTree {
    /// Builds the tree of these names. A name that parses only in its first part is stored under that part; one
    /// that does not parse, or holds a computed index, is reachable by its full name only.
    pub fn build<'a>(variables: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let mut tree = Self::default();
        for (place, (name, text)) in variables.enumerate() {
            tree.set(place, name, text);
        }
        tree
    }

    /// Sets the text of the variable that is at this place in the collection. Where two names meet, the later place wins.
    pub(crate) fn set(&mut self, place: usize, name: &str, text: Option<&str>) {
        let Some((template, symbol)) = Template::path(name) else {
            return;
        };
        if symbol.steps.iter().any(|step| matches!(step, Step::Computed(_))) {
            return;
        }
        let mut node = &mut self.root;
        for step in &symbol.steps {
            node = match step {
                Step::Name(name) => node.children.enter(name, None),
                Step::Index(index) => node.indexes.enter(index, Some(&index.written)),
                Step::Written(range) => {
                    let index = Name::new(text::index(&template.text[range.clone()]));
                    node.indexes.enter(&index, Some(&index.written))
                }
                Step::Computed(_) => node,
            };
        }
        if node.owner.is_none_or(|owner| owner <= place) {
            node.owner = Some(place);
            node.text = Some(text.unwrap_or_default().to_owned());
            node.parsed = OnceLock::new();
        }
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    /// A node with a text and nothing below.
    pub(crate) fn of_text(text: String) -> Self {
        Self {
            text: Some(text),
            ..Self::default()
        }
    }

    /// A member of a JSON object: its text is the key, with `Key` and `Value` below.
    pub(crate) fn of_member(key: String, value: String) -> Self {
        let mut node = Self::of_text(key.clone());
        for (name, text) in [("Key", key), ("Value", value)] {
            node.children.enter(&Name::new(name.to_owned()), Some(&text));
        }
        node
    }

    /// The text of the variable of exactly this path, or the name of the index.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The text as a template; none for one that does not parse.
    pub(crate) fn template(&self) -> Option<&Arc<Template<'static>>> {
        self.parsed
            .get_or_init(|| {
                self.text
                    .as_deref()
                    .and_then(|text| Template::parse(text).ok())
                    .map(Template::into_owned)
                    .map(Arc::new)
            })
            .as_ref()
    }

    /// The child of this name, which is folded.
    pub(crate) fn child(&self, folded: &str) -> Option<&Node> {
        self.children.find(folded)
    }

    /// The index of this name, without case; `*` is the first one there is.
    pub(crate) fn index(&self, name: &Name) -> Option<&Node> {
        if name.written == "*" {
            self.indexes.nodes.first()
        } else {
            self.indexes.find(&name.folded)
        }
    }

    /// All indexes, in the order in which they were first seen.
    pub fn indexes(&self) -> &[Node] {
        &self.indexes.nodes
    }
}

impl Children {
    fn find(&self, folded: &str) -> Option<&Node> {
        self.places.get(folded).map(|place| &self.nodes[*place])
    }

    fn enter(&mut self, name: &Name, text: Option<&String>) -> &mut Node {
        let place = match self.places.get(&name.folded) {
            Some(place) => *place,
            None => {
                self.nodes.push(Node {
                    text: text.cloned(),
                    ..Node::default()
                });
                self.places.insert(name.folded.clone(), self.nodes.len() - 1);
                self.nodes.len() - 1
            }
        };
        &mut self.nodes[place]
    }
}
