//! XPath: 1.0 for transforms, and of 2.0 what names of variables are written with.
//!
//! 2.0 adds `*:name`, sequences, `to`, `if`, `for`, `some`, `every`, `intersect`, `except`, `eq` and its kin, and the
//! functions that `function` lists. An expression that uses more of 2.0 does not parse.

mod axis;
mod conversion;
mod evaluation;
mod expression;
mod function;
mod grammar;
mod lexer;

use super::document::{Document, NodeId};
use std::collections::HashMap;

pub use evaluation::{Item, Value};

/// Which language an expression is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// XPath 1.0.
    One,
    /// XPath 2.0, as far as it is there.
    Two,
}

/// An expression, ready to be tried on documents.
#[derive(Debug, Clone)]
pub struct XPath {
    text: String,
    expression: expression::Expression,
    dialect: Dialect,
}

/// What an expression selects: a node, or an attribute by its element and index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A node.
    Node(NodeId),
    /// An attribute.
    Attribute(NodeId, usize),
}

/// Why an expression is none, or gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XPathError {
    /// It does not parse.
    #[error("'{expression}' is no XPath expression: {reason}")]
    Syntax {
        /// The expression.
        expression: String,
        /// What was wrong with it.
        reason: String,
    },
    /// It names a variable, and there are none.
    #[error("the XPath expression '{expression}' uses the variable ${name}, which is not defined")]
    Variable {
        /// The expression.
        expression: String,
        /// The name without `$`.
        name: String,
    },
    /// It gives a text, a number or a truth.
    #[error("the XPath expression '{expression}' yields no nodes, but a value")]
    NoNodes {
        /// The expression.
        expression: String,
    },
    /// A function was given what it cannot use.
    #[error("the XPath expression '{expression}' fails: {reason}")]
    Failed {
        /// The expression.
        expression: String,
        /// Why.
        reason: String,
    },
    /// It takes too long.
    #[error("the XPath expression '{expression}' looks at too many nodes; make it more specific")]
    Endless {
        /// The expression.
        expression: String,
    },
}

/// Where prefixes are looked up: prefix to address.
pub type Prefixes = HashMap<String, String>;

/// Longest expression that is read, in bytes.
const LONGEST: usize = 16 << 10;

impl XPath {
    /// Reads an expression. Its prefixes must be known.
    ///
    /// # Errors
    /// It does not parse, or names an unknown prefix or function.
    pub fn parse(text: &str, prefixes: &Prefixes, dialect: Dialect) -> Result<Self, XPathError> {
        let syntax = |reason: String| XPathError::Syntax {
            expression: text.to_owned(),
            reason,
        };
        if text.len() > LONGEST {
            return Err(XPathError::Syntax {
                expression: text.chars().take(80).collect(),
                reason: format!("it is longer than {LONGEST} bytes"),
            });
        }
        let tokens = lexer::tokens(text, dialect).map_err(syntax)?;
        let expression = grammar::parse(&tokens, prefixes, dialect).map_err(syntax)?;
        Ok(Self {
            text: text.to_owned(),
            expression,
            dialect,
        })
    }

    /// The nodes that it selects, seen from `context`, in the order of the document. With `blanks`, text of blanks alone
    /// counts as text.
    ///
    /// # Errors
    /// It yields no nodes but a value, uses a variable, or takes too long.
    pub fn select(
        &self,
        document: &Document,
        context: NodeId,
        blanks: bool,
    ) -> Result<Vec<Place>, XPathError> {
        let value = self.evaluate(document, context, blanks)?;
        value
            .into_iter()
            .map(|item| match item {
                Item::Node(place) => Ok(place),
                _ => Err(XPathError::NoNodes {
                    expression: self.text.clone(),
                }),
            })
            .collect()
    }

    /// What it yields, seen from `context`.
    ///
    /// # Errors
    /// It uses a variable, or takes too long.
    pub fn evaluate(&self, document: &Document, context: NodeId, blanks: bool) -> Result<Value, XPathError> {
        let evaluator = evaluation::Evaluator::new(document, &self.text, self.dialect, blanks);
        evaluator.run(&self.expression, Place::Node(context))
    }
}
