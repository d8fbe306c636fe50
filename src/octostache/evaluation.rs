//! What an evaluation is given and what it gives ("Variable templates" 4, 5, 9).

use crate::explanation::Explanation;
use crate::filter::HostFilters;
use crate::place::Place;
use crate::run::Run;
use crate::template::{ParseError, Template};
use crate::variable_collection::Variables;
use std::time::Duration;

/// What a text became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// The text; what had no value stands in it in normal form. Empty when there is no value.
    pub value: String,
    /// The `null` filter decided that there is no value at all.
    pub no_value: bool,
    /// The references that had no value, each once, in order.
    pub missing: Vec<String>,
    /// Where the first of them stand, in the same order; at most [`Evaluation::MOST_PLACES`].
    pub places: Vec<Place>,
    /// Why the text was left as it is.
    pub parse_error: Option<ParseError>,
}

impl Evaluation {
    /// How many missing references are told with their place.
    pub const MOST_PLACES: usize = 100;

    /// A text that is its own value.
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            value: text.to_owned(),
            ..Self::default()
        }
    }

    /// The value, if there is one.
    pub fn into_value(self) -> Option<String> {
        (!self.no_value).then_some(self.value)
    }

    /// What is to be reported beside the value, if anything.
    pub fn error(&self) -> Option<String> {
        if let Some(error) = &self.parse_error {
            return Some(error.to_string());
        }
        if self.missing.is_empty() {
            return None;
        }
        let tokens: Vec<String> = self.missing.iter().map(|token| format!("'{token}'")).collect();
        Some(format!(
            "The following tokens were unable to be evaluated: {}",
            tokens.join(", ")
        ))
    }

    /// The missing references with the place of each, one a line; empty when none is missing.
    pub fn details(&self) -> String {
        let told = self.missing.iter().zip(&self.places);
        let lines: Vec<String> = told
            .map(|(token, place)| format!("'{token}' at {place}"))
            .collect();
        lines.join("\n")
    }
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A variable needs its own value.
    #[error(
        "the variable \"{path}\" at {place} is defined by a self referencing loop, a circular definition ({chain}); \
         change one of these variables so that it does not lead back to itself"
    )]
    Circular {
        /// The path at which the circle closed.
        path: String,
        /// The way there: `A -> B -> A`.
        chain: String,
        /// Where the path stands.
        place: Box<Place>,
    },
    /// A filter cannot work on what it was given.
    #[error("the filter {filter} at {place} failed: {reason}")]
    Filter {
        /// The name of the filter as it was written.
        filter: String,
        /// What is wrong. Values of variables are not told.
        reason: String,
        /// Where the filter is used.
        place: Box<Place>,
    },
    /// A step into a JSON text, or a calculation, that cannot be taken.
    #[error("{what} at {place} cannot be evaluated: {reason}")]
    Unreadable {
        /// The path or the number.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
        /// Where it stands.
        place: Box<Place>,
    },
    /// Blocks or values within values beyond the limit.
    #[error("the template is nested more than {0} levels deep; write it flatter")]
    TooDeep(usize),
    /// More output than the limit.
    #[error("the template gives more than {0} bytes; a template that large is not evaluated")]
    TooLarge(usize),
    /// More loop rounds than the limit.
    #[error("the template's loops make more than {0} rounds; loop over fewer items")]
    TooManyRounds(usize),
    /// More time than the limit.
    #[error("the template took more than {} s to evaluate; make it simpler", .0.as_secs_f32())]
    TooSlow(Duration),
    /// `#{each Octopus in …}` would hide all system variables.
    #[error("a loop variable cannot be named \"{0}\"; choose another name for it")]
    ReservedLoopName(String),
    /// A variable that must have a value has none.
    #[error("the variable '{0}' is required but no value is set; give it a value")]
    Required(String),
    /// Not the name of a collection.
    #[error("the indexes of '{0}' cannot be told, since this is not the name of a collection")]
    NoCollection(String),
}

/// What an evaluation may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Blocks and values within each other.
    pub depth: usize,
    /// Bytes of any text that arises.
    pub output: usize,
    /// Rounds of all loops together.
    pub rounds: usize,
    /// Time in all.
    pub time: Duration,
}

