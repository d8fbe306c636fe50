//! Which variables a template reads, in what order, and what became of each.

use crate::evaluation::{Evaluation, EvaluationError, Evaluator};
use crate::template::Template;
use std::fmt;

/// How an evaluation came to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub outcome: Result<Evaluation, EvaluationError>,
    /// What was read, in the order in which reading began; at most [`Explanation::MOST_READS`].
    pub reads: Vec<Read>,
}

/// One path that was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The path in normal form.
    pub path: String,
    /// How many values this one was read within: 0 for what stands in the template itself.
    pub level: usize,
    /// The stored text, or the text of the part of it that the path leads to; none when there is none.
    pub raw: Option<String>,
    /// The text with its own references evaluated; none when it is missing, or when the evaluation failed here.
    pub value: Option<String>,
}

impl Explanation {
    /// How many reads are told.
    pub const MOST_READS: usize = 10_000;

    pub(crate) fn of(evaluator: &Evaluator<'_>, text: &str) -> Self {
        match Template::parse(text) {
            Ok(template) => evaluator.explain_template(&template),
            Err(_) => Self {
                outcome: evaluator.evaluate(text),
                reads: Vec::new(),
            },
        }
    }

    /// The explanation of a variable: of its text, with the variable itself as the first read.
    pub(crate) fn of_variable(evaluator: &Evaluator<'_>, name: &str) -> Self {
        let raw = evaluator.variables.raw(name);
        let mut explanation = Self::of(evaluator, raw.unwrap_or_default());
        for read in &mut explanation.reads {
            read.level += 1;
        }
        let first = Read {
            path: name.to_owned(),
            level: 0,
            raw: raw.map(str::to_owned),
            value: match (&explanation.outcome, raw) {
                (Ok(evaluation), Some(_)) => evaluation.clone().into_value(),
                _ => None,
            },
        };
        explanation.reads.insert(0, first);
        explanation.reads.truncate(Self::MOST_READS);
        explanation
    }
}

impl fmt::Display for Explanation {
    /// One line a read, indented by its level: `path: raw => value`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for read in &self.reads {
            let indent = "  ".repeat(read.level);
            match (&read.raw, &read.value) {
                (None, _) => writeln!(formatter, "{indent}{}: no value", read.path)?,
                (Some(raw), None) => writeln!(formatter, "{indent}{}: {raw:?} => no value", read.path)?,
                (Some(raw), Some(value)) if raw == value => {
                    writeln!(formatter, "{indent}{}: {raw:?}", read.path)?;
                }
                (Some(raw), Some(value)) => {
                    writeln!(formatter, "{indent}{}: {raw:?} => {value:?}", read.path)?;
                }
            }
        }
        Ok(())
    }
}
