//! The bootstrap of Python: the functions, the values, then the script as `__main__` with their names (12.3 to 12.5).

use crate::variables::Variables;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::path::Path;

const PROGRAM: &str = include_str!("python.py");

/// The text of a bootstrap. A circular variable is told when the script reads it.
pub(super) fn text(script: &Path, variables: &Variables) -> String {
    let (mut values, mut circles) = (Map::new(), Map::new());
    for (name, _) in variables.collection().iter() {
        match variables.text(name) {
            Ok(value) => values.insert(name.to_owned(), Value::String(value)),
            Err(error) => circles.insert(name.to_owned(), Value::String(error.to_string())),
        };
    }
    let encoded = |text: &str| STANDARD.encode(text);
    PROGRAM
        .replace("@VALUES@", &encoded(&Value::Object(values).to_string()))
        .replace("@CIRCLES@", &encoded(&Value::Object(circles).to_string()))
        .replace("@SCRIPT@", &encoded(&script.to_string_lossy()))
}

/// Parameters as a program gets them: split at blanks, where only double quotes keep them together.
pub(super) fn words(parameters: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in parameters.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            blank if blank.is_whitespace() && !quoted => words.extend(word.take()),
            character => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_double_quotes_keep_words_together() {
        assert_eq!(words("a 'b c' \"d e\"f \"\""), ["a", "'b", "c'", "d ef", ""]);
    }
}
