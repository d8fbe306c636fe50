//! Named texts, in order, without case; and what the evaluator needs of them.

use crate::character::fold;
use crate::evaluation::{EvaluationError, evaluate};
use crate::name_tree::NameTree;
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
        self.tree.take();
        let text = text.map(str::to_owned);
        match self.places.get(&fold(name)) {
            Some(place) => self.entries[*place].1 = text,
            None => {
                self.places.insert(fold(name), self.entries.len());
                self.entries.push((name.to_owned(), text));
            }
        }
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
            Some(text) => Ok(Some(evaluate(text, self)?.value)),
        }
    }

    /// The evaluated text as yes or no: `true` or `false` in any case with surrounding blanks, else the default.
    ///
    /// # Errors
    /// A circular definition or a limit.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, EvaluationError> {
        Ok(
            match self
                .get(name)?
                .as_deref()
                .map(|text| text.trim().to_ascii_lowercase())
                .as_deref()
            {
                Some("true") => true,
                Some("false") => false,
                _ => default,
            },
        )
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

    /// The names of the indexes under a collection such as `Octopus.Action.Package`, in order; the empty name included.
    pub fn indexes(&self, collection: &str) -> Vec<String> {
        let Some(symbol) = crate::parser::Parser::name(collection) else {
            return Vec::new();
        };
        let mut node = self.tree().root();
        for step in &symbol.steps {
            let next = match step {
                crate::template::Step::Name(name) => node.child(name),
                crate::template::Step::Index(index) => node.index(index),
                crate::template::Step::Computed(_) => None,
            };
            let Some(next) = next else { return Vec::new() };
            node = next;
        }
        match node.text() {
            Some(text) => text.split(',').map(str::to_owned).collect(),
            None => node
                .indexes()
                .iter()
                .map(|index| index.text().unwrap_or_default().to_owned())
                .collect(),
        }
    }

    fn split(&self, name: &str, separators: &[char]) -> Result<Vec<String>, EvaluationError> {
        let text = self.get(name)?.unwrap_or_default();
        Ok(text
            .split(separators)
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect())
    }
}
