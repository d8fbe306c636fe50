//! All names of a collection as a tree of named and indexed children ("Variable templates" 1).

use crate::character::fold;
use crate::parser::Parser;
use crate::template::Step;
use std::collections::HashMap;

/// The tree that paths are walked in.
#[derive(Debug, Clone, Default)]
pub struct NameTree {
    root: Node,
}

/// A place in the tree.
#[derive(Debug, Clone, Default)]
pub struct Node {
    text: Option<String>,
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
        for (name, text) in variables {
            let Some(symbol) = Parser::name(name) else {
                continue;
            };
            if symbol.steps.iter().any(|step| matches!(step, Step::Computed(_))) {
                continue;
            }
            let mut node = &mut tree.root;
            for step in &symbol.steps {
                node = match step {
                    Step::Name(name) => node.children.enter(name, None),
                    Step::Index(index) => node.indexes.enter(index, Some(index)),
                    Step::Computed(_) => node,
                };
            }
            node.text = Some(text.unwrap_or_default().to_owned());
        }
        tree
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    /// The text of the variable of exactly this path, or the name of the index.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The named child, without case.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.find(name)
    }

    /// The index of this name, without case; `*` is the first one there is.
    pub fn index(&self, name: &str) -> Option<&Node> {
        if name == "*" {
            self.indexes.nodes.first()
        } else {
            self.indexes.find(name)
        }
    }

    /// All indexes, in the order in which they were first seen.
    pub fn indexes(&self) -> &[Node] {
        &self.indexes.nodes
    }
}

impl Children {
    fn find(&self, name: &str) -> Option<&Node> {
        self.places.get(&fold(name)).map(|place| &self.nodes[*place])
    }

    fn enter(&mut self, name: &str, text: Option<&String>) -> &mut Node {
        let place = *self.places.entry(fold(name)).or_insert_with(|| {
            self.nodes.push(Node {
                text: text.cloned(),
                ..Node::default()
            });
            self.nodes.len() - 1
        });
        &mut self.nodes[place]
    }
}
