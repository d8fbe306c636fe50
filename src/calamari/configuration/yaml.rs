//! YAML (14.2): the path of a value is its keys (as plain text) and indexes joined by `:`; all documents share the paths.
//!
//! The text is edited where a value stands. What came out is read again and compared with what was meant, so that no edit
//! can change anything else.

mod document;
mod edit_plan;
mod fragment;
mod scalar;

use super::edit;
use super::{Note, ReplaceError, Replaced, is_for_paths};
use crate::failure::Failure;
use document::{Document, Meaning};
use edit_plan::Plan;
use octostache::{VariableCollection, fold};
use std::collections::HashMap;

/// What counts as YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Anything: the name of the file says that it is YAML.
    Any,
    /// Only a mapping or a sequence: nearly every text is one long YAML scalar.
    Collection,
}

/// Puts variables into a YAML text.
///
/// # Errors
/// It is not YAML, or a value cannot be evaluated.
pub fn replace(text: &str, variables: &VariableCollection, root: Root) -> Result<Replaced, ReplaceError> {
    let readable = document::readable(text);
    let document = Document::read(&readable).map_err(ReplaceError::Unreadable)?;
    if root == Root::Collection && !document.has_collection() {
        return Err(ReplaceError::Unreadable(
            "its root is neither a mapping nor a sequence".to_owned(),
        ));
    }
    let names: HashMap<String, &str> = variables
        .iter()
        .filter(|(name, _)| is_for_paths(name))
        .map(|(name, _)| (fold(name), name))
        .collect();
    let mut notes = Vec::new();
    let mut chosen: Vec<(usize, Option<String>)> = Vec::new();
    let mut replaced_to = 0;
    for (index, node) in document.nodes.iter().enumerate() {
        if node.first < replaced_to || document.items[node.first].event.is_alias() {
            continue;
        }
        let Some(name) = node.path.as_ref().and_then(|path| names.get(&fold(path))) else {
            continue;
        };
        chosen.push((index, variables.get(name)?));
        notes.push(Note::Used((*name).to_owned()));
        replaced_to = node.last + 1;
    }
    if chosen.is_empty() {
        return Ok(Replaced { text: None, notes });
    }
    // As it would be written by hand first; the plainest form when something would be read otherwise then.
    for plain_form in [false, true] {
        let mut plan = Plan::new(&readable, &document, plain_form);
        for (index, value) in &chosen {
            plan.replace(*index, value.as_deref());
        }
        let (edits, meant) = plan.finish();
        let new = edit::apply(text, edits);
        if means(&new, &meant) {
            return Ok(Replaced {
                text: Some(new),
                notes,
            });
        }
    }
    Err(ReplaceError::Failed(Failure::unexpected(format!(
        "The variables {} cannot be put into this YAML without changing what is beside them; put them into a simpler place",
        chosen_names(&notes)
    ))))
}

fn means(text: &str, meant: &[Meaning]) -> bool {
    Document::read(&document::readable(text)).is_ok_and(|document| document.meaning() == meant)
}

fn chosen_names(notes: &[Note]) -> String {
    let names: Vec<String> = notes
        .iter()
        .filter_map(|note| match note {
            Note::Used(name) => Some(format!("'{name}'")),
            Note::Warning(_) => None,
        })
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
