//! Where steps lead.

use super::Place;
use super::evaluation::Evaluator;
use super::expression::Axis;
use crate::xml::document::{Kind, NodeId};
use crate::xml::name::declared_prefix;
use std::collections::HashSet;

impl Evaluator<'_> {
    /// The nodes of an axis, nearest first.
    pub(super) fn along(&self, from: Place, axis: Axis) -> Vec<Place> {
        let document = self.document;
        let nodes = |nodes: Vec<NodeId>| nodes.into_iter().map(Place::Node).collect::<Vec<_>>();
        let (node, is_attribute) = match from {
            Place::Node(node) => (node, false),
            Place::Attribute(node, _) => (node, true),
        };
        let siblings = |behind: bool| {
            let Some(parent) = document.parent(node).filter(|_| !is_attribute) else {
                return Vec::new();
            };
            let order = document.order();
            let mut run = self.visible(document.children(parent));
            run.retain(|child| *child != node && (order[child.0] > order[node.0]) == behind);
            if !behind {
                run.reverse();
            }
            run
        };
        match axis {
            Axis::Itself => vec![from],
            Axis::Attribute if !is_attribute => {
                let attributes = document
                    .element(node)
                    .map_or(&[][..], |element| element.attributes());
                attributes
                    .iter()
                    .enumerate()
                    .filter(|(_, attribute)| declared_prefix(&attribute.name).is_none())
                    .map(|(index, _)| Place::Attribute(node, index))
                    .collect()
            }
            Axis::Child if !is_attribute => nodes(self.visible(document.children(node))),
            Axis::Descendant if !is_attribute => nodes(self.below(node)),
            Axis::DescendantOrSelf if !is_attribute => {
                let mut all = vec![node];
                all.extend(self.below(node));
                nodes(all)
            }
            Axis::DescendantOrSelf => vec![from],
            Axis::Attribute | Axis::Child | Axis::Descendant | Axis::Namespace => Vec::new(),
            Axis::Parent if is_attribute => vec![Place::Node(node)],
            Axis::Parent => nodes(document.parent(node).into_iter().collect()),
            Axis::Ancestor | Axis::AncestorOrSelf => {
                let mut found = Vec::new();
                if axis == Axis::AncestorOrSelf {
                    found.push(from);
                }
                let mut next = if is_attribute {
                    Some(node)
                } else {
                    document.parent(node)
                };
                while let Some(ancestor) = next {
                    found.push(Place::Node(ancestor));
                    next = document.parent(ancestor);
                }
                found
            }
            Axis::FollowingSibling => nodes(siblings(true)),
            Axis::PrecedingSibling => nodes(siblings(false)),
            Axis::Following | Axis::Preceding => nodes(self.outside(node, axis == Axis::Following)),
        }
    }

    /// What stands wholly behind (or before) a node.
    fn outside(&self, node: NodeId, behind: bool) -> Vec<NodeId> {
        let order = self.document.order();
        let below: HashSet<NodeId> = self.document.descendants(node).into_iter().collect();
        let mut above = HashSet::new();
        let mut next = self.document.parent(node);
        while let Some(ancestor) = next {
            above.insert(ancestor);
            next = self.document.parent(ancestor);
        }
        let mut found: Vec<NodeId> = self
            .below(self.document.root())
            .into_iter()
            .filter(|other| (order[other.0] > order[node.0]) == behind)
            .filter(|other| !below.contains(other) && !above.contains(other))
            .collect();
        if !behind {
            found.reverse();
        }
        found
    }

    fn below(&self, node: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut open: Vec<NodeId> = self.visible(self.document.children(node));
        open.reverse();
        while let Some(node) = open.pop() {
            found.push(node);
            let children = self.visible(self.document.children(node));
            open.extend(children.into_iter().rev());
        }
        found
    }

    /// The children that XPath sees: no declarations, and of texts that touch each other the first.
    fn visible(&self, children: &[NodeId]) -> Vec<NodeId> {
        let mut seen = Vec::with_capacity(children.len());
        let mut in_text = false;
        for child in children {
            match self.document.kind(*child) {
                Kind::Text { .. } | Kind::CData(_) => {
                    if self.is_hidden(*child) {
                        continue;
                    }
                    if !in_text {
                        seen.push(*child);
                    }
                    in_text = true;
                }
                Kind::Declaration(_) | Kind::Doctype(_) | Kind::Root => {}
                _ => {
                    in_text = false;
                    seen.push(*child);
                }
            }
        }
        seen
    }

    pub(super) fn is_hidden(&self, text: NodeId) -> bool {
        !self.blanks && self.document.is_blank_text(text)
            || self
                .document
                .parent(text)
                .is_none_or(|parent| parent == self.document.root())
    }
}
