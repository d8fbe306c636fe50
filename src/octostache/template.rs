//! A parsed text: what stands at each place of it, and an arena of the constructs that are more than a plain reference.

use crate::character::Name;
use crate::parser::{Parser, Placed};
use crate::text::{plain_end, text_part};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

/// A text that was parsed once and can be evaluated many times.
#[derive(Debug, Clone)]
pub struct Template<'t> {
    pub(crate) text: Cow<'t, str>,
    /// Made when a construct is met that is no plain reference.
    arena: OnceLock<Arena>,
}

/// What was recognised at the `#{` of a text; plain references are not in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arena {
    /// The constructs with their positions, in order.
    pub constructs: Placed<Construct>,
    /// Each `#{elseif …}` of a block with its position, in order. They stand here once, since blocks that begin in the index
    /// of something else may have the same ones.
    pub else_ifs: Placed<Branch>,
    /// What follows a construct as an argument, with the position of the construct, in order; for the same reason.
    pub after_arguments: Placed<Chain>,
    /// The symbols of computed indexes, with the positions of their `#{`, in order.
    pub index_symbols: Placed<Symbol>,
    /// Each `#{` where no construct stands, with the furthest place that could be read, in order.
    pub broken: Placed<u32>,
}

/// Why a text is not a template: what stands at this place cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the template does not parse at line {line}, column {column}: {found:?} is not a complete construct; write ##{{ for a literal #{{"
)]
pub struct ParseError {
    /// Line of the construct that cannot be read, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The beginning of the construct.
    pub found: String,
}

impl<'t> Template<'t> {
    /// Reads a text strictly: every `#{` must begin a complete construct. A text without `#{` always parses and is
    /// its own value, without any unescaping.
    ///
    /// # Errors
    /// [`ParseError`] with the place of the first construct that cannot be read.
    pub fn parse(text: &'t str) -> Result<Self, ParseError> {
        let template = Self::parse_keep_going(text);
        let broken = template.body(template.whole()).find_map(|piece| match piece {
            Piece::Broken(range) => Some(range.start),
            _ => None,
        });
        match broken {
            None => Ok(template),
            Some(position) => Err(ParseError::at(text, position)),
        }
    }

    /// Reads a text as whole files are read: what does not parse stays in the output as it is.
    pub fn parse_keep_going(text: &'t str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            arena: OnceLock::new(),
        }
    }

    /// The same with a text of its own.
    pub(crate) fn into_owned(self) -> Template<'static> {
        Template {
            text: Cow::Owned(self.text.into_owned()),
            arena: self.arena,
        }
    }

    /// A text that is a path as far as it can be read, such as the name of a variable.
    pub(crate) fn path(text: &'t str) -> Option<(Self, Symbol)> {
        let mut parser = Parser::new(text);
        if text.contains("#{") {
            parser.recognise();
        }
        let (symbol, _) = parser.symbol(0).ok()?;
        let template = Self {
            text: Cow::Borrowed(text),
            arena: OnceLock::from(parser.into_arena()),
        };
        Some((template, symbol))
    }

    /// The template in normal form: one blank around bars, arguments in quotes, `unless` and `elseif` as `if`. It reads back
    /// as a template of the same meaning when this one was read strictly.
    pub fn print(&self) -> String {
        crate::echo::source(self)
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The top level, as a body.
    pub(crate) fn whole(&self) -> Body {
        Body {
            start: 0,
            end: self.text.len(),
        }
    }

    /// The pieces of a body, in order.
    pub(crate) fn body(&self, body: Body) -> impl Iterator<Item = Piece> + '_ {
        let mut position = body.start;
        std::iter::from_fn(move || {
            if position >= body.end {
                return None;
            }
            let (end, doubled) = text_part(&self.text, position);
            let (piece, end) = if end == position {
                self.at_hash(position)
            } else if doubled {
                (Piece::Text(position..end), end)
            } else {
                (Piece::Raw(position..end), end)
            };
            position = end;
            Some(piece)
        })
    }

    /// What stands at this `#{`, and where it ends.
    #[inline]
    fn at_hash(&self, position: usize) -> (Piece, usize) {
        if let Some(end) = plain_end(&self.text, position) {
            return (Piece::Plain(position..end), end);
        }
        let arena = self.arena();
        if let Some(construct) = at(&arena.constructs, position) {
            return (Piece::Construct(position), construct.end);
        }
        let reached = at(&arena.broken, position).map_or(0, |reached| *reached as usize);
        let end = reached.max(position + 1);
        (Piece::Broken(position..end), end)
    }

    pub(crate) fn construct(&self, position: usize) -> &Construct {
        // Positions come from the parser, which stores a construct for each that it hands out.
        at(&self.arena().constructs, position)
            .expect("a construct stands at each position that the parser gave")
    }

    pub(crate) fn index_symbol(&self, position: usize) -> &Symbol {
        at(&self.arena().index_symbols, position)
            .expect("a symbol stands at each computed index that the parser gave")
    }

    /// This branch of a block and those that follow it: where the body of one ends, the next begins.
    pub(crate) fn branches<'b>(&'b self, branch: &'b Branch) -> impl Iterator<Item = &'b Branch> {
        std::iter::successors(Some(branch), |branch| at(&self.arena().else_ifs, branch.body.end))
    }

    /// The filters of an expression, with all their arguments.
    pub(crate) fn filters<'b>(&'b self, expression: &'b Expression) -> Vec<(&'b str, Vec<&'b Argument>)> {
        let mut filters: Vec<(&str, Vec<&Argument>)> = Vec::new();
        let mut more = &expression.filters;
        loop {
            filters.extend(
                more.iter()
                    .map(|filter| (filter.name.as_str(), filter.arguments.iter().collect())),
            );
            let Some((_, arguments)) = filters.last_mut() else {
                return filters;
            };
            let Some(Argument::Construct(position)) = arguments.last() else {
                return filters;
            };
            let Some(chain) = at(&self.arena().after_arguments, *position) else {
                return filters;
            };
            arguments.extend(&chain.arguments);
            more = &chain.filters;
        }
    }

    fn arena(&self) -> &Arena {
        self.arena.get_or_init(|| {
            let mut parser = Parser::new(&self.text);
            parser.recognise();
            parser.into_arena()
        })
    }
}

