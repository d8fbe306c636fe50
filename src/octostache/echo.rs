//! The normal form in which a construct without a value is echoed ("Variable templates" 4; observed 1.14).

use crate::number;
use crate::template::{
    Argument, Body, Branch, Condition, Construct, Expression, Kind, Piece, Side, Step, Sum, Symbol, Template,
    Term,
};
use crate::text::{before_construct, unescape};

/// Blocks nested deeper than this are echoed as they were written.
const DEEPEST: usize = 200;

/// `#{path | Filter "argument"}`.
pub(crate) fn substitution(template: &Template, expression: &Expression) -> String {
    format!("#{{{}}}", self::expression(template, expression))
}

/// `path | Filter "argument" #{argument}`.
pub(crate) fn expression(template: &Template, expression: &Expression) -> String {
    expression_at(template, expression, 0)
}

/// `#{if …}…#{else}…#{/if}`, whatever it was written as.
pub(crate) fn conditional(template: &Template, branches: &[Branch], otherwise: Option<Body>) -> String {
    conditional_at(template, branches, otherwise, 0)
}

/// `Octopus.Action[Web].Name`.
pub(crate) fn symbol(template: &Template, symbol: &Symbol) -> String {
    let mut path = String::new();
    for (position, step) in symbol.steps.iter().enumerate() {
        match step {
            Step::Name(name) if position == 0 => path.push_str(&name.written),
            Step::Name(name) => {
                path.push('.');
                path.push_str(&name.written);
            }
            Step::Index(index) => path.push_str(&format!("[{}]", index.written)),
            Step::Computed(at) => {
                path.push_str(&format!(
                    "[#{{{}}}]",
                    self::symbol(template, template.index_symbol(*at))
                ));
            }
        }
    }
    path
}

/// The terms without blanks, parentheses and braces.
pub(crate) fn calculation(template: &Template, sum: &Sum) -> String {
    let mut text = term(template, &sum.first);
    for (operator, operand) in &sum.rest {
        text.push(*operator);
        text.push_str(&term(template, operand));
    }
    text
}

fn term(template: &Template, term: &Term) -> String {
    match term {
        Term::Number(value) => number::print(*value),
        Term::ForeignDigits(_) => String::new(),
        Term::Symbol(symbol) => self::symbol(template, symbol),
        Term::Sum(sum) => calculation(template, sum),
    }
}

fn expression_at(template: &Template, expression: &Expression, depth: usize) -> String {
    let mut text = expression
        .input
        .as_ref()
        .map(|input| symbol(template, input))
        .unwrap_or_default();
    for filter in &expression.filters {
        text.push_str(" | ");
        text.push_str(&filter.name);
        for argument in &filter.arguments {
            text.push(' ');
            match argument {
                Argument::Text(argument) => text.push_str(&quoted(argument)),
                Argument::Construct(at) => text.push_str(&construct(template, *at, depth + 1)),
            }
        }
    }
    text
}

/// A text in quotes; what would begin a construct is escaped.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace("#{", "##{"))
}

fn construct(template: &Template, position: usize, depth: usize) -> String {
    let Construct { end, kind } = template.construct(position);
    if depth > DEEPEST {
        return template.text[position..*end].to_owned();
    }
    match kind {
        Kind::Substitution(expression) => format!("#{{{}}}", expression_at(template, expression, depth)),
        Kind::Conditional { branches, otherwise } => conditional_at(template, branches, *otherwise, depth),
        Kind::Repetition {
            name,
            collection,
            body,
        } => format!(
            "#{{each {} in {}}}{}#{{/each}}",
            name.written,
            symbol(template, collection),
            self::body(template, *body, depth)
        ),
        Kind::Calculation(sum) => format!("#{{{}}}", calculation(template, sum)),
    }
}

fn conditional_at(template: &Template, branches: &[Branch], otherwise: Option<Body>, depth: usize) -> String {
    let Some((first, rest)) = branches.split_first() else {
        return otherwise
            .map(|body| self::body(template, body, depth))
            .unwrap_or_default();
    };
    if depth > DEEPEST {
        return template.text[first.body.start..first.body.end].to_owned();
    }
    let mut then = body(template, first.body, depth);
    let mut other = conditional_at(template, rest, otherwise, depth + 1);
    if first.negated {
        std::mem::swap(&mut then, &mut other);
    }
    let condition = condition(template, &first.condition, depth);
    let other = if other.is_empty() {
        other
    } else {
        format!("#{{else}}{other}")
    };
    format!("#{{if {condition}}}{then}{other}#{{/if}}")
}

fn condition(template: &Template, condition: &Condition, depth: usize) -> String {
    let left = expression_at(template, &condition.left, depth);
    let Some(comparison) = &condition.comparison else {
        return left;
    };
    let operator = if comparison.equal { "==" } else { "!=" };
    let right = match &comparison.right {
        Side::Expression(expression) => expression_at(template, expression, depth),
        Side::Text(text) => quoted(text),
    };
    format!("{left} {operator} {right} ")
}

fn body(template: &Template, body: Body, depth: usize) -> String {
    let mut output = String::new();
    for piece in template.body(body) {
        match piece {
            Piece::Text(range) => {
                let mut text = String::new();
                let followed = before_construct(&template.text, range.end);
                unescape(&template.text[range], followed, &mut text);
                output.push_str(&text.replace("#{", "##{"));
            }
            Piece::Raw(range) => output.push_str(&template.text[range]),
            Piece::Construct(position) => output.push_str(&construct(template, position, depth + 1)),
        }
    }
    output
}