impl Default for Limits {
    /// 500 levels, 64 MiB, 1,000,000 rounds, 5 s.
    fn default() -> Self {
        Self {
            depth: 500,
            output: 64 << 20,
            rounds: 1_000_000,
            time: Duration::from_secs(5),
        }
    }
}

/// Evaluates templates against variables, with limits and filters of the host.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    pub(crate) variables: &'a dyn Variables,
    pub(crate) limits: Limits,
    pub(crate) host: Option<&'a dyn HostFilters>,
}

impl<'a> Evaluator<'a> {
    /// An evaluator with the usual limits and no filters of the host.
    pub fn new(variables: &'a dyn Variables) -> Self {
        Self {
            variables,
            limits: Limits::default(),
            host: None,
        }
    }

    /// With these limits instead.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With filters of the host, for what no built-in filter answers. They work in the text itself and in its branches,
    /// not in loop bodies, values within values, or arguments of filters.
    #[must_use]
    pub fn host_filters(mut self, host: &'a dyn HostFilters) -> Self {
        self.host = Some(host);
        self
    }

    /// Evaluates a text strictly: one that does not parse is its own value, and `parse_error` says why.
    ///
    /// # Errors
    /// A circular definition, a limit, a filter that cannot work: there is no value then.
    pub fn evaluate(&self, text: &str) -> Result<Evaluation, EvaluationError> {
        if !text.contains("#{") {
            return Ok(Evaluation::of_text(text));
        }
        match Template::parse(text) {
            Ok(template) => self.evaluate_template(&template),
            Err(error) => Ok(Evaluation {
                parse_error: Some(error),
                ..Evaluation::of_text(text)
            }),
        }
    }

    /// Evaluates a parsed template, for example one that [`Template::parse_keep_going`] made of a file.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    pub fn evaluate_template(&self, template: &Template) -> Result<Evaluation, EvaluationError> {
        if !template.text().contains("#{") {
            return Ok(Evaluation::of_text(template.text()));
        }
        Run::new(self).template(template)
    }

    /// The evaluated text of a variable; none when it is unknown or null.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    pub fn get(&self, name: &str) -> Result<Option<Evaluation>, EvaluationError> {
        self.variables
            .raw(name)
            .map(|text| self.evaluate(text))
            .transpose()
    }

    /// Whether a text evaluates to a truth: it has a value, no error, and is true by [`is_true`].
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    pub fn holds(&self, text: &str) -> Result<bool, EvaluationError> {
        let evaluation = self.evaluate(text)?;
        Ok(evaluation.error().is_none() && !evaluation.no_value && is_true(&evaluation.value))
    }

    /// Evaluates a text and tells which variables were read for it, in what order, with their raw and final values.
    pub fn explain(&self, text: &str) -> Explanation {
        Explanation::of(self, text)
    }

    /// [`Evaluator::explain`] for a parsed template.
    pub fn explain_template(&self, template: &Template) -> Explanation {
        Run::new(self).explained(template)
    }

    /// [`Evaluator::explain`] for the text of a variable; the variable itself is the first read.
    pub fn explain_variable(&self, name: &str) -> Explanation {
        Explanation::of_variable(self, name)
    }
}

/// Evaluates a text strictly with the usual limits: [`Evaluator::evaluate`].
///
/// # Errors
/// A circular definition, a limit, a filter that cannot work: there is no value then.
pub fn evaluate(text: &str, variables: &dyn Variables) -> Result<Evaluation, EvaluationError> {
    Evaluator::new(variables).evaluate(text)
}

/// Evaluates a parsed template: [`Evaluator::evaluate_template`].
///
/// # Errors
/// A circular definition, a limit, a filter that cannot work: there is no value then.
pub fn evaluate_template(
    template: &Template,
    variables: &dyn Variables,
    limits: Limits,
) -> Result<Evaluation, EvaluationError> {
    Evaluator::new(variables)
        .limits(limits)
        .evaluate_template(template)
}

/// The truth of a text: all but `0`, the empty text, and `no` or `false` in any case with surrounding blanks.
pub fn is_true(text: &str) -> bool {
    let word = text.trim();
    !(text.is_empty() || text == "0" || word.eq_ignore_ascii_case("no") || word.eq_ignore_ascii_case("false"))
}
