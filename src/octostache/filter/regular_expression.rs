//! The filters `Match` and `Replace`: .NET regular expressions, translated for a backtracking engine with a step limit.

mod class;
mod numbering;
mod replacement;
mod translation;

use super::{Answer, text::truth};
use fancy_regex::{Captures, Regex, RegexBuilder};
use replacement::Replacement;
use std::collections::HashMap;
use std::rc::Rc;

/// Steps of the engine for one search.
const MOST_STEPS: usize = 1_000_000;
/// Bytes of a compiled pattern.
const LARGEST: usize = 4 << 20;
/// Characters of a pattern.
const LONGEST: usize = 10_000;
/// Patterns that are remembered within one evaluation.
const MOST_REMEMBERED: usize = 100;

/// A compiled pattern, and the number in the engine for each group of the pattern.
struct Pattern {
    regex: Regex,
    groups: Groups,
}

/// The groups as .NET numbers and names them; the engine's number of each.
#[derive(Default, Clone, Debug)]
struct Groups {
    numbered: Vec<(usize, usize)>,
    named: Vec<(String, usize)>,
}

/// Compiled patterns by their text.
#[derive(Default)]
pub(super) struct Patterns {
    known: HashMap<String, Rc<Pattern>>,
}

impl Patterns {
    /// Whether the pattern is found anywhere.
    pub(super) fn matches(&mut self, input: &str, arguments: &[String]) -> Answer {
        let [pattern] = arguments else { return Ok(None) };
        let compiled = self.compiled(pattern)?;
        let found = compiled
            .regex
            .is_match(input)
            .map_err(|error| exhausted(pattern, &error))?;
        Ok(Some(truth(found)))
    }

    /// All matches replaced; what follows the replacement among the arguments is ignored.
    pub(super) fn replace(&mut self, input: &str, arguments: &[String]) -> Answer {
        let Some((pattern, rest)) = arguments.split_first() else {
            return Ok(None);
        };
        let compiled = self.compiled(pattern)?;
        let replacement = Replacement::read(rest.first().map_or("", String::as_str), &compiled.groups);
        let mut output = String::with_capacity(input.len());
        let mut copied = 0;
        let mut from = 0;
        // After an empty match the search goes on one character later, after any other where it ended: an empty match may
        // follow directly.
        while from <= input.len() {
            let found: Option<Captures<'_, str>> = compiled
                .regex
                .captures_from_pos(input, from)
                .map_err(|error| exhausted(pattern, &error))?;
            let Some(captures) = found else { break };
            let Some(whole) = captures.get(0) else { break };
            output.push_str(&input[copied..whole.start()]);
            replacement.append(&captures, input, &mut output);
            if output.len() > input.len() + (64 << 20) {
                return Err(format!(
                    "replacing by the pattern {pattern:?} gives more than 64 MiB"
                ));
            }
            copied = whole.end();
            from = if whole.end() > whole.start() {
                whole.end()
            } else {
                whole.end() + input[whole.end()..].chars().next().map_or(1, char::len_utf8)
            };
        }
        output.push_str(input.get(copied..).unwrap_or_default());
        Ok(Some(output))
    }

    fn compiled(&mut self, pattern: &str) -> Result<Rc<Pattern>, String> {
        if let Some(known) = self.known.get(pattern) {
            return Ok(Rc::clone(known));
        }
        if pattern.len() > LONGEST {
            return Err(format!("a pattern of more than {LONGEST} characters is not used"));
        }
        let (translated, groups) = translation::translate(pattern)
            .map_err(|reason| format!("the pattern {pattern:?} is not valid: {reason}"))?;
        let regex = RegexBuilder::new(&translated)
            .backtrack_limit(MOST_STEPS)
            .delegate_size_limit(LARGEST)
            .delegate_dfa_size_limit(LARGEST)
            .build()
            .map_err(|error| format!("the pattern {pattern:?} is not valid: {error}"))?;
        let compiled = Rc::new(Pattern { regex, groups });
        if self.known.len() < MOST_REMEMBERED {
            self.known.insert(pattern.to_owned(), Rc::clone(&compiled));
        }
        Ok(compiled)
    }
}

impl Groups {
    fn of_number(&self, number: usize) -> Option<usize> {
        self.numbered
            .iter()
            .find(|(known, _)| *known == number)
            .map(|(_, engine)| *engine)
    }

    fn of_name(&self, name: &str) -> Option<usize> {
        match name.parse() {
            Ok(number) => self.of_number(number),
            Err(_) => self
                .named
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, engine)| *engine),
        }
    }

    /// The group of the highest number.
    fn last(&self) -> usize {
        self.numbered.iter().max().map_or(0, |(_, engine)| *engine)
    }
}

fn exhausted(pattern: &str, error: &fancy_regex::Error) -> String {
    format!("the pattern {pattern:?} could not be searched for: {error}")
}
