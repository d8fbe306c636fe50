//! The normal form of constructs: as they are echoed when they have no value ("Variable templates" 4; observed 1.14), and
//! as a template is printed so that it reads back.

use crate::character::is_foreign_digit;
use crate::number;
use crate::template::{
    Argument, Body, Branch, Condition, Construct, Expression, Kind, Piece, Side, Step, Sum, Symbol, Template,
    Term,
};
use crate::text::{before_construct, index, unescape};

/// Blocks nested deeper than this stay as they were written.
const DEEPEST: usize = 100;

/// `#{path | Filter "argument"}`.
pub(crate) fn substitution(template: &Template, expression: &Expression) -> String {
    ECHO.substitution(template, expression, 0)
}

/// `path | Filter "argument" #{argument}`.
pub(crate) fn expression(template: &Template, expression: &Expression) -> String {
    ECHO.expression(template, expression, 0)
}

/// `#{if …}…#{else}…#{/if}`, whatever it was written as.
pub(crate) fn conditional(template: &Template, branch: &Branch, otherwise: Option<Body>) -> String {
    ECHO.conditional(template, branch, otherwise, 0)
}

/// The terms without blanks, parentheses and braces.
pub(crate) fn calculation(template: &Template, sum: &Sum) -> String {
    ECHO.sum(template, sum)
}

/// The whole template, so that it reads back as what it is.
pub(crate) fn source(template: &Template) -> String {
    Form { source: true }.body(template, template.whole(), 0)
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
            Step::Index(name) => path.push_str(&format!("[{}]", name.written)),
            Step::Written(range) => {
                path.push_str(&format!("[{}]", index(&template.text[range.clone()])));
            }
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

const ECHO: Form = Form { source: false };

/// What the normal form is for.
#[derive(Clone, Copy)]
struct Form {
    /// It must read back; an echo need not: it drops parentheses and braces of calculations and escapes texts.
    source: bool,
}

impl Form {
    fn substitution(self, template: &Template, expression: &Expression, depth: usize) -> String {
        format!("#{{{}}}", self.expression(template, expression, depth))
    }

    fn expression(self, template: &Template, expression: &Expression, depth: usize) -> String {
        let mut text = expression
            .input
            .as_ref()
            .map(|input| symbol(template, input))
            .unwrap_or_default();
        for (name, arguments) in template.filters(expression) {
            text.push_str(" | ");
            text.push_str(name);
            for argument in arguments {
                text.push(' ');
                match argument {
                    Argument::Text(argument) => text.push_str(&self.quoted(argument)),
                    Argument::Construct(at) => {
                        // A blank after a substitution would end the arguments.
                        if self.source && text.ends_with("} ") {
                            text.pop();
                        }
                        text.push_str(&self.body(template, Body::at(*at), depth));
                    }
                }
            }
        }
        text
    }

    fn quoted(self, text: &str) -> String {
        if !self.source {
            // What would begin a construct is escaped.
            return format!("\"{}\"", text.replace("#{", "##{"));
        }
        if text.contains(['"', '#']) {
            format!("\\\"{text}\\\"")
        } else {
            format!("\"{text}\"")
        }
    }

    fn construct(self, template: &Template, position: usize, depth: usize) -> String {
        let Construct { end, kind } = template.construct(position);
        if depth > DEEPEST {
            return template.text[position..*end].to_owned();
        }
        match kind {
            Kind::Substitution(expression) => self.substitution(template, expression, depth),
            Kind::Conditional { branch, otherwise } => self.conditional(template, branch, *otherwise, depth),
            Kind::Repetition {
                name,
                collection,
                body,
            } => format!(
                "#{{each {} in {}}}{}#{{/each}}",
                name.written,
                symbol(template, collection),
                self.body(template, *body, depth)
            ),
            Kind::Calculation(sum) if self.source => format!("#{{calc {}}}", self.sum(template, sum)),
            Kind::Calculation(sum) => format!("#{{{}}}", self.sum(template, sum)),
        }
    }

    fn conditional(
        self,
        template: &Template,
        branch: &Branch,
        otherwise: Option<Body>,
        depth: usize,
    ) -> String {
        let body = branch.body;
        if depth > DEEPEST {
            return template.text[body.start..body.end].to_owned();
        }
        let mut then = self.body(template, body, depth);
        let mut other = match (template.branches(branch).nth(1), otherwise) {
            (Some(next), _) => self.conditional(template, next, otherwise, depth + 1),
            (None, Some(body)) => self.body(template, body, depth + 1),
            (None, None) => String::new(),
        };
        if branch.negated {
            std::mem::swap(&mut then, &mut other);
        }
        let condition = self.condition(template, &branch.condition, depth);
        let other = if other.is_empty() {
            other
        } else {
            format!("#{{else}}{other}")
        };
        format!("#{{if {condition}}}{then}{other}#{{/if}}")
    }

    fn condition(self, template: &Template, condition: &Condition, depth: usize) -> String {
        let left = self.expression(template, &condition.left, depth);
        let Some(comparison) = &condition.comparison else {
            return left;
        };
        let operator = if comparison.equal { "==" } else { "!=" };
        let right = match &comparison.right {
            Side::Expression(expression) => self.expression(template, expression, depth),
            Side::Text(text) => self.quoted(text),
        };
        format!("{left} {operator} {right} ")
    }

    fn body(self, template: &Template, body: Body, depth: usize) -> String {
        let mut output = String::new();
        for piece in template.body(body) {
            match piece {
                Piece::Text(range) => {
                    let followed = before_construct(&template.text, range.end);
                    let mut text = String::new();
                    unescape(&template.text[range], followed, &mut text);
                    output.push_str(&text.replace("#{", "##{"));
                    if self.source && followed && text.ends_with('#') {
                        output.push('#');
                    }
                }
                Piece::Raw(range) | Piece::Broken(range) | Piece::Plain(range) => {
                    output.push_str(&template.text[range])
                }
                Piece::Construct(position) => {
                    output.push_str(&self.construct(template, position, depth + 1));
                }
            }
        }
        output
    }

    fn sum(self, template: &Template, sum: &Sum) -> String {
        let mut text = self.product(template, &sum.first);
        for (operator, operand) in &sum.rest {
            text.push(*operator);
            text.push_str(&self.product(template, operand));
        }
        text
    }

    fn product(self, template: &Template, term: &Term) -> String {
        let Term::Sum(product) = term else {
            return self.factor(template, term);
        };
        let mut text = self.factor(template, &product.first);
        for (operator, operand) in &product.rest {
            text.push(*operator);
            text.push_str(&self.factor(template, operand));
        }
        text
    }

    fn factor(self, template: &Template, term: &Term) -> String {
        match term {
            Term::Number(value) if self.source => value.to_string(),
            Term::Number(value) => number::print(*value),
            Term::ForeignDigits(position) => template.text[*position..]
                .chars()
                .take_while(|digit| digit.is_ascii_digit() || is_foreign_digit(*digit) || *digit == '.')
                .collect(),
            Term::Symbol(symbol) if self.source => format!("{{{}}}", self::symbol(template, symbol)),
            Term::Symbol(symbol) => self::symbol(template, symbol),
            Term::Sum(sum) if self.source => format!("({})", self.sum(template, sum)),
            Term::Sum(sum) => self.sum(template, sum),
        }
    }
}
