//! From text to a document. The tokens are quick-xml's; what it lets pass and XML does not is checked here.

use super::document::{Attribute, Document, Element, Kind, NodeId};
use super::entity::{Entities, EntityError};
use super::name::{declared_prefix, is_qualified, split};
use super::{ForbiddenCharacter, LONGEST_DOCUMENT, MOST_DEPTH, check_characters, is_blank};
use quick_xml::Reader;
use quick_xml::events::Event;

/// A place in a text, both counted from one; columns count as UTF-16 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "line {}, position {}", self.line, self.column)
    }
}

/// Why a text is no document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({position})")]
pub struct ParseError {
    /// What is wrong.
    pub reason: Reason,
    /// Where it was noticed.
    pub position: Position,
}

/// What can be wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// What the tokens said.
    #[error("{0}")]
    Syntax(String),
    /// A reference.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// A character that XML cannot hold.
    #[error(transparent)]
    Character(#[from] ForbiddenCharacter),
    /// No element at all.
    #[error("root element is missing")]
    NoRoot,
    /// More than one outermost element.
    #[error("there are multiple root elements")]
    SecondRoot,
    /// Text or CDATA outside the root element.
    #[error("data at the root level is invalid")]
    OutsideText,
    /// A declaration that is not the first thing in the file.
    #[error("the XML declaration must be the first thing in the file, without blanks before it")]
    LateDeclaration,
    /// A declaration of another version, or none that can be read.
    #[error("the XML declaration is malformed or of a version other than 1.0: {0}")]
    Declaration(String),
    /// A second doctype, or one after the root element.
    #[error("a DOCTYPE must stand once, before the root element")]
    Doctype,
    /// A name that is none.
    #[error("'{0}' is no name")]
    Name(String),
    /// The same attribute twice.
    #[error("'{0}' is a duplicate attribute name")]
    Duplicate(String),
    /// A prefix that no `xmlns:` declares.
    #[error("'{0}' is an undeclared prefix")]
    Prefix(String),
    /// A tag that cannot be read.
    #[error("the tag '{0}' is malformed")]
    Tag(String),
    /// `]]>` in a text.
    #[error("']]>' is not allowed in text; write ]]&gt;")]
    SectionEnd,
    /// More than is read.
    #[error("elements are nested more than {MOST_DEPTH} deep")]
    Depth,
    /// More than is read.
    #[error("the document is longer than {LONGEST_DOCUMENT} bytes")]
    Length,
}

/// Finds line and column of growing offsets.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    position: Position,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let position = Position { line: 1, column: 1 };
        Self {
            text,
            offset: 0,
            position,
        }
    }

    fn at(&mut self, offset: usize) -> Position {
        if offset < self.offset {
            *self = Self::new(self.text);
        }
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let mut before = self.text[..self.offset].chars().next_back();
        for character in self.text[self.offset..offset].chars() {
            match character {
                '\n' if before == Some('\r') => {}
                '\n' | '\r' => {
                    self.position.line += 1;
                    self.position.column = 1;
                }
                _ => self.position.column += character.len_utf16(),
            }
            before = Some(character);
        }
        self.offset = offset;
        self.position
    }
}

/// Reads a whole document.
pub(super) fn document(text: &str) -> Result<Document, ParseError> {
    let mut builder = Builder::new(text, Document::empty(line_end(text)));
    let root = builder.document.root();
    builder.read(root)?;
    if builder.document.document_element().is_none() {
        return Err(builder.error(text.len(), Reason::NoRoot));
    }
    Ok(builder.document)
}

impl Document {
    /// Reads what may stand inside this element (namespaces and entities as declared there), and puts it there in the
    /// place of what it had.
    ///
    /// # Errors
    /// The text is not well-formed there; then the element is as it was.
    pub fn set_inner_xml(&mut self, element: NodeId, text: &str) -> Result<(), ParseError> {
        let line_end = self.line_end;
        let document = std::mem::replace(self, Self::empty(line_end));
        let kept = document.children(element).to_vec();
        let mut builder = Builder::new(text, document);
        builder.document.clear(element);
        let outcome = builder.read(element);
        let mut document = builder.document;
        if let Kind::Element(tag) = &mut document.nodes[element.0].kind
            && tag.closing.is_none()
            && outcome.is_ok()
        {
            tag.closing = Some(format!("</{}>", tag.name));
        }
        if outcome.is_err() {
            document.clear(element);
            for child in kept {
                document.append(element, child);
            }
        }
        *self = document;
        outcome
    }
}

