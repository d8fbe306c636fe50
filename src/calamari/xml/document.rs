//! The tree of a document. Each node holds its own text as it was written; edits change only the nodes they concern.

use super::entity::{Entities, escape_attribute, escape_text};
use super::name::{XML_NAMESPACE, XMLNS_NAMESPACE, declared_prefix, split};
use super::{ParseError, Position, is_blank, parser};
use std::cell::OnceCell;

/// A node of a document; good for as long as the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

/// A document that is printed byte for byte as it was read, but for what was edited.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) nodes: Vec<Node>,
    pub(super) entities: Entities,
    pub(super) line_end: &'static str,
    order: OnceCell<Vec<usize>>,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) parent: Option<NodeId>,
    pub(super) children: Vec<NodeId>,
    pub(super) kind: Kind,
    pub(super) position: Position,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The document itself.
    Root,
    /// `<?xml ...?>`, as written.
    Declaration(String),
    /// `<!DOCTYPE ...>`, as written.
    Doctype(String),
    /// An element.
    Element(Element),
    /// Text between tags.
    Text {
        /// As written.
        raw: String,
        /// With references replaced and line ends as `\n`.
        value: String,
    },
    /// The content of `<![CDATA[...]]>`.
    CData(String),
    /// The content of `<!--...-->`.
    Comment(String),
    /// `<?target data?>`.
    Instruction {
        /// Its name.
        target: String,
        /// What follows, with the blanks before it.
        data: String,
    },
}

/// A tag with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// With prefix, as written.
    pub name: String,
    pub(super) attributes: Vec<Attribute>,
    /// Blanks before `>` or `/>`.
    pub(super) tail: String,
    /// The end tag as written; none when the tag closes itself.
    pub(super) closing: Option<String>,
}

/// An attribute of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// With prefix, as written.
    pub name: String,
    /// With references replaced.
    pub value: String,
    /// Where its name begins.
    pub position: Position,
    pub(super) before: String,
    pub(super) equals: String,
    pub(super) quote: char,
    pub(super) raw: String,
}

