//! Where names are looked up: the variables, and what loops add to them ("Variable templates" 3, 6).

use crate::character::Name;
use crate::name_tree::Node;
use crate::variable_collection::Variables;

/// Names are looked up here, then in the parents.
pub(crate) struct Context<'a> {
    pub parent: Option<&'a Context<'a>>,
    pub scope: Scope<'a>,
}

pub(crate) enum Scope<'a> {
    /// All variables.
    Root(&'a dyn Variables),
    /// One round of a loop.
    Loop {
        name: Name,
        item: Item<'a>,
        index: usize,
        last: bool,
    },
}

/// What a loop visits.
pub(crate) enum Item<'a> {
    /// An index of a collection.
    Borrowed(&'a Node),
    /// A part of a text.
    Owned(Box<Node>),
}

/// What a path, or the beginning of one, leads to.
pub(crate) enum Found<'a> {
    Node(&'a Node),
    Text(String),
    /// A place that is there and has neither text nor indexes.
    Nothing,
}

/// A step of a path, with its computed index resolved.
pub(crate) struct Walk<'s> {
    pub named: bool,
    pub name: std::borrow::Cow<'s, Name>,
}

impl Item<'_> {
    pub(crate) fn node(&self) -> &Node {
        match self {
            Self::Borrowed(node) => node,
            Self::Owned(node) => node,
        }
    }
}

impl<'a> Context<'a> {
    /// Where a path of ASCII names without indexes begins, and the names that lead on from there; none when a loop
    /// counts or only part of the way is a matter of nodes.
    pub(crate) fn at_hand<'p, I>(&'a self, mut names: I) -> Option<(&'a Node, I)>
    where
        I: Iterator<Item = &'p str> + Clone,
    {
        let first = names.clone().next()?;
        let mut place = self;
        loop {
            match &place.scope {
                Scope::Root(variables) => return Some((variables.tree().root(), names)),
                Scope::Loop { name, item, .. } if name.folded.eq_ignore_ascii_case(first) => {
                    names.next();
                    return Some((item.node(), names));
                }
                Scope::Loop { .. } if first.eq_ignore_ascii_case("Octopus") => return None,
                Scope::Loop { .. } => place = place.parent?,
            }
        }
    }

    /// The beginning of a path in this context alone: what its first steps lead to, and how many they are.
    pub(crate) fn enter(&'a self, steps: &[Walk<'_>]) -> Option<(Found<'a>, usize)> {
        match &self.scope {
            Scope::Root(variables) => Some((Found::Node(variables.tree().root()), 0)),
            Scope::Loop {
                name,
                item,
                index,
                last,
            } => {
                let first = steps.first().filter(|step| step.named)?;
                if first.name.folded == name.folded {
                    return Some((Found::Node(item.node()), 1));
                }
                let counters = ["OCTOPUS", "TEMPLATE", "EACH"];
                for (position, step) in steps.iter().enumerate() {
                    if !step.named {
                        return None;
                    }
                    let word = step.name.folded.as_str();
                    match counters.get(position) {
                        Some(expected) if word == *expected => {}
                        Some(_) => return None,
                        None => {
                            let truth = |holds: bool| if holds { "True" } else { "False" }.to_owned();
                            let text = match word {
                                "INDEX" => index.to_string(),
                                "FIRST" => truth(*index == 0),
                                "LAST" => truth(*last),
                                _ => return None,
                            };
                            return Some((Found::Text(text), position + 1));
                        }
                    }
                }
                Some((Found::Nothing, steps.len()))
            }
        }
    }
}