/// The more frequent line end of a text.
fn line_end(text: &str) -> &'static str {
    let all = text.matches('\n').count();
    let windows = text.matches("\r\n").count();
    if windows * 2 > all { "\r\n" } else { "\n" }
}

struct Builder<'a> {
    text: &'a str,
    lines: Lines<'a>,
    document: Document,
    spent: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, document: Document) -> Self {
        Self {
            text,
            lines: Lines::new(text),
            document,
            spent: 0,
        }
    }

    fn error(&mut self, offset: usize, reason: Reason) -> ParseError {
        let position = self.lines.at(offset);
        ParseError { reason, position }
    }

    fn read(&mut self, top: NodeId) -> Result<(), ParseError> {
        if self.text.len() > LONGEST_DOCUMENT {
            return Err(self.error(0, Reason::Length));
        }
        let text = self.text;
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        let mut open = vec![top];
        // Texts come in parts, with references between them.
        let mut pending = 0..0;
        loop {
            let start = place(reader.buffer_position());
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let at = place(reader.error_position());
                    return Err(self.error(at, Reason::Syntax(error.to_string())));
                }
            };
            let end = place(reader.buffer_position());
            if matches!(event, Event::Text(_) | Event::GeneralRef(_)) {
                if pending.is_empty() {
                    pending = start..end;
                }
                pending.end = end;
                continue;
            }
            let parent = open.last().copied().unwrap_or(top);
            if !pending.is_empty() {
                self.text(parent, pending.clone())?;
                pending = 0..0;
            }
            let raw = &text[start..end];
            match event {
                Event::Start(_) => {
                    if open.len() > MOST_DEPTH {
                        return Err(self.error(start, Reason::Depth));
                    }
                    let element = self.element(parent, start, &raw[1..raw.len() - 1], true)?;
                    open.push(element);
                }
                Event::Empty(_) => {
                    self.element(parent, start, &raw[1..raw.len() - 2], false)?;
                }
                Event::End(_) => {
                    open.pop();
                    if open.is_empty() {
                        return Err(self.error(start, Reason::Tag(raw.to_owned())));
                    }
                    if let Kind::Element(element) = &mut self.document.nodes[parent.0].kind {
                        element.closing = Some(raw.to_owned());
                    }
                }
                Event::CData(content) => {
                    if parent == self.document.root() {
                        return Err(self.error(start, Reason::OutsideText));
                    }
                    self.checked(parent, start, Kind::CData(content.into_inner().into_owned()))?;
                }
                Event::Comment(content) => {
                    if content.ends_with('-') {
                        return Err(self.error(end, Reason::Syntax("a comment ends with --->".to_owned())));
                    }
                    self.checked(parent, start, Kind::Comment(content.into_inner().into_owned()))?;
                }
                Event::PI(content) => {
                    let target = content.target().to_owned();
                    if !is_qualified(&target) || target.eq_ignore_ascii_case("xml") {
                        return Err(self.error(start, Reason::Name(target)));
                    }
                    let data = content.content().to_owned();
                    self.checked(parent, start, Kind::Instruction { target, data })?;
                }
                Event::Decl(_) => {
                    if start != 0 || parent != self.document.root() {
                        return Err(self.error(start, Reason::LateDeclaration));
                    }
                    if !is_declaration(raw) {
                        return Err(self.error(start, Reason::Declaration(raw.to_owned())));
                    }
                    self.checked(parent, start, Kind::Declaration(raw.to_owned()))?;
                }
                Event::DocType(_) => {
                    let late = self.document.children(parent).iter().any(|child| {
                        matches!(self.document.kind(*child), Kind::Element(_) | Kind::Doctype(_))
                    });
                    if late || parent != self.document.root() || !raw.starts_with("<!DOCTYPE") {
                        return Err(self.error(start, Reason::Doctype));
                    }
                    self.document.entities = Entities::read(raw);
                    self.checked(parent, start, Kind::Doctype(raw.to_owned()))?;
                }
                Event::Eof => {
                    if open.len() > 1 {
                        let name = self.document.element(parent).map(|element| element.name.clone());
                        let reason = format!("the element '{}' is not closed", name.unwrap_or_default());
                        return Err(self.error(end, Reason::Syntax(reason)));
                    }
                    return Ok(());
                }
                Event::Text(_) | Event::GeneralRef(_) => {}
            }
        }
    }

    fn checked(&mut self, parent: NodeId, start: usize, kind: Kind) -> Result<NodeId, ParseError> {
        let content = match &kind {
            Kind::CData(text) | Kind::Comment(text) | Kind::Declaration(text) | Kind::Doctype(text) => text,
            Kind::Instruction { data, .. } => data,
            _ => "",
        };
        if let Err(character) = check_characters(content) {
            return Err(self.error(start, character.into()));
        }
        let position = self.lines.at(start);
        Ok(self.put(parent, kind, position))
    }

    fn put(&mut self, parent: NodeId, kind: Kind, position: Position) -> NodeId {
        let node = self.document.add(kind, position);
        self.document.nodes[node.0].parent = Some(parent);
        self.document.nodes[parent.0].children.push(node);
        node
    }

    fn text(&mut self, parent: NodeId, span: std::ops::Range<usize>) -> Result<(), ParseError> {
        let start = span.start;
        let raw = &self.text[span];
        if parent == self.document.root() && !raw.chars().all(is_blank) {
            let blanks = raw.len() - raw.trim_start_matches(is_blank).len();
            return Err(self.error(start + blanks, Reason::OutsideText));
        }
        if let Some(at) = raw.find("]]>") {
            return Err(self.error(start + at, Reason::SectionEnd));
        }
        let value = self.decode(start, raw)?;
        let raw = raw.to_owned();
        let position = self.lines.at(start);
        self.put(parent, Kind::Text { raw, value }, position);
        Ok(())
    }

    fn decode(&mut self, start: usize, raw: &str) -> Result<String, ParseError> {
        if let Err(character) = check_characters(raw) {
            return Err(self.error(start, character.into()));
        }
        match self.document.entities.decode(raw, &mut self.spent) {
            Ok(value) => Ok(value),
            Err(error) => {
                let at = raw.find('&').unwrap_or_default();
                Err(self.error(start + at, error.into()))
            }
        }
    }

    /// Reads a tag; `content` is what stands between `<` (at `start`) and `>` or `/>`.
    fn element(
        &mut self,
        parent: NodeId,
        start: usize,
        content: &str,
        opens: bool,
    ) -> Result<NodeId, ParseError> {
        let root = self.document.root();
        if parent == root && self.document.document_element().is_some() {
            return Err(self.error(start + 1, Reason::SecondRoot));
        }
        let name_end = content.find(is_blank).unwrap_or(content.len());
        let (name, mut rest) = content.split_at(name_end);
        if !is_qualified(name) {
            return Err(self.error(start + 1, Reason::Name(name.to_owned())));
        }
        // Before those of the attributes: places are found in the order of the text.
        let position = self.lines.at(start + 1);
        let mut attributes: Vec<Attribute> = Vec::new();
        loop {
            let trimmed = rest.trim_start_matches(is_blank);
            if trimmed.is_empty() {
                break;
            }
            let offset = start + 1 + content.len() - trimmed.len();
            let before = &rest[..rest.len() - trimmed.len()];
            let Some(parts) = split_attribute(trimmed).filter(|_| !before.is_empty()) else {
                return Err(self.error(offset, Reason::Tag(name.to_owned())));
            };
            if !is_qualified(parts.name) {
                return Err(self.error(offset, Reason::Name(parts.name.to_owned())));
            }
            if attributes.iter().any(|attribute| attribute.name == parts.name) {
                return Err(self.error(offset, Reason::Duplicate(parts.name.to_owned())));
            }
            let value = self.decode(offset, parts.raw)?;
            if declared_prefix(parts.name).is_some_and(|prefix| !may_declare(prefix, &value)) {
                return Err(self.error(offset, Reason::Prefix(parts.name.to_owned())));
            }
            attributes.push(Attribute {
                name: parts.name.to_owned(),
                value,
                position: self.lines.at(offset),
                before: before.to_owned(),
                equals: parts.equals.to_owned(),
                quote: parts.quote,
                raw: parts.raw.to_owned(),
            });
            rest = parts.rest;
        }
        let element = Element {
            name: name.to_owned(),
            attributes,
            tail: rest.to_owned(),
            closing: opens.then(|| format!("</{name}>")),
        };
        let node = self.put(parent, Kind::Element(element), position);
        self.check_prefixes(node, start)?;
        Ok(node)
    }

    /// All prefixes are declared, and no two attributes have one name.
    fn check_prefixes(&mut self, node: NodeId, start: usize) -> Result<(), ParseError> {
        let document = &self.document;
        let Some(element) = document.element(node) else {
            return Ok(());
        };
        let names = std::iter::once(element.name.as_str()).chain(
            element
                .attributes()
                .iter()
                .map(|attribute| attribute.name.as_str()),
        );
        let mut undeclared = names.map(|name| split(name).0).filter(|prefix| {
            *prefix == "xmlns" && split(&element.name).0 == "xmlns"
                || document.namespace_of_prefix(node, prefix).is_none()
        });
        if let Some(prefix) = undeclared.next() {
            let prefix = prefix.to_owned();
            return Err(self.error(start + 1, Reason::Prefix(prefix)));
        }
        let prefixed: Vec<(&str, &str)> = element
            .attributes()
            .iter()
            .filter(|attribute| attribute.name.contains(':') && declared_prefix(&attribute.name).is_none())
            .map(|attribute| {
                (
                    document.attribute_namespace(node, &attribute.name),
                    split(&attribute.name).1,
                )
            })
            .collect();
        for (index, name) in prefixed.iter().enumerate() {
            if prefixed[..index].contains(name) {
                let name = name.1.to_owned();
                return Err(self.error(start + 1, Reason::Duplicate(name)));
            }
        }
        Ok(())
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Whether a prefix may stand for this address.
fn may_declare(prefix: &str, address: &str) -> bool {
    match prefix {
        "" => true,
        "xmlns" => false,
        "xml" => address == super::name::XML_NAMESPACE,
        _ => !address.is_empty(),
    }
}

struct AttributeParts<'a> {
    name: &'a str,
    equals: &'a str,
    quote: char,
    raw: &'a str,
    rest: &'a str,
}

