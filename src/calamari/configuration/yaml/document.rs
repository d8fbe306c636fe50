//! A YAML text as a list of events with their places, and its values with their paths.

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};
use std::borrow::Cow;
use std::ops::Range;

/// A text that was read.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) items: Vec<Item<'a>>,
    /// The values, in order.
    pub(super) nodes: Vec<Node>,
}

/// An event and its place.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) event: Event<'a>,
    /// Of a block scalar only the content; of a block collection the empty place before it.
    pub(super) range: Range<usize>,
    pub(super) tag: Option<Range<usize>>,
    pub(super) anchor: Option<Range<usize>>,
    /// What an anchor or alias is called.
    pub(super) name: Option<&'a str>,
}

/// A value (no key).
#[derive(Debug)]
pub(super) struct Node {
    /// The item that begins it.
    pub(super) first: usize,
    /// The item that ends it.
    pub(super) last: usize,
    /// Where a collection begins: with its first dash, or the anchor or tag of its first key.
    pub(super) start: usize,
    /// None below a key that is no scalar.
    pub(super) path: Option<String>,
    pub(super) parent: Parent,
}

/// What a value lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) kind: Kind,
    pub(super) flow: bool,
    /// Where its keys or dashes stand; none at the root.
    pub(super) column: Option<usize>,
    /// The item of the key.
    pub(super) key: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Root,
    Mapping,
    Sequence,
}

/// What an event says, without how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    Scalar {
        value: String,
        /// Whether its type follows from its text.
        plain: bool,
        tag: Option<String>,
        anchor: Option<String>,
    },
    Sequence {
        tag: Option<String>,
        anchor: Option<String>,
    },
    Mapping {
        tag: Option<String>,
        anchor: Option<String>,
    },
    End,
    Alias(String),
    Document,
}

/// Characters that the original lets pass and the parser does not are replaced by letters of the same length.
pub(super) fn readable(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'
            | '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let readable = text.chars().map(|c| match (odd(c), c.len_utf8()) {
        (false, _) => c,
        (true, 1) => 'x',
        (true, 2) => 'é',
        (true, _) => '中',
    });
    Cow::Owned(readable.collect())
}

/// Where the line of a place begins.
pub(super) fn line_start(text: &str, position: usize) -> usize {
    text[..position]
        .rfind(['\n', '\r'])
        .map_or(0, |newline| newline + 1)
}

/// Where the line of a place ends, before its line end.
pub(super) fn line_stop(text: &str, position: usize) -> usize {
    text[position..]
        .find(['\n', '\r'])
        .map_or(text.len(), |newline| position + newline)
}

/// How many characters stand before a place in its line.
pub(super) fn column(text: &str, position: usize) -> usize {
    text[line_start(text, position)..position]
        .trim_start_matches('\u{feff}')
        .chars()
        .count()
}

impl<'a> Document<'a> {
    /// Reads a text; the error says where it is no YAML.
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        let options = granit_parser::options! {
            emit_anchor_events: true,
            emit_unresolved_aliases: true,
        };
        let mut items: Vec<Item<'a>> = Vec::new();
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| error.to_string())?;
            let range = span
                .byte_range()
                .filter(|range| text.get(range.clone()).is_some())
                .ok_or("a value has no place in the text")?;
            match event {
                Event::Anchor(..) => {
                    if let Some(item) = items.last_mut() {
                        item.name = text.get(range.start + 1..range.end);
                        item.anchor = Some(range);
                    }
                }
                event => {
                    let name = event.is_alias().then(|| &text[range.start + 1..range.end]);
                    items.push(Item {
                        event,
                        range,
                        tag: span.tag_span().and_then(|span| span.byte_range()),
                        anchor: None,
                        name,
                    });
                }
            }
        }
        let nodes = nodes(text, &items);
        Ok(Self { items, nodes })
    }

    /// Whether the first document is a mapping or a sequence.
    pub(super) fn has_collection(&self) -> bool {
        self.items
            .iter()
            .find(|item| item.event.is_node())
            .is_some_and(|item| matches!(item.event, Event::MappingStart(..) | Event::SequenceStart(..)))
    }

    /// How many documents there are, and whether directives stand before the first.
    pub(super) fn documents(&self) -> usize {
        self.items
            .iter()
            .filter(|item| matches!(item.event, Event::DocumentStart(..)))
            .count()
    }

    /// What the text says.
    pub(super) fn meaning(&self) -> Vec<Meaning> {
        self.items.iter().filter_map(Item::meaning).collect()
    }
}

