#![doc = include_str!("README.md")]

mod calculation;
mod character;
mod context;
mod echo;
mod evaluation;
mod explanation;
mod file_form;
mod filter;
mod json;
mod name_tree;
mod number;
mod parser;
mod place;
#[cfg(test)]
mod properties;
mod recent;
mod resolution;
mod run;
mod start;
#[cfg(test)]
mod stories;
mod template;
mod text;
mod variable_collection;

pub use character::fold;
pub use evaluation::{Evaluation, EvaluationError, Evaluator, Limits, evaluate, evaluate_template, is_true};
pub use explanation::{Explanation, Read};
pub use file_form::FileError;
pub use filter::HostFilters;
pub use name_tree::{NameTree, Node};
pub use place::Place;
pub use template::{ParseError, Template};
pub use variable_collection::{VariableCollection, Variables};
