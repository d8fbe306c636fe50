//! Recognises the construct at every `#{`, from the end of the text to its start ("Variable templates" 2).
//!
//! Every function answers with where its part ends, or with the furthest place at which it failed: whole files go on from
//! there (observed 1.9). What is optional or repeated never fails.

use crate::character::{Name, is_blank, is_name_character};
use crate::start::{Starts, State, narrow};
use crate::template::{
    Arena, Argument, Body, Branch, Chain, Comparison, Condition, Construct, Expression, Filter, Kind, Side,
    Step, Symbol,
};
use crate::text;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

/// A parsed part and its end, or the place of the failure.
pub(crate) type Parsed<T> = Result<(T, usize), usize>;

/// Parts with the positions of their `#{`, in order.
pub(crate) type Placed<T> = Vec<(u32, T)>;

pub(crate) struct Parser<'a> {
    pub(crate) text: &'a str,
    starts: Starts,
    /// Those that are more than plain references, the last one first.
    constructs: Placed<Construct>,
    /// The `#{elseif …}` from which on a block closes, the last one first.
    else_ifs: Placed<Branch>,
    /// What follows the body of each `#{elseif …}`, the last one first: many blocks may try the same ones in vain.
    after_else_ifs: Placed<Parsed<Option<Body>>>,
    /// What follows a construct as an argument, and where that ends: many filters may have the same arguments.
    after_arguments: RefCell<BTreeMap<u32, (Chain, u32)>>,
    /// Symbols of computed indexes, and where they end, the last one first.
    index_symbols: Placed<(Symbol, usize)>,
    /// Each `[` that is closed, with its `]`, in order.
    brackets: OnceCell<Placed<u32>>,
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
            starts: Starts::default(),
            constructs: Vec::new(),
            else_ifs: Vec::new(),
            after_else_ifs: Vec::new(),
            after_arguments: RefCell::default(),
            index_symbols: Vec::new(),
            brackets: OnceCell::new(),
            escaped_quotes: OnceCell::new(),
        }
    }

    /// Finds the construct at each `#{`, the last one first.
    pub(crate) fn recognise(&mut self) {
        self.starts = Starts::of(self.text);
        for number in (0..self.starts.all.len()).rev() {
            let position = self.starts.all[number].position as usize;
            let read = self.read(position);
            let beyond = read
                .ok()
                .map(|end| self.body_ends(self.starts.text_end(self.text, end)).map(narrow));
            let body_ends = [Block::If, Block::Unless, Block::Plain].map(|block| match beyond {
                Some(ends) if !self.stops(position, block) => ends[block as usize],
                _ => narrow(position),
            });
            let start = &mut self.starts.all[number];
            start.body_ends = body_ends;
            (start.state, start.end) = match read {
                Ok(end) => (State::Construct, narrow(end)),
                Err(reached) => (State::Broken, narrow(reached)),
            };
        }
    }

    /// Reads the construct at a `#{` and stores what others need of it; where it ends, or how far it could be read.
    fn read(&mut self, position: usize) -> Result<usize, usize> {
        let inside = self.opening(position)?;
        // Most of what no construct begins with is known by its first character.
        if !self.may_begin(inside) {
            return Err(inside);
        }
        if self.text[..position].trim_end().ends_with('[')
            && let Ok(symbol) = self.index_symbol(inside)
        {
            self.index_symbols.push((narrow(position), symbol));
        }
        if let Some(end) = text::plain_end(self.text, position) {
            return Ok(end);
        }
        if let Ok((branch, end)) = self.else_if(position) {
            let after = self.after_if(end);
            if after.is_ok() {
                self.else_ifs.push((narrow(position), branch));
            }
            self.after_else_ifs.push((narrow(position), after));
        }
        let construct = self.construct(position, inside)?;
        let end = construct.end;
        self.constructs.push((narrow(position), construct));
        Ok(end)
    }

    fn may_begin(&self, inside: usize) -> bool {
        self.text[inside..]
            .chars()
            .next()
            .is_some_and(|first| first == '|' || is_name_character(first))
    }

    pub(crate) fn into_arena(self) -> Arena {
        let (mut constructs, mut else_ifs, mut index_symbols) =
            (self.constructs, self.else_ifs, self.index_symbols);
        constructs.reverse();
        else_ifs.reverse();
        index_symbols.reverse();
        let broken = self
            .starts
            .all
            .iter()
            .filter(|start| start.state == State::Broken);
        Arena {
            broken: broken.map(|start| (start.position, start.end)).collect(),
            constructs,
            else_ifs,
            after_arguments: self
                .after_arguments
                .into_inner()
                .into_iter()
                .map(|(position, (chain, _))| (position, chain))
                // The last one of all has nothing behind it.
                .filter(|(_, chain)| !chain.arguments.is_empty() || !chain.filters.is_empty())
                .collect(),
            index_symbols: index_symbols
                .into_iter()
                .map(|(position, (symbol, _))| (position, symbol))
                .collect(),
        }
    }

    fn construct(&self, start: usize, inside: usize) -> Result<Construct, usize> {
        // A keyword that differs in its first letter fails where it begins, as everything does at the latest.
        let keyword: Option<fn(&Self, usize) -> Parsed<Kind>> =
            match self.text.as_bytes().get(inside).map(u8::to_ascii_lowercase) {
                Some(b'i' | b'u') => Some(Self::conditional),
                Some(b'c') => Some(Self::calculation),
                Some(b'e') => Some(Self::repetition),
                _ => None,
            };
        let mut furthest = start.max(inside);
        let substitution: fn(&Self, usize) -> Parsed<Kind> = Self::substitution;
        for alternative in keyword.into_iter().chain([substitution]) {
            match alternative(self, inside) {
                Ok((kind, end)) => return Ok(Construct { end, kind }),
                Err(reached) => furthest = furthest.max(reached),
            }
        }
        Err(furthest)
    }

    // ---- blocks ----

    fn conditional(&self, position: usize) -> Parsed<Kind> {
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
        let end = self.body_end(position, block);
        let body = Body { start: position, end };
        let branch = Box::new(Branch {
            condition,
            negated,
            body,
        });
        let (otherwise, end) = if negated {
            self.closing(end, "#{/unless}")?
        } else {
            self.after_if(end)?
        };
        Ok((Kind::Conditional { branch, otherwise }, end))
    }

    /// What follows the body of an `if` or `elseif`, up to `#{/if}`, and the `else` in it.
    fn after_if(&self, position: usize) -> Parsed<Option<Body>> {
        let else_if = self
            .after_else_ifs
            .binary_search_by(|(at, _)| position.cmp(&(*at as usize)));
        match else_if {
            Ok(place) => self.after_else_ifs[place].1,
            Err(_) => self.closing(position, "#{/if}"),
        }
    }

    /// `#{else}` with its body or nothing, and the end of the block.
    fn closing(&self, position: usize, word: &str) -> Parsed<Option<Body>> {
        let otherwise = self.literal(position, "#{else}").ok().map(|start| Body {
            start,
            end: self.body_end(start, Block::Plain),
        });
        let end = self.literal(otherwise.map_or(position, |body| body.end), word)?;
        Ok((otherwise, end))
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

    fn repetition(&self, position: usize) -> Parsed<Kind> {
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
        self.body_ends(self.starts.text_end(self.text, start))[block as usize]
    }

    fn body_ends(&self, position: usize) -> [usize; 3] {
        self.starts
            .found(position)
            .map_or([position; 3], |found| found.body_ends.map(|end| end as usize))
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

    /// `a == b`, `"a" == b`, `a == "b"`, or `a` alone, in this order.
    fn condition(&self, start: usize) -> Parsed<Condition> {
        let (left, after_left) = match self.expression(start) {
            Ok(left) => left,
            Err(reached) => {
                return self
                    .compared_to_text_on_the_left(start)
                    .map_err(|other| other.max(reached));
            }
        };
        if let Ok((equal, position)) = self.comparator(after_left) {
            let right = match self.expression(position) {
                Ok((right, end)) => Ok((Side::Expression(right), end)),
                Err(_) => self.string(position).map(|(text, end)| (Side::Text(text), end)),
            };
            if let Ok((right, end)) = right {
                let comparison = Some(Comparison { equal, right });
                return Ok((Condition { left, comparison }, end));
            }
        }
        Ok((
            Condition {
                left,
                comparison: None,
            },
            after_left,
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

    fn substitution(&self, inside: usize) -> Parsed<Kind> {
        let (expression, position) = self.expression(inside)?;
        let end = self.literal(self.blanks(position), "}")?;
        Ok((Kind::Substitution(expression), end))
    }

    /// `#{symbol}`, the only thing that an index can be computed from.
    fn index_symbol(&self, inside: usize) -> Parsed<Symbol> {
        let (symbol, position) = self.symbol(inside)?;
        let end = self.literal(self.blanks(position), "}")?;
        Ok((symbol, end))
    }

    /// A path or none, and filters; at least one of both.
    fn expression(&self, start: usize) -> Parsed<Expression> {
        let from = self.blanks(start);
        let (input, plain_end) = match self.symbol(from) {
            Ok((symbol, end)) => (Some(symbol), end),
            Err(_) => (None, start),
        };
        let position = match &input {
            Some(_) => self.blanks(plain_end),
            None => start,
        };
        let (filters, position) = self.filters(position);
        if !filters.is_empty() {
            return Ok((Expression { input, filters }, position));
        }
        match input {
            Some(_) => Ok((Expression { input, filters }, plain_end)),
            // A filter without input fails where its name should be.
            None => Err(self.filter_name(start).err().unwrap_or(start)),
        }
    }

    /// Filters up to the first argument that is a construct, and where all of them end. What is behind that argument is kept
    /// at its position.
    fn filters(&self, start: usize) -> (Vec<Filter>, usize) {
        let mut first = Chain::default();
        let (mut construct, mut end) = self.more_filters(&mut first, start);
        let mut passed = Vec::new();
        while let Some(position) = construct {
            if let Some((_, known)) = self.after_arguments.borrow().get(&position) {
                end = *known as usize;
                break;
            }
            let mut chain = Chain::default();
            (construct, end) = self.chain(&mut chain, end);
            passed.push((position, chain));
        }
        let passed = passed
            .into_iter()
            .map(|(position, chain)| (position, (chain, narrow(end))));
        self.after_arguments.borrow_mut().extend(passed);
        (first.filters, end)
    }

    /// Reads arguments and filters up to the first construct; its position if there is one, and where it or all ends.
    fn chain(&self, chain: &mut Chain, start: usize) -> (Option<u32>, usize) {
        match self.arguments(&mut chain.arguments, start) {
            (None, end) => self.more_filters(chain, end),
            found => found,
        }
    }

    fn more_filters(&self, chain: &mut Chain, mut position: usize) -> (Option<u32>, usize) {
        while let Ok((name, inside)) = self.filter_name(position) {
            let mut arguments = Vec::new();
            let (construct, end) = self.arguments(&mut arguments, inside);
            chain.filters.push(Filter { name, arguments });
            position = end;
            if construct.is_some() {
                return (construct, position);
            }
        }
        (None, position)
    }

    fn arguments(&self, arguments: &mut Vec<Argument>, mut position: usize) -> (Option<u32>, usize) {
        while let Some((argument, end)) = self.argument(position) {
            position = end;
            let construct = match argument {
                Argument::Construct(at) => Some(narrow(at)),
                Argument::Text(_) => None,
            };
            arguments.push(argument);
            if construct.is_some() {
                return (construct, position);
            }
        }
        (None, position)
    }

    fn filter_name(&self, start: usize) -> Parsed<String> {
        let position = self.literal(start, "|")?;
        let (name, position) = self.word(self.blanks(position))?;
        Ok((name, self.blanks(position)))
    }

    fn argument(&self, start: usize) -> Option<(Argument, usize)> {
        if let Some(found) = self.starts.found(start)
            && found.state == State::Construct
        {
            return Some((Argument::Construct(start), found.end as usize));
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
        let computed = self
            .index_symbols
            .binary_search_by(|(at, _)| inside.cmp(&(*at as usize)));
        if let Ok(place) = computed
            && let (_, (_, end)) = &self.index_symbols[place]
            && let Ok(end) = self.literal(self.blanks(*end), "]")
        {
            return Ok((Step::Computed(inside), end));
        }
        let brackets = self.brackets();
        let Ok(place) = brackets.binary_search_by_key(&start, |(open, _)| *open as usize) else {
            return Err(self.text.len());
        };
        let close = brackets[place].1 as usize;
        let written = inside.min(close)..close;
        // Constructs in each other's brackets would hold the same long text many times over.
        let step = match self.starts.from(written.start).first() {
            Some(start) if (start.position as usize) < close => Step::Written(written),
            _ => Step::Index(Name::new(text::index(&self.text[written]))),
        };
        Ok((step, close + 1))
    }

    /// Each `[` that is closed, with the `]` that does it.
    fn brackets(&self) -> &[(u32, u32)] {
        self.brackets.get_or_init(|| {
            let mut open = Vec::new();
            let mut closed = Vec::new();
            for (position, byte) in (0..=u32::MAX).zip(self.text.bytes()) {
                match byte {
                    b'[' => open.push(position),
                    b']' => closed.extend(open.pop().map(|start| (start, position))),
                    _ => {}
                }
            }
            closed.sort_unstable();
            closed
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
        self.matching(start, word, u8::eq_ignore_ascii_case)
    }

    /// The word is ASCII, so that a place where it differs is the beginning of a character.
    fn matching(&self, start: usize, word: &str, same: fn(&u8, &u8) -> bool) -> Result<usize, usize> {
        let text = &self.text.as_bytes()[start..];
        let pairs = text.iter().zip(word.as_bytes());
        let equal = pairs.take_while(|(found, wanted)| same(found, wanted)).count();
        if equal == word.len() {
            Ok(start + equal)
        } else {
            Err(start + equal)
        }
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