impl Item<'_> {
    /// What the event says; nothing for those that only frame others.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        let anchor = || self.anchor.as_ref().and(self.name).map(str::to_owned);
        let spelt = |tag: &Option<Cow<'_, Tag>>| {
            tag.as_ref()
                .map(|tag| format!("{}{}", tag.handle(), tag.suffix()))
        };
        Some(match &self.event {
            Event::Scalar(value, style, _, tag) => {
                let plain = *style == ScalarStyle::Plain;
                Meaning::Scalar {
                    value: if self.is_empty_scalar() {
                        String::new()
                    } else {
                        value.clone().into_owned()
                    },
                    plain,
                    tag: spelt(tag),
                    anchor: anchor(),
                }
            }
            Event::SequenceStart(_, _, tag) => Meaning::Sequence {
                tag: spelt(tag),
                anchor: anchor(),
            },
            Event::MappingStart(_, _, tag) => Meaning::Mapping {
                tag: spelt(tag),
                anchor: anchor(),
            },
            Event::SequenceEnd | Event::MappingEnd => Meaning::End,
            Event::Alias(_) | Event::UnresolvedAlias(_) => Meaning::Alias(self.name?.to_owned()),
            Event::DocumentStart(..) => Meaning::Document,
            _ => return None,
        })
    }

    /// A value that is left out.
    pub(super) fn is_empty_scalar(&self) -> bool {
        matches!(&self.event, Event::Scalar(_, ScalarStyle::Plain, ..)) && self.range.is_empty()
    }

    /// Where the last of anchor and tag ends.
    pub(super) fn properties_end(&self) -> Option<usize> {
        [&self.anchor, &self.tag]
            .into_iter()
            .filter_map(|range| range.as_ref().map(|range| range.end))
            .max()
    }

    /// Where the item begins, with anchor and tag.
    pub(super) fn outer_start(&self) -> usize {
        [&self.anchor, &self.tag]
            .into_iter()
            .filter_map(|range| range.as_ref().map(|range| range.start))
            .chain([self.range.start])
            .min()
            .unwrap_or(self.range.start)
    }
}

/// A collection that is open.
struct Frame {
    parent: Parent,
    path: Option<String>,
    root: bool,
    /// The next key or value of a mapping is a key.
    expects_key: bool,
    /// The key that waits for its value; none when it is no scalar.
    waiting: Option<String>,
    index: usize,
    /// The node of the collection itself; none for a key.
    node: Option<usize>,
}

fn nodes(text: &str, items: &[Item<'_>]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut open: Vec<Frame> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match &item.event {
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(node) = open.pop().and_then(|frame| frame.node) {
                    nodes[node].last = index;
                }
                continue;
            }
            event if !event.is_node() => continue,
            _ => {}
        }
        let below_key = open
            .last()
            .is_some_and(|frame| frame.parent.kind == Kind::Mapping && !frame.expects_key);
        let begins = start(text, items, index, below_key);
        let (node, path) = match open.last_mut() {
            Some(frame) if frame.expects_key => {
                frame.expects_key = false;
                frame.parent.key = Some(index);
                frame.waiting = match &item.event {
                    Event::Scalar(..) if item.is_empty_scalar() => Some(String::new()),
                    Event::Scalar(value, ..) => Some(value.clone().into_owned()),
                    _ => None,
                };
                (None, None)
            }
            top => {
                let (path, parent) = value_place(top);
                nodes.push(Node {
                    first: index,
                    last: index,
                    start: begins,
                    path: path.clone(),
                    parent,
                });
                (Some(nodes.len() - 1), path)
            }
        };
        let (kind, style) = match &item.event {
            Event::SequenceStart(style, ..) => (Kind::Sequence, style),
            Event::MappingStart(style, ..) => (Kind::Mapping, style),
            _ => continue,
        };
        let root = open.is_empty();
        let flow = *style == StructureStyle::Flow || open.last().is_some_and(|frame| frame.parent.flow);
        open.push(Frame {
            parent: Parent {
                kind,
                flow,
                // Of flow collections nobody asks, and they may all stand in one line.
                column: (!flow).then(|| column(text, begins)),
                key: None,
            },
            path,
            root,
            expects_key: kind == Kind::Mapping,
            waiting: None,
            index: 0,
            node,
        });
    }
    nodes
}

/// The path and the surroundings of the value that comes next.
fn value_place(top: Option<&mut Frame>) -> (Option<String>, Parent) {
    let Some(frame) = top else {
        let parent = Parent {
            kind: Kind::Root,
            flow: false,
            column: None,
            key: None,
        };
        return (Some(String::new()), parent);
    };
    let parent = frame.parent;
    let last = if parent.kind == Kind::Mapping {
        frame.expects_key = true;
        frame.waiting.take()
    } else {
        frame.index += 1;
        Some((frame.index - 1).to_string())
    };
    let path = match (&frame.path, last) {
        (Some(_), Some(last)) if frame.root => Some(last),
        (Some(path), Some(last)) => Some(format!("{path}:{last}")),
        _ => None,
    };
    (path, parent)
}

/// Where a collection begins: with its first dash, or the anchor or tag of its first key.
fn start(text: &str, items: &[Item<'_>], index: usize, below_key: bool) -> usize {
    let item = &items[index];
    let properties = item.properties_end().unwrap_or(0);
    match (&item.event, items.get(index + 1)) {
        (Event::MappingStart(StructureStyle::Block, ..), Some(first))
            if first.outer_start() >= properties =>
        {
            item.range.start.min(first.outer_start())
        }
        (Event::SequenceStart(StructureStyle::Block, ..), _) if below_key && index > 0 => {
            // The parser may place it behind its first dash.
            let mut position = items[index - 1].range.end.max(properties);
            loop {
                let rest = &text[position..];
                let Some(next) = rest.find(|c: char| !matches!(c, ' ' | '\t' | '\n' | '\r' | ':')) else {
                    return item.range.start;
                };
                position += next;
                if !text[position..].starts_with('#') {
                    break;
                }
                position = line_stop(text, position);
            }
            if text[position..].starts_with('-') && position <= item.range.start {
                position
            } else {
                item.range.start
            }
        }
        _ => item.range.start,
    }
}
