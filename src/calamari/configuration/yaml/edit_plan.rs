//! Which bytes change when values are put in, and what the text is to mean then.

use super::super::edit::{Edit, line_end};
use super::document::{Document, Item, Kind, Meaning, Node, column, line_start, line_stop};
use super::fragment::{self, Form, Fragment};
use super::scalar;
use granit_parser::{Event, ScalarStyle, StructureStyle};
use std::collections::HashMap;
use std::ops::Range;

/// The changes to a text.
pub(super) struct Plan<'a> {
    text: &'a str,
    document: &'a Document<'a>,
    /// Whether everything is written on one line, in quotes where there is a doubt.
    plain_form: bool,
    line_end: &'static str,
    step: usize,
    edits: Vec<Edit>,
    /// The new meaning of the items from the first to the last of a node.
    meant: HashMap<usize, (usize, Vec<Meaning>)>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(text: &'a str, document: &'a Document<'a>, plain_form: bool) -> Self {
        Self {
            text,
            document,
            plain_form,
            line_end: line_end(text),
            step: step(text),
            edits: Vec::new(),
            meant: HashMap::new(),
        }
    }

    /// The edits, and what the text means with them.
    pub(super) fn finish(mut self) -> (Vec<Edit>, Vec<Meaning>) {
        let mut meaning = Vec::new();
        let mut index = 0;
        while index < self.document.items.len() {
            if let Some((last, new)) = self.meant.remove(&index) {
                meaning.extend(new);
                index = last + 1;
            } else {
                meaning.extend(self.document.items[index].meaning());
                index += 1;
            }
        }
        if self.line_end != "\n" {
            for edit in &mut self.edits {
                edit.text = edit.text.replace('\n', self.line_end);
            }
        }
        (self.edits, meaning)
    }

    /// Puts a value where a node is.
    pub(super) fn replace(&mut self, index: usize, value: Option<&str>) {
        let node = &self.document.nodes[index];
        let item = &self.document.items[node.first];
        match &item.event {
            Event::Scalar(_, style, ..) => self.scalar(node, item, *style, value),
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                self.collection(node, item, *style, value);
            }
            _ => {}
        }
    }

    fn edit(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.edits.push(Edit {
            range,
            text: text.into(),
        });
    }

    fn scalar(&mut self, node: &Node, item: &Item<'_>, style: ScalarStyle, value: Option<&str>) {
        let flow = node.parent.flow;
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if is_block
            && !self.plain_form
            && let Some(value) = value
            && self.block(node, item, style == ScalarStyle::Folded, value)
        {
            return;
        }
        let (written, plain) = match value {
            None => ("null".to_owned(), true),
            // A text that needs quotes is written in double ones; a plain form must stay plain to keep its type.
            Some(value) if self.plain_form && style != ScalarStyle::Plain => {
                (scalar::double_quoted(value), false)
            }
            Some(value) => scalar::line(value, style, flow),
        };
        let mut meaning = item.meaning();
        if let Some(Meaning::Scalar {
            value: meant,
            plain: meant_plain,
            tag,
            ..
        }) = &mut meaning
        {
            value.unwrap_or("null").clone_into(meant);
            *meant_plain = plain;
            if value.is_none() {
                *tag = None;
            }
        }
        self.meant
            .insert(node.first, (node.last, meaning.into_iter().collect()));
        if value.is_none() {
            self.drop_tag(item);
        }
        if is_block {
            let (header, content) = self.block_ranges(item);
            let line_stop = line_stop(self.text, header.end);
            self.edit(header, written);
            if content.end > line_stop {
                self.edit(line_stop..content.end, "");
            }
        } else if item.is_empty_scalar() {
            self.fill(node, item, &written);
        } else {
            self.edit(item.range.clone(), written);
        }
    }

    /// Takes the tag away.
    fn drop_tag(&mut self, item: &Item<'_>) {
        if let Some(tag) = &item.tag {
            self.drop_property(tag);
        }
    }

    /// Takes an anchor or a tag away, with the blanks before it.
    fn drop_property(&mut self, property: &Range<usize>) {
        let before = self.text[..property.start].trim_end_matches([' ', '\t']).len();
        self.edit(before..property.end, "");
    }

    /// Writes a value where there was none.
    fn fill(&mut self, node: &Node, item: &Item<'_>, written: &str) {
        let position = item.range.start;
        if let Some(end) = item.properties_end() {
            return self.edit(end..end, format!(" {written}"));
        }
        if node.parent.kind == Kind::Mapping {
            let rest = &self.text[position..];
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            if rest[blanks..].starts_with(':') {
                let behind = position + blanks + 1;
                return self.edit(behind..behind, format!(" {written}"));
            }
            // A key alone: `? key` or, between commas, `key`.
            let behind = node
                .parent
                .key
                .map_or(position, |key| self.document.items[key].range.end);
            let indent = " ".repeat(node.parent.column.unwrap_or(0));
            let text = if node.parent.flow {
                format!(": {written}")
            } else {
                format!("\n{indent}: {written}")
            };
            return self.edit(behind..behind, text);
        }
        let blank = if self.text[..position].ends_with([' ', '\t', '\n']) || position == 0 {
            ""
        } else {
            " "
        };
        self.edit(position..position, format!("{blank}{written}"));
    }

    /// Writes a block scalar as one; says whether that could be.
    fn block(&mut self, node: &Node, item: &Item<'_>, folded: bool, value: &str) -> bool {
        let (header, content) = self.block_ranges(item);
        let old = &self.text[header.clone()];
        let parent = node.parent.column;
        let explicit = old.chars().find_map(|c| c.to_digit(10));
        let first = item.range.start;
        let indent = match (explicit, parent) {
            (Some(digit), Some(parent)) => parent + digit as usize,
            _ if first > header.end && content.end > line_stop(self.text, header.end) => {
                column(self.text, first)
            }
            _ => parent.map_or(0, |parent| parent + self.step),
        };
        let Some(block) = scalar::block(value, folded, indent, parent) else {
            return false;
        };
        let mut meaning = item.meaning();
        if let Some(Meaning::Scalar { value, .. }) = &mut meaning {
            value.clone_from(&block.value);
        }
        self.meant
            .insert(node.first, (node.last, meaning.into_iter().collect()));
        let kept = old.contains('+') || block.keeps;
        let end = if kept {
            self.blank_lines_end(content.end)
        } else {
            content.end
        };
        let line_stop = line_stop(self.text, header.end);
        let style = if folded { '>' } else { '|' };
        self.edit(header, format!("{style}{}", block.header));
        let final_line_end = if end == self.text.len() { "\n" } else { "" };
        self.edit(
            line_stop..end.max(line_stop),
            format!("\n{}{final_line_end}", block.lines),
        );
        true
    }

    /// Where the blank lines behind a place end, before the last line end.
    fn blank_lines_end(&self, position: usize) -> usize {
        let mut end = position;
        let rest = &self.text[position..];
        let mut behind = 0;
        for line in rest.split_inclusive('\n').skip(1) {
            if !line.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
                break;
            }
            behind += line.len();
        }
        if behind > 0 {
            let first = rest.find('\n').map_or(0, |newline| newline + 1);
            end = position + first + behind;
            end -= usize::from(self.text[..end].ends_with('\n'));
            end -= usize::from(self.text[..end].ends_with('\r'));
        }
        end
    }

    /// Where `|` and its signs stand, and where the content goes from the line below them to the end of its last line.
    fn block_ranges(&self, item: &Item<'_>) -> (Range<usize>, Range<usize>) {
        let text = self.text;
        // Of an empty scalar the range begins with the sign itself.
        let empty = matches!(&item.event, Event::Scalar(value, ..) if value.trim_matches('\n').is_empty());
        let at_sign = text[item.range.start..].starts_with(['|', '>']) && self.is_header(item.range.start);
        let header = if empty && at_sign {
            item.range.start
        } else {
            let above = text[..line_start(text, item.range.start)].trim_end();
            let line = line_start(text, above.len());
            let from = item.properties_end().filter(|end| *end > line).unwrap_or(line);
            text[from..above.len()]
                .char_indices()
                .filter(|(_, c)| matches!(c, '|' | '>'))
                .map(|(offset, _)| from + offset)
                .find(|position| self.is_header(*position))
                .unwrap_or(from)
        };
        let signs = text[header + 1..]
            .find(|c: char| !matches!(c, '+' | '-' | '0'..='9'))
            .unwrap_or(text.len() - header - 1);
        let header = header..header + 1 + signs;
        let content = text[item.range.clone()].trim_end_matches([' ', '\t', '\r', '\n']);
        let end = if empty {
            header.end
        } else {
            item.range.start + content.len()
        };
        let end = line_stop(text, end);
        (header, item.range.start..end)
    }

    /// Whether what stands here, to the end of the line, can only be the beginning of a block scalar.
    fn is_header(&self, position: usize) -> bool {
        let before = self.text[..position].chars().next_back();
        let rest = &self.text[position + 1..line_stop(self.text, position)];
        let rest = rest.trim_start_matches(|c: char| matches!(c, '+' | '-' | '0'..='9'));
        before.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'))
            && (rest.trim().is_empty()
                || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')))
    }

    fn collection(&mut self, node: &Node, item: &Item<'_>, style: StructureStyle, value: Option<&str>) {
        let text = self.text;
        let Fragment { form, mut meaning } = fragment::read(value, node.parent.flow, self.plain_form);
        self.keep_anchor(item, &mut meaning);
        self.meant.insert(node.first, (node.last, meaning));
        self.drop_tag(item);
        let from = node.start;
        let end = self.end(node);
        if style == StructureStyle::Flow || node.parent.flow {
            let Form::Block { lines, .. } = form else {
                let Form::Line(line) = form else { return };
                return self.edit(from..end, line);
            };
            let own_line = text[line_start(text, from)..from].trim().is_empty();
            if own_line || (node.parent.kind == Kind::Sequence && item.properties_end().is_none()) {
                let column = self.allowed(node, column(text, from), false);
                return self.put_lines(from..end, column, own_line, &lines);
            }
            // Below the key; what stands behind the value in its line stays there.
            let before = text[..from].trim_end_matches([' ', '\t']).len();
            let stop = line_stop(text, end);
            let indent = " ".repeat(node.parent.column.map_or(0, |column| column + self.step));
            self.edit(before..end, "");
            return self.edit(
                stop..stop,
                format!("\n{indent}{}", lines.join(&format!("\n{indent}"))),
            );
        }
        let behind = text[end..line_stop(text, end)].trim_start();
        let end = if behind.is_empty() || behind.starts_with('#') {
            line_stop(text, end)
        } else {
            end
        };
        match form {
            Form::Block { lines, sequence } => {
                let own_line = text[line_start(text, from)..from].trim().is_empty();
                let column = self.allowed(node, column(text, from), sequence);
                self.put_lines(from..end, column, own_line, &lines);
            }
            Form::Line(line) => {
                if let Some(head) = self.head(item, from) {
                    let blank = if head == 0 { "" } else { " " };
                    return self.edit(head..end, format!("{blank}{line}"));
                }
                let column = self.allowed(node, column(text, from), false);
                self.put_lines(from..end, column, true, &[line]);
            }
        }
    }

    /// The anchor of the old node stays, unless the new one brings its own.
    fn keep_anchor(&mut self, item: &Item<'_>, meaning: &mut [Meaning]) {
        let (Some(anchor), Some(name)) = (&item.anchor, item.name) else {
            return;
        };
        if let Some(
            Meaning::Scalar { anchor: own, .. }
            | Meaning::Sequence { anchor: own, .. }
            | Meaning::Mapping { anchor: own, .. },
        ) = meaning.first_mut()
            && own.is_none()
        {
            *own = Some(name.to_owned());
            return;
        }
        self.drop_property(anchor);
    }

    /// The place behind `:`, `-`, anchor or tag, when only blanks and line ends stand between it and the value.
    fn head(&self, item: &Item<'_>, from: usize) -> Option<usize> {
        let text = self.text;
        let head = match item.properties_end() {
            Some(end) => end,
            None => text[..from].trim_end().len(),
        };
        let line = &text[line_start(text, head)..head];
        let blank = text[head..from].trim().is_empty();
        let comment = line.starts_with('#') || line.contains(" #") || line.contains("\t#");
        let sign = item.properties_end().is_some() || head == 0 || line.ends_with([':', '-']);
        (blank && !comment && sign && !line.starts_with("---")).then_some(head)
    }

    /// The column at which lines may stand below what the node lies in.
    fn allowed(&self, node: &Node, column: usize, sequence: bool) -> usize {
        match node.parent.column {
            Some(parent) if node.parent.kind == Kind::Mapping && sequence => column.max(parent),
            Some(parent) if column <= parent => parent + self.step,
            _ => column,
        }
    }

    fn put_lines(&mut self, range: Range<usize>, at: usize, own_line: bool, lines: &[String]) {
        let indent = " ".repeat(at);
        let now = column(self.text, range.start);
        let first = if own_line {
            " ".repeat(at.saturating_sub(now))
        } else {
            String::new()
        };
        let mut joined = format!("{first}{}", lines.first().map_or("", String::as_str));
        for line in lines.iter().skip(1) {
            joined.push('\n');
            if !line.trim().is_empty() {
                joined.push_str(&indent);
                joined.push_str(line);
            }
        }
        self.edit(range, joined);
    }

    /// Where the last part of a node ends.
    fn end(&self, node: &Node) -> usize {
        let items = &self.document.items;
        let last = &items[node.last];
        if !last.range.is_empty() {
            return last.range.end;
        }
        let end = items[node.first..=node.last]
            .iter()
            .enumerate()
            .map(|(offset, item)| match &item.event {
                Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => {
                    self.block_ranges(item).1.end
                }
                Event::Scalar(..) if item.is_empty_scalar() => self.empty_end(node.first + offset, item),
                Event::Scalar(..) | Event::Alias(_) | Event::UnresolvedAlias(_) => item.range.end,
                Event::SequenceEnd | Event::MappingEnd => {
                    item.range.end * usize::from(!item.range.is_empty())
                }
                _ => item
                    .properties_end()
                    .unwrap_or(0)
                    .max(item.range.end * usize::from(offset > 0 && !item.range.is_empty())),
            })
            .max()
            .unwrap_or(last.range.end);
        // The line end behind the last line is not part of the node.
        self.text[..end].trim_end().len().max(node.start)
    }

    /// Where a value that is left out ends: behind the sign that it would follow.
    fn empty_end(&self, index: usize, item: &Item<'_>) -> usize {
        if let Some(end) = item.properties_end() {
            return end;
        }
        let before = self.document.items[..index]
            .iter()
            .rev()
            .filter(|item| !item.range.is_empty())
            .map(|item| item.range.end)
            .find(|end| *end <= item.range.start)
            .unwrap_or(0);
        let rest = &self.text[item.range.start..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if rest[blanks..].starts_with(':') {
            item.range.start + blanks + 1
        } else {
            self.text[..item.range.start].trim_end().len().max(before)
        }
    }
}

/// The most frequent step of indentation, from 2 to 9.
fn step(text: &str) -> usize {
    let mut counts = [0_usize; 10];
    let mut before = 0;
    for line in text.lines() {
        let trimmed = line.trim_start_matches(' ');
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let indentation = line.len() - trimmed.len();
        if indentation > before
            && let Some(count) = counts.get_mut(indentation - before)
        {
            *count += 1;
        }
        before = indentation;
    }
    (2..10)
        .rev()
        .max_by_key(|step| counts[*step])
        .filter(|step| counts[*step] > 0)
        .unwrap_or(2)
}