impl Element {
    /// Its attributes, declarations of namespaces too, in order.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The value of the attribute of exactly this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.name == name)?;
        Some(&found.value)
    }

    /// The name without prefix.
    pub fn local(&self) -> &str {
        split(&self.name).1
    }

    /// The prefix, empty when there is none.
    pub fn prefix(&self) -> &str {
        split(&self.name).0
    }

    /// Whether it is written as `<a/>`.
    pub fn closes_itself(&self) -> bool {
        self.closing.is_none()
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// It is not well-formed XML 1.0, uses an entity that is external or too large, or is too deep or too long.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parser::document(text)
    }

    pub(super) fn empty(line_end: &'static str) -> Self {
        let root = Node {
            parent: None,
            children: Vec::new(),
            kind: Kind::Root,
            position: Position::default(),
        };
        Self {
            nodes: vec![root],
            entities: Entities::default(),
            line_end,
            order: OnceCell::new(),
        }
    }

    /// The node above all others.
    pub const fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The outermost element; none after it was removed.
    pub fn document_element(&self) -> Option<NodeId> {
        self.child_elements(self.root()).next()
    }

    /// What the node is.
    pub fn kind(&self, node: NodeId) -> &Kind {
        &self.nodes[node.0].kind
    }

    /// The node as an element.
    pub fn element(&self, node: NodeId) -> Option<&Element> {
        match &self.nodes[node.0].kind {
            Kind::Element(element) => Some(element),
            _ => None,
        }
    }

    fn element_mut(&mut self, node: NodeId) -> Option<&mut Element> {
        match &mut self.nodes[node.0].kind {
            Kind::Element(element) => Some(element),
            _ => None,
        }
    }

    /// The node that holds this one.
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.0].parent
    }

    /// What the node holds, in order.
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        &self.nodes[node.0].children
    }

    /// The elements among the children.
    pub fn child_elements(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let children = self.children(node).iter().copied();
        children.filter(|child| matches!(self.kind(*child), Kind::Element(_)))
    }

    /// The node itself and all below it, in the order of the document.
    pub fn descendants(&self, node: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            found.push(node);
            open.extend(self.children(node).iter().rev());
        }
        found
    }

    /// Where the node began in the file: for an element its name.
    pub fn position(&self, node: NodeId) -> Position {
        self.nodes[node.0].position
    }

    /// The place of the node among its siblings.
    pub fn index(&self, node: NodeId) -> usize {
        self.parent(node)
            .and_then(|parent| self.children(parent).iter().position(|child| *child == node))
            .unwrap_or_default()
    }

    /// Whether the node is text of blanks alone, written as such.
    pub fn is_blank_text(&self, node: NodeId) -> bool {
        matches!(self.kind(node), Kind::Text { raw, .. } if raw.chars().all(is_blank))
    }

    /// A number for each node that grows in the order of the document.
    pub(super) fn order(&self) -> &[usize] {
        self.order.get_or_init(|| {
            let mut order = vec![0; self.nodes.len()];
            for (place, node) in self.descendants(self.root()).into_iter().enumerate() {
                order[node.0] = place;
            }
            order
        })
    }

    /// The address that a prefix (empty = none) stands for at this place; none when it is not declared.
    pub fn namespace_of_prefix(&self, place: NodeId, prefix: &str) -> Option<&str> {
        match prefix {
            "xml" => return Some(XML_NAMESPACE),
            "xmlns" => return Some(XMLNS_NAMESPACE),
            _ => {}
        }
        let mut place = Some(place);
        while let Some(node) = place {
            if let Some(element) = self.element(node) {
                let declared = element
                    .attributes
                    .iter()
                    .find(|attribute| declared_prefix(&attribute.name) == Some(prefix));
                if let Some(declared) = declared {
                    return Some(&declared.value);
                }
            }
            place = self.parent(node);
        }
        prefix.is_empty().then_some("")
    }

    /// The namespace of an element.
    pub fn namespace(&self, node: NodeId) -> &str {
        let prefix = self.element(node).map_or("", Element::prefix);
        self.namespace_of_prefix(node, prefix).unwrap_or_default()
    }

    /// The namespace of an attribute of an element; that without prefix has none.
    pub fn attribute_namespace(&self, node: NodeId, attribute: &str) -> &str {
        match split(attribute) {
            ("", "xmlns") => XMLNS_NAMESPACE,
            ("", _) => "",
            (prefix, _) => self.namespace_of_prefix(node, prefix).unwrap_or_default(),
        }
    }

    /// The prefixes in force at a place with their addresses, inner declarations first.
    pub fn namespaces_in_scope(&self, place: NodeId) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut place = Some(place);
        while let Some(node) = place {
            for attribute in self.element(node).map_or(&[][..], Element::attributes) {
                if let Some(prefix) = declared_prefix(&attribute.name)
                    && found.iter().all(|(known, _)| known != prefix)
                {
                    found.push((prefix.to_owned(), attribute.value.clone()));
                }
            }
            place = self.parent(node);
        }
        found
    }

    /// The document as text.
    pub fn print(&self) -> String {
        self.print_with(|raw, text| text.push_str(raw))
    }

    /// The same; `characters` writes what may hold references: texts and values of attributes.
    pub(super) fn print_with(&self, mut characters: impl FnMut(&str, &mut String)) -> String {
        let mut text = String::new();
        let mut open = vec![(self.root(), false)];
        while let Some((node, ends)) = open.pop() {
            match self.kind(node) {
                Kind::Root => {}
                Kind::Element(element) if ends => {
                    text.push_str(element.closing.as_deref().unwrap_or_default());
                    continue;
                }
                Kind::Element(element) => {
                    print_tag(element, &mut text, &mut characters);
                    if element.closing.is_some() {
                        open.push((node, true));
                    }
                }
                Kind::Declaration(raw) | Kind::Doctype(raw) => text.push_str(raw),
                Kind::Text { raw, .. } => characters(raw, &mut text),
                Kind::CData(content) => text.extend(["<![CDATA[", content, "]]>"]),
                Kind::Comment(content) => text.extend(["<!--", content, "-->"]),
                Kind::Instruction { target, data } => text.extend(["<?", target, data, "?>"]),
            }
            open.extend(self.children(node).iter().rev().map(|child| (*child, false)));
        }
        text
    }

    pub(super) fn add(&mut self, kind: Kind, position: Position) -> NodeId {
        self.order.take();
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node {
            parent: None,
            children: Vec::new(),
            kind,
            position,
        });
        id
    }

    /// A new text.
    pub fn new_text(&mut self, value: &str) -> NodeId {
        let raw = escape_text(value, self.line_end);
        let value = value.to_owned();
        self.add(Kind::Text { raw, value }, Position::default())
    }

    /// A new comment with exactly this content, which the caller has checked.
    pub fn new_comment(&mut self, content: String) -> NodeId {
        self.add(Kind::Comment(content), Position::default())
    }

    /// A new element without attributes and content.
    pub fn new_element(&mut self, name: &str) -> NodeId {
        let element = Element {
            name: name.to_owned(),
            attributes: Vec::new(),
            tail: " ".to_owned(),
            closing: None,
        };
        self.add(Kind::Element(element), Position::default())
    }

    /// Puts a node that stands nowhere into a parent, before the child that has this index now.
    pub fn insert(&mut self, parent: NodeId, index: usize, node: NodeId) {
        self.order.take();
        self.nodes[node.0].parent = Some(parent);
        self.nodes[parent.0].children.insert(index, node);
        if let Some(element) = self.element_mut(parent)
            && element.closing.is_none()
        {
            element.closing = Some(format!("</{}>", element.name));
            element.tail.clear();
        }
    }

    /// Puts a node behind the other children.
    pub fn append(&mut self, parent: NodeId, node: NodeId) {
        self.insert(parent, self.children(parent).len(), node);
    }

    /// Takes a node out of its parent.
    pub fn detach(&mut self, node: NodeId) {
        self.order.take();
        if let Some(parent) = self.nodes[node.0].parent.take() {
            self.nodes[parent.0].children.retain(|child| *child != node);
        }
    }

    /// Takes all children out.
    pub fn clear(&mut self, node: NodeId) {
        self.order.take();
        for child in std::mem::take(&mut self.nodes[node.0].children) {
            self.nodes[child.0].parent = None;
        }
    }

    /// Gives an attribute (by its index) another value.
    pub fn set_attribute(&mut self, node: NodeId, index: usize, value: &str) {
        if let Some(element) = self.element_mut(node)
            && let Some(attribute) = element.attributes.get_mut(index)
            && attribute.value != value
        {
            attribute.raw = escape_attribute(value, attribute.quote);
            value.clone_into(&mut attribute.value);
        }
    }

    /// Adds an attribute behind the others.
    pub fn add_attribute(&mut self, node: NodeId, name: &str, value: &str) {
        if let Some(element) = self.element_mut(node) {
            element.attributes.push(Attribute {
                name: name.to_owned(),
                value: value.to_owned(),
                position: Position::default(),
                before: " ".to_owned(),
                equals: "=".to_owned(),
                quote: '"',
                raw: escape_attribute(value, '"'),
            });
        }
    }

    /// Takes an attribute away. The one behind it moves to its place.
    pub fn remove_attribute(&mut self, node: NodeId, index: usize) {
        if let Some(element) = self.element_mut(node)
            && index < element.attributes.len()
        {
            let removed = element.attributes.remove(index);
            if let Some(next) = element.attributes.get_mut(index) {
                next.before = removed.before;
            }
        }
    }

    /// Makes the text the only content of an element.
    pub fn set_content(&mut self, node: NodeId, value: &str) {
        self.clear(node);
        let text = self.new_text(value);
        self.append(node, text);
    }

    /// Gives a text, CDATA, comment or instruction another content, made fit for its kind.
    pub fn set_value(&mut self, node: NodeId, value: &str) {
        let line_end = self.line_end;
        match &mut self.nodes[node.0].kind {
            Kind::Text { raw, value: old } => {
                *raw = escape_text(value, line_end);
                value.clone_into(old);
            }
            Kind::CData(content) => *content = value.replace("]]>", "]]]]><![CDATA[>"),
            Kind::Comment(content) => {
                // Two hyphens end a comment, and one may not stand at its end.
                let mut fit = value.to_owned();
                while fit.contains("--") {
                    fit = fit.replace("--", "- -");
                }
                if fit.ends_with('-') {
                    fit.push(' ');
                }
                *content = fit;
            }
            Kind::Instruction { data, .. } => {
                let fit = value.replace("?>", "? >");
                *data = if fit.is_empty() { fit } else { format!(" {fit}") };
            }
            _ => {}
        }
    }

    /// Copies a node of another document with all below it; the copy stands nowhere.
    pub fn import(&mut self, other: &Self, node: NodeId) -> NodeId {
        let copy = self.add(self.own_kind(other, node), other.position(node));
        let mut open = vec![(node, copy)];
        while let Some((from, to)) = open.pop() {
            for child in other.children(from) {
                let child_copy = self.add(self.own_kind(other, *child), other.position(*child));
                self.nodes[child_copy.0].parent = Some(to);
                self.nodes[to.0].children.push(child_copy);
                open.push((*child, child_copy));
            }
        }
        copy
    }

    /// What a node of another document is here, where its entities are not declared.
    fn own_kind(&self, other: &Self, node: NodeId) -> Kind {
        let mut kind = other.kind(node).clone();
        if other.entities.is_empty() {
            return kind;
        }
        match &mut kind {
            Kind::Text { raw, value } if raw.contains('&') => *raw = escape_text(value, self.line_end),
            Kind::Element(element) => {
                let coded = element
                    .attributes
                    .iter_mut()
                    .filter(|attribute| attribute.raw.contains('&'));
                for attribute in coded {
                    attribute.raw = escape_attribute(&attribute.value, attribute.quote);
                }
            }
            _ => {}
        }
        kind
    }

    /// Takes attributes away for which `unwanted` holds, of an element.
    pub fn drop_attributes(&mut self, node: NodeId, unwanted: impl Fn(&Attribute) -> bool) {
        if let Some(element) = self.element_mut(node) {
            element.attributes.retain(|attribute| !unwanted(attribute));
            if element.tail.contains(['\n', '\r']) {
                element.tail.clear();
            }
        }
    }

    /// Writes the tag in one line, with single blanks and the quotes it has.
    pub fn flatten_tag(&mut self, node: NodeId) {
        if let Some(element) = self.element_mut(node) {
            for attribute in &mut element.attributes {
                " ".clone_into(&mut attribute.before);
                "=".clone_into(&mut attribute.equals);
            }
            let tail = if element.closing.is_none() { " " } else { "" };
            tail.clone_into(&mut element.tail);
        }
    }
}

fn print_tag(element: &Element, text: &mut String, characters: &mut impl FnMut(&str, &mut String)) {
    text.push('<');
    text.push_str(&element.name);
    for attribute in &element.attributes {
        text.push_str(&attribute.before);
        text.push_str(&attribute.name);
        text.push_str(&attribute.equals);
        text.push(attribute.quote);
        characters(&attribute.raw, text);
        text.push(attribute.quote);
    }
    text.push_str(&element.tail);
    text.push_str(if element.closing.is_some() { ">" } else { "/>" });
}
