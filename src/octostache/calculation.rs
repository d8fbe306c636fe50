//! Recognises calculations: `#{calc …}` ("Variable templates" 2, 6).

use crate::character::is_foreign_digit;
use crate::parser::{Parsed, Parser};
use crate::template::{Kind, Sum, Term};

/// Parentheses in a calculation deeper than this do not parse.
const DEEPEST_CALCULATION: usize = 100;

impl Parser<'_> {
    pub(crate) fn calculation(&self, position: usize) -> Parsed<Kind> {
        let position = self.keyword_any_case(position, "calc")?;
        let position = self.blanks_at_least_one(position)?;
        let (sum, position) = self.operands(position, 0, ['+', '-'])?;
        let end = self.literal(self.blanks(position), "}")?;
        Ok((Kind::Calculation(sum), end))
    }

    fn operands(&self, start: usize, depth: usize, operators: [char; 2]) -> Parsed<Sum> {
        let product = operators[0] == '+';
        let operand = |at: usize| -> Parsed<Term> {
            if product {
                self.operands(at, depth, ['*', '/'])
                    .map(|(sum, end)| (Term::Sum(sum), end))
            } else {
                self.factor(at, depth)
            }
        };
        let (first, mut position) = operand(start)?;
        let mut rest = Vec::new();
        loop {
            let at = self.blanks(position);
            let Some(operator) = self.text[at..]
                .chars()
                .next()
                .filter(|found| operators.contains(found))
            else {
                break;
            };
            let Ok((term, end)) = operand(self.blanks(at + 1)) else {
                break;
            };
            rest.push((operator, term));
            position = end;
        }
        Ok((
            Sum {
                first: Box::new(first),
                rest,
            },
            position,
        ))
    }

    fn factor(&self, start: usize, depth: usize) -> Parsed<Term> {
        // A parenthesis is never read as part of a name here, though it may be one elsewhere.
        if let Ok(inside) = self.literal(start, "(") {
            if depth >= DEEPEST_CALCULATION {
                return Err(start);
            }
            let (sum, end) = self.operands(inside, depth + 1, ['+', '-'])?;
            return Ok((Term::Sum(sum), self.literal(end, ")")?));
        }
        let mut furthest = start;
        if let Some(found) = self.number(start) {
            return Ok(found);
        }
        if let Ok(inside) = self.literal(start, "{") {
            let closed = self
                .symbol(self.blanks(inside))
                .and_then(|(symbol, end)| Ok((Term::Symbol(symbol), self.literal(self.blanks(end), "}")?)));
            match closed {
                Ok(found) => return Ok(found),
                Err(reached) => furthest = furthest.max(reached),
            }
        }
        match self.symbol(self.blanks(start)) {
            Ok((symbol, end)) => Ok((Term::Symbol(symbol), self.blanks(end))),
            Err(reached) => Err(furthest.max(reached)),
        }
    }

    fn number(&self, start: usize) -> Option<(Term, usize)> {
        let digit = |character: char| character.is_ascii_digit() || is_foreign_digit(character);
        let whole = self.while_true(start, digit);
        let mut end = start + whole.len();
        if self.text[end..].starts_with('.') {
            let fraction = self.while_true(end + 1, digit);
            if !fraction.is_empty() {
                end += 1 + fraction.len();
            }
        }
        let written = &self.text[start..end];
        if written.chars().any(is_foreign_digit) {
            return Some((Term::ForeignDigits(start), end));
        }
        written.parse().ok().map(|number| (Term::Number(number), end))
    }
}
