//! Recognises the construct at every `#{`, from the end of the text to its start ("Variable templates" 2).
//!
//! Every function answers with where its part ends, or with the furthest place at which it failed: whole files go on from
//! there (observed 1.9). What is optional or repeated never fails.

use crate::character::{Name, is_blank, is_name_character};
use crate::template::{
    Argument, Body, Branch, Comparison, Condition, Construct, Expression, Filter, Kind, Side, Step, Symbol,
};
use crate::text;
use std::cell::OnceCell;
use std::collections::HashMap;

/// A parsed part and its end, or the place of the failure.
pub(crate) type Parsed<T> = Result<(T, usize), usize>;

pub(crate) struct Parser<'a> {
    pub(crate) text: &'a str,
    constructs: HashMap<usize, Result<Construct, usize>>,
    index_symbols: HashMap<usize, Parsed<Symbol>>,
    /// For the `#{` at a position: where a body that reaches it ends, under each kind of block.
    body_ends: HashMap<usize, [usize; 3]>,
    brackets: OnceCell<HashMap<usize, usize>>,
    escaped_quotes: OnceCell<Vec<usize>>,
}

/// What ends the body of a block, besides what does not parse.
#[derive(Clone, Copy)]
enum Block {
    /// `#{else}` and `#{elseif `.
    If,
    /// `#{else}`.
    Unless,
    /// Nothing: `#{else}` is a variable there.
    Plain,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            constructs: HashMap::new(),
            index_symbols: HashMap::new(),
            body_ends: HashMap::new(),
            brackets: OnceCell::new(),
            escaped_quotes: OnceCell::new(),
        }
    }

    /// Finds the construct at each `#{`, the last one first.
    pub(crate) fn recognise(&mut self) {
        let starts: Vec<usize> = self
            .text
            .match_indices("#{")
            .map(|(position, _)| position)
            .collect();
        for position in starts.into_iter().rev() {
            let index_symbol = self.index_symbol(position);
            self.index_symbols.insert(position, index_symbol);
            let construct = self.construct(position);
            let next = construct.as_ref().ok().map(|construct| construct.end);
            self.constructs.insert(position, construct);
            let ends = [Block::If, Block::Unless, Block::Plain].map(|block| match next {
                Some(next) if !self.stops(position, block) => self.body_end(next, block),
                _ => position,
            });
            self.body_ends.insert(position, ends);
        }
    }

    pub(crate) fn text_end(&self, position: usize) -> usize {
        text::text_end(self.text, position)
    }

    pub(crate) fn construct_end(&self, position: usize) -> Result<usize, usize> {
        match self.constructs.get(&position) {
            Some(Ok(construct)) => Ok(construct.end),
            Some(Err(reached)) => Err(*reached),
            None => Err(position),
        }
    }

    pub(crate) fn into_parts(self) -> (HashMap<usize, Construct>, HashMap<usize, Symbol>) {
        let constructs = self
            .constructs
            .into_iter()
            .filter_map(|(at, found)| Some((at, found.ok()?)))
            .collect();
        let symbols = self
            .index_symbols
            .into_iter()
            .filter_map(|(at, found)| Some((at, found.ok()?.0)))
            .collect();
        (constructs, symbols)
    }

    fn construct(&self, start: usize) -> Result<Construct, usize> {
        let mut furthest = start;
        for alternative in [
            Self::conditional,
            Self::calculation,
            Self::repetition,
            Self::substitution,
        ] {
            match alternative(self, start) {
                Ok((kind, end)) => return Ok(Construct { end, kind }),
                Err(reached) => furthest = furthest.max(reached),
            }
        }
        Err(furthest)
    }

    // ---- blocks ----

    fn conditional(&self, start: usize) -> Parsed<Kind> {
        let position = self.opening(start)?;
        let (negated, position) = match self.keyword_any_case(position, "if") {
            Ok(position) => (false, position),
            Err(reached) => match self.keyword_any_case(position, "unless") {
                Ok(position) => (true, position),
                Err(other) => return Err(reached.max(other)),
            },
        };
        let position = self.blanks_at_least_one(position)?;
        let (condition, position) = self.condition(position)?;
        let position = self.literal(self.blanks(position), "}")?;
        let block = if negated { Block::Unless } else { Block::If };
        let mut end = self.body_end(position, block);
        let body = Body { start: position, end };
        let mut branches = vec![Branch {
            condition,
            negated,
            body,
        }];
        if !negated {
            while let Ok((branch, next)) = self.else_if(end) {
                branches.push(branch);
                end = next;
            }
        }
        let mut otherwise = None;
        if let Ok(start) = self.literal(end, "#{else}") {
            end = self.body_end(start, Block::Plain);
            otherwise = Some(Body { start, end });
        }
        let end = self.literal(end, if negated { "#{/unless}" } else { "#{/if}" })?;
        Ok((Kind::Conditional { branches, otherwise }, end))
    }

    fn else_if(&self, start: usize) -> Parsed<Branch> {
        let position = self.literal(start, "#{elseif")?;
        let position = self.blanks_at_least_one(position)?;
        let (condition, position) = self.condition(position)?;
        let start = self.literal(self.blanks(position), "}")?;
        let end = self.body_end(start, Block::If);
        Ok((
            Branch {
                condition,
                negated: false,
                body: Body { start, end },
            },
            end,
        ))
    }

    fn repetition(&self, start: usize) -> Parsed<Kind> {
        let position = self.opening(start)?;
        let position = self.keyword_any_case(position, "each")?;
        let position = self.blanks_at_least_one(position)?;
        let (name, position) = self.identifier(position)?;
        let position = self.literal(self.blanks(position), "in")?;
        let (collection, position) = self.symbol(self.blanks(position))?;
        let position = self.literal(self.blanks(position), "}")?;
        let end = self.body_end(position, Block::Plain);
        let body = Body { start: position, end };
        let end = self.literal(end, "#{/each}")?;
        Ok((
            Kind::Repetition {
                name: Name::new(name),
                collection,
                body,
            },
            end,
        ))
    }

    /// The end of a body that begins here: the `#{` at which it stops, or the end of the text.
    fn body_end(&self, start: usize, block: Block) -> usize {
        let position = self.text_end(start);
        self.body_ends
            .get(&position)
            .map_or(position, |ends| ends[block as usize])
    }

    fn stops(&self, position: usize, block: Block) -> bool {
        let rest = &self.text[position..];
        match block {
            Block::Plain => false,
            Block::Unless => rest.starts_with("#{else}"),
            Block::If => {
                rest.starts_with("#{else}")
                    || rest
                        .strip_prefix("#{elseif")
                        .is_some_and(|after| after.chars().next().is_some_and(is_blank))
            }
        }
    }

    // ---- conditions ----

    fn condition(&self, start: usize) -> Parsed<Condition> {
        let mut furthest = start;
        let alternatives = [
            Self::compared_expressions,
            Self::compared_to_text_on_the_left,
            Self::compared_to_text,
        ];
        for alternative in alternatives {
            match alternative(self, start) {
                Ok(found) => return Ok(found),
                Err(reached) => furthest = furthest.max(reached),
            }
        }
        match self.expression(start) {
            Ok((left, end)) => Ok((
                Condition {
                    left,
                    comparison: None,
                },
                end,
            )),
            Err(reached) => Err(furthest.max(reached)),
        }
    }

    fn compared_expressions(&self, start: usize) -> Parsed<Condition> {
        let (left, position) = self.expression(start)?;
        let (equal, position) = self.comparator(position)?;
        let (right, end) = self.expression(position)?;
        let right = Side::Expression(right);
        Ok((
            Condition {
                left,
                comparison: Some(Comparison { equal, right }),
            },
            end,
        ))
    }

    fn compared_to_text_on_the_left(&self, start: usize) -> Parsed<Condition> {
        let (text, position) = self.string(start)?;
        let (equal, position) = self.comparator(position)?;
        let (left, end) = self.expression(position)?;
        Ok((
            Condition {
                left,
                comparison: Some(Comparison {
                    equal,
                    right: Side::Text(text),
                }),
            },
            end,
        ))
    }

    fn compared_to_text(&self, start: usize) -> Parsed<Condition> {
        let (left, position) = self.expression(start)?;
        let (equal, position) = self.comparator(position)?;
        let (text, end) = self.string(position)?;
        Ok((
            Condition {
                left,
                comparison: Some(Comparison {
                    equal,
                    right: Side::Text(text),
                }),
            },
            end,
        ))
    }

    fn comparator(&self, start: usize) -> Parsed<bool> {
        let position = self.blanks(start);
        match self.literal(position, "==") {
            Ok(end) => Ok((true, self.blanks(end))),
            Err(reached) => match self.literal(position, "!=") {
                Ok(end) => Ok((false, self.blanks(end))),
                Err(other) => Err(reached.max(other)),
            },
        }
    }

    fn string(&self, start: usize) -> Parsed<String> {
        match self.quoted(start) {
            Ok(found) => Ok(found),
            Err(reached) => self.escaped_quoted(start).map_err(|other| reached.max(other)),
        }
    }

    // ---- substitutions ----

    fn substitution(&self, start: usize) -> Parsed<Kind> {
        let position = self.opening(start)?;
        let (expression, position) = self.expression(position)?;
        let end = self.literal(self.blanks(position), "}")?;
        Ok((Kind::Substitution(expression), end))
    }

    /// `#{symbol}`, the only thing that an index can be computed from.
    fn index_symbol(&self, start: usize) -> Parsed<Symbol> {
        let position = self.opening(start)?;
        let (symbol, position) = self.symbol(position)?;
        let end = self.literal(self.blanks(position), "}")?;
        Ok((symbol, end))
    }

    fn expression(&self, start: usize) -> Parsed<Expression> {
        match self.filtered(start) {
            Ok(found) => Ok(found),
            Err(reached) => match self.symbol(start) {
                Ok((symbol, end)) => Ok((
                    Expression {
                        input: Some(symbol),
                        filters: Vec::new(),
                    },
                    end,
                )),
                Err(other) => Err(reached.max(other)),
            },
        }
    }

    fn filtered(&self, start: usize) -> Parsed<Expression> {
        let (input, position) = match self.symbol(self.blanks(start)) {
            Ok((symbol, end)) => (Some(symbol), self.blanks(end)),
            Err(_) => (None, start),
        };
        let (first, mut position) = self.filter(position)?;
        let mut filters = vec![first];
        while let Ok((filter, end)) = self.filter(position) {
            filters.push(filter);
            position = end;
        }
        Ok((Expression { input, filters }, position))
    }

    fn filter(&self, start: usize) -> Parsed<Filter> {
        let position = self.literal(start, "|")?;
        let (name, position) = self.word(self.blanks(position))?;
        let mut position = self.blanks(position);
        let mut arguments = Vec::new();
        while let Some((argument, end)) = self.argument(position) {
            arguments.push(argument);
            position = end;
        }
        Ok((Filter { name, arguments }, position))
    }

    fn argument(&self, start: usize) -> Option<(Argument, usize)> {
        if let Some(Ok(construct)) = self.constructs.get(&start) {
            return Some((Argument::Construct(start), construct.end));
        }
        if let Ok((word, end)) = self.word(self.blanks(start)) {
            return Some((Argument::Text(word), self.blanks(end)));
        }
        self.string(start)
            .ok()
            .map(|(text, end)| (Argument::Text(text), end))
    }

    /// Name characters without blanks.
    fn word(&self, start: usize) -> Parsed<String> {
        let word: &str = self.while_true(start, is_name_character);
        if word.is_empty() {
            Err(start)
        } else {
            Ok((word.to_owned(), start + word.len()))
        }
    }

    fn quoted(&self, start: usize) -> Parsed<String> {
        let position = self.literal(self.blanks(start), "\"")?;
        let inside = self.while_true(position, |character| character != '"' && character != '#');
        let end = self.literal(position + inside.len(), "\"")?;
        Ok((inside.to_owned(), self.blanks(end)))
    }

    fn escaped_quoted(&self, start: usize) -> Parsed<String> {
        let position = self.literal(self.blanks(start), "\\\"")?;
        let quotes = self.escaped_quotes.get_or_init(|| {
            self.text
                .match_indices("\\\"")
                .map(|(position, _)| position)
                .collect()
        });
        let next = quotes[quotes.partition_point(|quote| *quote < position)..].first();
        let end = *next.ok_or(self.text.len())?;
        Ok((self.text[position..end].to_owned(), self.blanks(end + 2)))
    }

    // ---- names ----

    pub(crate) fn symbol(&self, start: usize) -> Parsed<Symbol> {
        let (name, mut position) = self.identifier(start)?;
        let mut steps = vec![Step::Name(Name::new(name))];
        loop {
            let step = match self.text.as_bytes().get(position) {
                Some(b'.') => self
                    .identifier(position + 1)
                    .map(|(name, end)| (Step::Name(Name::new(name)), end)),
                Some(b'[') => self.indexer(position),
                _ => break,
            };
            let Ok((step, end)) = step else { break };
            steps.push(step);
            position = end;
        }
        Ok((
            Symbol {
                position: start,
                steps,
            },
            position,
        ))
    }

    fn identifier(&self, start: usize) -> Parsed<String> {
        let mut end = start;
        while let Some(character) = self.text[end..].chars().next() {
            let belongs = is_name_character(character)
                || (is_blank(character) && self.blank_belongs(end + character.len_utf8()));
            if !belongs {
                break;
            }
            end += character.len_utf8();
        }
        if end == start {
            Err(start)
        } else {
            Ok((self.text[start..end].trim().to_owned(), end))
        }
    }

    /// Whether the blank before `after` is part of a name.
    fn blank_belongs(&self, after: usize) -> bool {
        let rest = &self.text[after..];
        if rest.starts_with('|') {
            return false;
        }
        if let Some(beyond) = rest.strip_prefix('}') {
            return beyond.is_empty();
        }
        !["in", "==", "!="].iter().any(|word| {
            rest.strip_prefix(word)
                .is_some_and(|beyond| beyond.chars().next().is_some_and(is_blank))
        })
    }

    fn indexer(&self, start: usize) -> Parsed<Step> {
        let inside = self.blanks(self.literal(start, "[")?);
        if let Some(Ok((_, end))) = self.index_symbols.get(&inside)
            && let Ok(end) = self.literal(self.blanks(*end), "]")
        {
            return Ok((Step::Computed(inside), end));
        }
        let close = *self.brackets().get(&start).ok_or(self.text.len())?;
        let written = &self.text[inside.min(close)..close];
        let mut index = String::with_capacity(written.len());
        let mut after_bracket = false;
        for character in written.chars() {
            if after_bracket && is_blank(character) {
                continue;
            }
            after_bracket = character == '[';
            index.push(character);
        }
        Ok((Step::Index(Name::new(index)), close + 1))
    }

    /// For each `[` the `]` that closes it.
    fn brackets(&self) -> &HashMap<usize, usize> {
        self.brackets.get_or_init(|| {
            let mut open = Vec::new();
            let mut pairs = HashMap::new();
            for (position, byte) in self.text.bytes().enumerate() {
                match byte {
                    b'[' => open.push(position),
                    b']' => {
                        if let Some(start) = open.pop() {
                            pairs.insert(start, position);
                        }
                    }
                    _ => {}
                }
            }
            pairs
        })
    }

    // ---- characters ----

    /// `#{` that does not close a block, and the blanks after it.
    pub(crate) fn opening(&self, start: usize) -> Result<usize, usize> {
        let position = self.literal(start, "#{")?;
        if self.text[position..].starts_with('/') {
            Err(position)
        } else {
            Ok(self.blanks(position))
        }
    }

    pub(crate) fn literal(&self, start: usize, word: &str) -> Result<usize, usize> {
        self.matching(start, word, |found, wanted| found == wanted)
    }

    pub(crate) fn keyword_any_case(&self, start: usize, word: &str) -> Result<usize, usize> {
        self.matching(start, word, |found, wanted| found.eq_ignore_ascii_case(&wanted))
    }

    fn matching(&self, start: usize, word: &str, same: fn(char, char) -> bool) -> Result<usize, usize> {
        let mut position = start;
        let mut text = self.text[start..].chars();
        for wanted in word.chars() {
            match text.next() {
                Some(found) if same(found, wanted) => position += found.len_utf8(),
                _ => return Err(position),
            }
        }
        Ok(position)
    }

    pub(crate) fn blanks(&self, start: usize) -> usize {
        start + self.while_true(start, is_blank).len()
    }

    pub(crate) fn blanks_at_least_one(&self, start: usize) -> Result<usize, usize> {
        let end = self.blanks(start);
        if end == start { Err(start) } else { Ok(end) }
    }

    pub(crate) fn while_true(&self, start: usize, holds: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[start..];
        &rest[..rest.find(|character| !holds(character)).unwrap_or(rest.len())]
    }
}
