#![doc = include_str!("README.md")]

mod calculation;
mod character;
mod echo;
mod evaluation;
mod name_tree;
mod number;
mod parser;
#[cfg(test)]
mod stories;
mod template;
mod text;
mod variable_collection;

pub use character::fold;
pub use evaluation::{Evaluation, EvaluationError, Limits, evaluate, evaluate_template, is_true};
pub use name_tree::{NameTree, Node};
pub use template::{ParseError, Template};
pub use variable_collection::{VariableCollection, Variables};
