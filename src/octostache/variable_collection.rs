//! Named texts, in order, without case; and what the evaluator needs of them.

use crate::character::fold;
use crate::evaluation::{EvaluationError, Evaluator, evaluate};
use crate::name_tree::NameTree;
use crate::number;
use crate::run::Run;
use crate::template::Template;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What a template is evaluated against.
pub trait Variables {
    /// The stored text of a full name, without case; none when unknown or null.
    fn raw(&self, name: &str) -> Option<&str>;

    /// All names as a tree.
    fn tree(&self) -> &NameTree;
}

/// Names to texts ("Variable templates" 1): names ignore case, order is kept, and setting a name again keeps its place and
/// its first spelling.
#[derive(Debug, Clone, Default)]
pub struct VariableCollection {
    entries: Vec<(String, Option<String>)>,
    places: HashMap<String, usize>,
    tree: OnceLock<NameTree>,
}

impl Variables for VariableCollection {
    fn raw(&self, name: &str) -> Option<&str> {
        self.places
            .get(&fold(name))
            .and_then(|place| self.entries[*place].1.as_deref())
    }

    fn tree(&self) -> &NameTree {
        self.tree.get_or_init(|| NameTree::build(self.iter()))
    }
}

impl VariableCollection {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a text, or null, under a name.
    pub fn set(&mut self, name: &str, text: Option<&str>) {
        let place = match self.places.get(&fold(name)) {
            Some(place) => {
                self.entries[*place].1 = text.map(str::to_owned);
                *place
            }
            None => {
                self.places.insert(fold(name), self.entries.len());
                self.entries.push((name.to_owned(), text.map(str::to_owned)));
                self.entries.len() - 1
            }
        };
        // A tree that was built already is kept up to date rather than built again.
        if let Some(tree) = self.tree.get_mut() {
            tree.set(place, name, text);
        }
    }

    /// Stores a list: what is not blank, joined by a separator.
    pub fn set_strings<'a>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a str>,
        separator: &str,
    ) {
        let filled: Vec<&str> = values
            .into_iter()
            .filter(|value| !value.trim().is_empty())
            .collect();
        self.set(name, Some(&filled.join(separator)));
    }

    /// Names and stored texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.entries
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_deref()))
    }

    /// Whether the name is known, also with a null.
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(&fold(name))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The evaluated text of a name; none when unknown or null. A text that does not parse, and references that are missing, stay
    /// as they are.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn get(&self, name: &str) -> Result<Option<String>, EvaluationError> {
        match self.raw(name) {
            None => Ok(None),
            Some(text) => Ok(evaluate(text, self)?.into_value()),
        }
    }

    /// The evaluated text of a variable that must have one.
    ///
    /// # Errors
    /// [`EvaluationError::Required`] when the variable is unknown, null or empty; a circular definition or a limit.
    pub fn required(&self, name: &str) -> Result<String, EvaluationError> {
        self.get(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| EvaluationError::Required(name.to_owned()))
    }

    /// The evaluated text as yes or no: `true` or `false` in any case with surrounding blanks, else the default.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, EvaluationError> {
        let text = self.get(name)?.unwrap_or_default();
        let word = text.trim();
        Ok(if word.eq_ignore_ascii_case("true") {
            true
        } else if word.eq_ignore_ascii_case("false") {
            false
        } else {
            default
        })
    }

    /// The evaluated text as a whole number of 32 bits; none when it is no such number.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn int32(&self, name: &str) -> Result<Option<i32>, EvaluationError> {
        Ok(self.get(name)?.as_deref().and_then(number::int32))
    }

    /// The evaluated text split at commas; blanks trimmed, empty parts dropped.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn strings(&self, name: &str) -> Result<Vec<String>, EvaluationError> {
        self.split(name, &[','])
    }

    /// The evaluated text split at line ends; blanks trimmed, empty parts dropped.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn paths(&self, name: &str) -> Result<Vec<String>, EvaluationError> {
        self.split(name, &['\r', '\n'])
    }

    /// The evaluated text split at any of these separators; blanks trimmed, empty parts dropped.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn split(&self, name: &str, separators: &[char]) -> Result<Vec<String>, EvaluationError> {
        let text = self.get(name)?.unwrap_or_default();
        Ok(text
            .split(separators)
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// What a loop over a collection such as `Octopus.Action.Package` visits, as raw texts: the names of its indexes in
    /// order (the empty one included), or the parts of its text.
    ///
    /// # Errors
    /// [`EvaluationError::NoCollection`] for what is no path; a circular definition or a limit.
    pub fn indexes(&self, collection: &str) -> Result<Vec<String>, EvaluationError> {
        match Template::path(collection) {
            Some((template, symbol)) if !collection.trim().is_empty() => {
                Run::new(&Evaluator::new(self)).indexes(&template, &symbol)
            }
            _ => Err(EvaluationError::NoCollection(collection.to_owned())),
        }
    }
}