fn at<T>(placed: &[(u32, T)], position: usize) -> Option<&T> {
    let place = placed
        .binary_search_by_key(&position, |(at, _)| *at as usize)
        .ok()?;
    Some(&placed[place].1)
}

impl ParseError {
    fn at(text: &str, position: usize) -> Self {
        let (line, column) = line_and_column(text, position);
        Self {
            line,
            column,
            found: text[position..]
                .chars()
                .take_while(|character| *character != '\n')
                .take(30)
                .collect(),
        }
    }
}

/// Line and column, in characters, of a place in a text; both from 1.
pub(crate) fn line_and_column(text: &str, position: usize) -> (usize, usize) {
    let before = &text[..position];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// A part of the top level or of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text with hashes that may be doubled.
    Text(Range<usize>),
    /// Text that stands for itself.
    Raw(Range<usize>),
    /// A `#{` where no construct stands, with what could be read of one.
    Broken(Range<usize>),
    /// A reference that is a path of names and nothing else; with its `#{` and `}`.
    Plain(Range<usize>),
    /// The construct at this position.
    Construct(usize),
}

/// One `#{…}`, with everything up to its closing part.
#[derive(Debug, Clone)]
pub(crate) struct Construct {
    pub end: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Substitution(Expression),
    Conditional {
        /// The first of [`Template::branches`].
        branch: Box<Branch>,
        otherwise: Option<Body>,
    },
    Repetition {
        name: Name,
        collection: Symbol,
        body: Body,
    },
    Calculation(Sum),
}

/// `if`, `unless` or `elseif` with what stands under it.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub condition: Condition,
    /// `unless`: the body is taken when the condition does not hold.
    pub negated: bool,
    pub body: Body,
}

/// The contents of a block: from position to position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Body {
    pub start: usize,
    pub end: usize,
}

impl Body {
    /// Just the construct at this position.
    pub(crate) fn at(position: usize) -> Self {
        Self {
            start: position,
            end: position + 1,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub left: Expression,
    pub comparison: Option<Comparison>,
}

#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub equal: bool,
    pub right: Side,
}

#[derive(Debug, Clone)]
pub(crate) enum Side {
    Expression(Expression),
    Text(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub input: Option<Symbol>,
    /// The first of [`Template::filters`].
    pub filters: Vec<Filter>,
}

/// Arguments of a filter, and the filters behind it, up to the first argument that is a construct.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    pub arguments: Vec<Argument>,
    pub filters: Vec<Filter>,
}

#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub name: String,
    pub arguments: Vec<Argument>,
}

#[derive(Debug, Clone)]
pub(crate) enum Argument {
    Text(String),
    /// The construct at this position.
    Construct(usize),
}

/// A path: `Octopus.Action[Web].Name`.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    /// Where it stands in its text; part of what makes a circle a circle.
    pub position: usize,
    pub steps: Vec<Step>,
}

impl Symbol {
    /// A path of names without blanks.
    pub(crate) fn of_names(path: &str, position: usize) -> Self {
        let names = path.split('.').map(|name| Name::new(name.to_owned()));
        Self {
            position,
            steps: names.map(Step::Name).collect(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Name(Name),
    Index(Name),
    /// The same, as it stands in the text, where a `#{` is in it.
    Written(Range<usize>),
    /// An index named by the symbol of the substitution at this position.
    Computed(usize),
}

/// Operands of a calculation, left to right; each level holds operators of one strength.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    pub first: Box<Term>,
    pub rest: Vec<(char, Term)>,
}

#[derive(Debug, Clone)]
pub(crate) enum Term {
    Number(f64),
    /// Digits of another script at this position: the grammar takes them, but they are no number.
    ForeignDigits(usize),
    Symbol(Symbol),
    /// A product, or a sum in parentheses.
    Sum(Sum),
}
