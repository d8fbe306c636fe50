//! New elements on lines of their own, indented like what stands around them.

use super::document::{Document, Kind, NodeId};
use super::is_blank;

impl Document {
    /// Puts an element behind the other children of its parent, on a line of its own where the parent has lines.
    pub fn append_on_line(&mut self, parent: NodeId, element: NodeId) {
        let children = self.children(parent);
        let blank_end = children.last().is_some_and(|last| self.is_blank_text(*last));
        let index = children.len() - usize::from(blank_end);
        if self.keeps_lines(parent) {
            let indent = self.child_indent(parent);
            let closing = self.own_indent(parent);
            self.indent_below(element, &indent);
            let line = format!("{}{indent}", self.line_end);
            let before = self.blank(&line);
            self.insert(parent, index, before);
            self.insert(parent, index + 1, element);
            if !blank_end {
                let line = format!("{}{closing}", self.line_end);
                let after = self.blank(&line);
                self.append(parent, after);
            }
        } else {
            self.insert(parent, index, element);
        }
    }

    /// Puts an element before or behind a sibling.
    pub fn insert_beside(&mut self, sibling: NodeId, element: NodeId, behind: bool) {
        let Some(parent) = self.parent(sibling) else {
            return;
        };
        let index = self.index(sibling) + usize::from(behind);
        let indent = self.own_indent(sibling);
        if self.begins_line(sibling) {
            self.indent_below(element, &indent);
            let line = format!("{}{indent}", self.line_end);
            let blank = self.blank(&line);
            self.insert(parent, index, element);
            self.insert(parent, index + usize::from(!behind), blank);
        } else {
            self.insert(parent, index, element);
        }
    }

    /// Puts an element in the place of another.
    pub fn replace(&mut self, old: NodeId, new: NodeId) {
        let Some(parent) = self.parent(old) else { return };
        let index = self.index(old);
        let indent = self.own_indent(old);
        if self.begins_line(old) || self.parent(old) == Some(self.root()) {
            self.indent_below(new, &indent);
        }
        self.detach(old);
        self.insert(parent, index, new);
    }

    /// Takes an element out with the blanks before it.
    pub fn remove_with_blanks(&mut self, element: NodeId) {
        let Some(parent) = self.parent(element) else {
            return;
        };
        let index = self.index(element);
        let before = index
            .checked_sub(1)
            .map(|previous| self.children(parent)[previous])
            .filter(|previous| self.is_blank_text(*previous));
        self.detach(element);
        if let Some(before) = before {
            self.detach(before);
        }
    }

    /// Whether the children of the element stand on lines of their own, or could.
    fn keeps_lines(&self, parent: NodeId) -> bool {
        if self.is_space_preserved(parent) {
            return false;
        }
        let children = self.children(parent);
        let mixed = children.iter().any(|child| {
            matches!(self.kind(*child), Kind::Text { .. } | Kind::CData(_)) && !self.is_blank_text(*child)
        });
        !mixed
            && match children.first() {
                // Alone in a document of one line, it stays there.
                None => self.begins_line(parent) || self.position(parent).line > 1,
                Some(first) => self.begins_line(*first) || self.is_blank_text(*first),
            }
    }

    fn is_space_preserved(&self, place: NodeId) -> bool {
        let mut place = Some(place);
        while let Some(node) = place {
            if let Some(space) = self.element(node).and_then(|tag| tag.attribute("xml:space")) {
                return space == "preserve";
            }
            place = self.parent(node);
        }
        false
    }

    fn blank(&mut self, text: &str) -> NodeId {
        let kind = Kind::Text {
            raw: text.to_owned(),
            value: text.replace("\r\n", "\n"),
        };
        self.add(kind, super::Position::default())
    }

    /// Whether only blanks stand between the begin of a line and the node.
    fn begins_line(&self, node: NodeId) -> bool {
        let Some(parent) = self.parent(node) else {
            return false;
        };
        match self.index(node).checked_sub(1) {
            None => false,
            Some(previous) => match self.kind(self.children(parent)[previous]) {
                Kind::Text { raw, .. } => raw
                    .rsplit_once(['\n', '\r'])
                    .is_some_and(|(_, rest)| rest.chars().all(is_blank)),
                _ => false,
            },
        }
    }

    /// The blanks between the begin of the line and the node; those of its parent and a step when it begins none.
    fn own_indent(&self, node: NodeId) -> String {
        let Some(parent) = self.parent(node) else {
            return String::new();
        };
        if parent == self.root() {
            return String::new();
        }
        if let Some(previous) = self.index(node).checked_sub(1)
            && let Kind::Text { raw, .. } = self.kind(self.children(parent)[previous])
            && let Some((_, indent)) = raw.rsplit_once(['\n', '\r'])
            && indent.chars().all(is_blank)
        {
            return indent.to_owned();
        }
        self.own_indent(parent) + &self.step()
    }

    /// What a child of the element is indented by.
    fn child_indent(&self, parent: NodeId) -> String {
        let sibling = self.child_elements(parent).find(|child| self.begins_line(*child));
        match sibling {
            Some(sibling) => self.own_indent(sibling),
            None => self.own_indent(parent) + &self.step(),
        }
    }

    /// By how much the document indents: that of the first element below the root that begins a line.
    fn step(&self) -> String {
        self.document_element()
            .and_then(|root| self.child_elements(root).find(|child| self.begins_line(*child)))
            .and_then(|child| {
                let index = self.index(child).checked_sub(1)?;
                let Kind::Text { raw, .. } = self.kind(self.children(self.parent(child)?)[index]) else {
                    return None;
                };
                raw.rsplit_once(['\n', '\r']).map(|(_, indent)| indent.to_owned())
            })
            .filter(|indent| !indent.is_empty())
            .unwrap_or_else(|| "  ".to_owned())
    }

    /// Gives the lines below a new element the indentation of its place.
    fn indent_below(&mut self, element: NodeId, indent: &str) {
        let step = self.step();
        let mut open = vec![(element, indent.to_owned())];
        while let Some((node, indent)) = open.pop() {
            let children = self.children(node).to_vec();
            let structured = children.iter().any(|child| self.element(*child).is_some())
                && children.iter().all(|child| {
                    self.is_blank_text(*child)
                        || !matches!(self.kind(*child), Kind::Text { .. } | Kind::CData(_))
                });
            if !structured || self.is_space_preserved(node) {
                continue;
            }
            let kept: Vec<NodeId> = children
                .into_iter()
                .filter(|child| !self.is_blank_text(*child))
                .collect();
            self.clear(node);
            let below = format!("{indent}{step}");
            for child in kept {
                let line = format!("{}{below}", self.line_end);
                let blank = self.blank(&line);
                self.append(node, blank);
                self.append(node, child);
                if self.element(child).is_some() {
                    open.push((child, below.clone()));
                }
            }
            let line = format!("{}{indent}", self.line_end);
            let blank = self.blank(&line);
            self.append(node, blank);
        }
    }
}