/// Cuts `name = "raw"` off the begin of a text.
fn split_attribute(text: &str) -> Option<AttributeParts<'_>> {
    let name_end = text.find(|character| character == '=' || is_blank(character))?;
    let after_name = &text[name_end..];
    let sign = after_name.trim_start_matches(is_blank).strip_prefix('=')?;
    let quoted = sign.trim_start_matches(is_blank);
    let quote = quoted
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\''))?;
    let length = quoted[1..].find(quote)?;
    let raw = &quoted[1..=length];
    if raw.contains('<') {
        return None;
    }
    Some(AttributeParts {
        name: &text[..name_end],
        equals: &after_name[..after_name.len() - quoted.len()],
        quote,
        raw,
        rest: &quoted[length + 2..],
    })
}

/// `<?xml version="1.0" encoding="..." standalone="yes"?>`, the last two optional.
fn is_declaration(raw: &str) -> bool {
    let Some(mut rest) = raw.strip_prefix("<?xml").and_then(|rest| rest.strip_suffix("?>")) else {
        return false;
    };
    let mut last = None;
    loop {
        let trimmed = rest.trim_start_matches(is_blank);
        if trimmed.is_empty() {
            return last.is_some();
        }
        let Some(parts) = split_attribute(trimmed).filter(|_| trimmed.len() < rest.len()) else {
            return false;
        };
        let known = match (parts.name, last) {
            ("version", None) => parts.raw == "1.0",
            ("encoding", Some("version")) => {
                parts.raw.starts_with(|first: char| first.is_ascii_alphabetic())
                    && parts
                        .raw
                        .chars()
                        .all(|character| character.is_ascii_alphanumeric() || "._-".contains(character))
            }
            ("standalone", Some("version" | "encoding")) => matches!(parts.raw, "yes" | "no"),
            _ => false,
        };
        if !known {
            return false;
        }
        last = Some(parts.name);
        rest = parts.rest;
    }
}
