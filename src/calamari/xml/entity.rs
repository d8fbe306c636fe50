//! Entities: the five of XML, references by number, and those that a document declares for itself.
//!
//! External entities are refused where they are used, and never read. What internal ones become is counted before
//! anything is expanded, so that a bomb is refused by its size on paper.

use super::{LONGEST_EXPANSION, is_blank};
use std::collections::HashMap;

/// Longest chain of entities that name each other.
const LONGEST_CHAIN: usize = 64;

/// What a document declares.
#[derive(Debug, Clone, Default)]
pub struct Entities {
    declared: HashMap<String, Entity>,
}

#[derive(Debug, Clone)]
enum Entity {
    Internal { text: String, cost: usize },
    External,
}

/// Why a reference is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntityError {
    /// `&` without a name and `;`.
    #[error("a & that begins no reference; write &amp;")]
    Malformed,
    /// A number that is no character.
    #[error("the reference &{0}; names no character")]
    Number(String),
    /// A name that is not declared in the file itself.
    #[error("the entity {0} is not declared in the file")]
    Undeclared(String),
    /// An entity whose text lies elsewhere.
    #[error("the entity {0} is external; nothing outside the file is read")]
    External(String),
    /// An entity that contains itself.
    #[error("the entity {0} contains itself, or too many others")]
    Circular(String),
    /// An entity bomb.
    #[error("the entities of the file expand to more than {LONGEST_EXPANSION} characters")]
    Bomb,
}

impl Entities {
    /// Reads the declarations of a `<!DOCTYPE ...>`; what is no declaration of a general entity is passed over.
    pub fn read(doctype: &str) -> Self {
        let mut raw = HashMap::new();
        let mut scanner = Scanner {
            rest: subset(doctype),
        };
        while let Some((name, entity)) = scanner.declaration() {
            // The first declaration counts.
            raw.entry(name).or_insert(entity);
        }
        let mut costs = HashMap::new();
        for name in raw.keys() {
            cost_of(name, &raw, &mut costs, 0);
        }
        let declared = raw
            .into_iter()
            .map(|(name, text)| {
                let entity = match text {
                    Some(text) => Entity::Internal {
                        cost: costs.get(&name).copied().flatten().unwrap_or(usize::MAX),
                        text,
                    },
                    None => Entity::External,
                };
                (name, entity)
            })
            .collect();
        Self { declared }
    }

    /// Whether the document declares none.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// What a raw text (of an element or attribute) stands for. `spent` counts over the whole document.
    ///
    /// # Errors
    /// A reference that is malformed, undeclared, external, circular, or one too many.
    pub fn decode(&self, raw: &str, spent: &mut usize) -> Result<String, EntityError> {
        let mut decoded = String::with_capacity(raw.len());
        self.decode_into(raw, spent, &mut decoded, 0)?;
        Ok(decoded)
    }

    fn decode_into(
        &self,
        raw: &str,
        spent: &mut usize,
        decoded: &mut String,
        depth: usize,
    ) -> Result<(), EntityError> {
        let mut rest = raw;
        while let Some(start) = rest.find(['&', '\r']) {
            decoded.push_str(&rest[..start]);
            rest = &rest[start..];
            if let Some(after) = rest.strip_prefix('\r') {
                decoded.push('\n');
                rest = after.strip_prefix('\n').unwrap_or(after);
                continue;
            }
            let end = rest.find(';').ok_or(EntityError::Malformed)?;
            let name = &rest[1..end];
            rest = &rest[end + 1..];
            match character(name)? {
                Some(character) => decoded.push(character),
                None => match self.declared.get(name) {
                    None if super::name::is_qualified(name) => {
                        return Err(EntityError::Undeclared(name.to_owned()));
                    }
                    None => return Err(EntityError::Malformed),
                    Some(Entity::External) => return Err(EntityError::External(name.to_owned())),
                    Some(Entity::Internal { text, cost }) => {
                        if depth == 0 {
                            if *cost == usize::MAX {
                                return Err(EntityError::Circular(name.to_owned()));
                            }
                            *spent = spent.saturating_add(*cost);
                            if *spent > LONGEST_EXPANSION {
                                return Err(EntityError::Bomb);
                            }
                        }
                        self.decode_into(&without_markup(text), spent, decoded, depth + 1)?;
                    }
                },
            }
        }
        decoded.push_str(rest);
        Ok(())
    }
}

/// What an entity costs: its length with all it names, at least one for each reference; none when it is circular.
fn cost_of(
    name: &str,
    raw: &HashMap<String, Option<String>>,
    known: &mut HashMap<String, Option<usize>>,
    depth: usize,
) -> Option<usize> {
    if let Some(cost) = known.get(name) {
        return *cost;
    }
    let Some(Some(text)) = raw.get(name) else {
        return Some(1);
    };
    if depth > LONGEST_CHAIN {
        return None;
    }
    // Who comes back here while it is counted is circular.
    known.insert(name.to_owned(), None);
    let mut cost = Some(text.len() + 1);
    let mut rest = text.as_str();
    while let Some(start) = rest.find('&') {
        rest = &rest[start + 1..];
        let Some(end) = rest.find(';') else { break };
        if raw.contains_key(&rest[..end]) {
            cost = match (cost, cost_of(&rest[..end], raw, known, depth + 1)) {
                (Some(so_far), Some(more)) => Some(so_far.saturating_add(more).min(usize::MAX - 1)),
                _ => None,
            };
        }
        rest = &rest[end + 1..];
    }
    known.insert(name.to_owned(), cost);
    cost
}

/// The character of `lt`, `#10`, `#xA` and so on; none for other names.
fn character(name: &str) -> Result<Option<char>, EntityError> {
    let number = |digits: &str, base: u32| {
        u32::from_str_radix(digits, base)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .and_then(char::from_u32)
            .ok_or_else(|| EntityError::Number(name.to_owned()))
    };
    match name {
        "lt" => Ok(Some('<')),
        "gt" => Ok(Some('>')),
        "amp" => Ok(Some('&')),
        "quot" => Ok(Some('"')),
        "apos" => Ok(Some('\'')),
        _ => match name.strip_prefix('#') {
            None => Ok(None),
            Some(digits) => match digits.strip_prefix('x') {
                Some(digits) => number(digits, 16).map(Some),
                None => number(digits, 10).map(Some),
            },
        },
    }
}

/// The text between the tags of an entity that holds some.
fn without_markup(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if !inside => plain.push(character),
            _ => {}
        }
    }
    plain
}

/// What stands between the square brackets of a doctype; empty when there are none.
fn subset(doctype: &str) -> &str {
    let mut quote = None;
    for (place, character) in doctype.char_indices() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, '[') => return &doctype[place + 1..],
            _ => {}
        }
    }
    ""
}

/// Goes over the declarations of an internal subset.
struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    /// The next general entity with its text, which is none for an external one.
    fn declaration(&mut self) -> Option<(String, Option<String>)> {
        loop {
            self.rest = self.rest.trim_start_matches(is_blank);
            if self.rest.is_empty() || self.rest.starts_with(']') {
                return None;
            } else if let Some(comment) = self.rest.strip_prefix("<!--") {
                self.rest = &comment[comment.find("-->")? + 3..];
            } else if let Some(instruction) = self.rest.strip_prefix("<?") {
                self.rest = &instruction[instruction.find("?>")? + 2..];
            } else if let Some(entity) = self.rest.strip_prefix("<!ENTITY") {
                self.rest = entity;
                if let Some(found) = self.entity() {
                    return Some(found);
                }
            } else if self.rest.starts_with('<') {
                self.skip_declaration()?;
            } else {
                // A reference to a parameter entity: never followed.
                self.rest = &self.rest[self.rest.find(';')? + 1..];
            }
        }
    }

    fn skip_declaration(&mut self) -> Option<()> {
        let mut quote = None;
        for (place, character) in self.rest.char_indices() {
            match (quote, character) {
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), _) if open == character => quote = None,
                (None, '>') => {
                    self.rest = &self.rest[place + 1..];
                    return Some(());
                }
                _ => {}
            }
        }
        None
    }

    /// After `<!ENTITY`: name and literal; none for parameter entities. Goes past the `>` in any case.
    fn entity(&mut self) -> Option<(String, Option<String>)> {
        let text = self.rest.trim_start_matches(is_blank);
        let end = text.find(|character| is_blank(character) || character == '>');
        let found = end.and_then(|end| {
            let name = &text[..end];
            let value = text[end..].trim_start_matches(is_blank);
            let quote = value.chars().next()?;
            match quote {
                _ if name == "%" => None,
                '"' | '\'' => {
                    let length = value[1..].find(quote)?;
                    Some((name.to_owned(), Some(with_numbers(&value[1..=length]))))
                }
                _ => Some((name.to_owned(), None)),
            }
        });
        if self.skip_declaration().is_none() {
            self.rest = "";
        }
        found
    }
}

/// References by number are replaced where an entity is declared; others where it is used.
fn with_numbers(literal: &str) -> String {
    let mut text = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(start) = rest.find("&#") {
        let found = rest[start..].find(';').and_then(|end| {
            let character = character(&rest[start + 1..start + end]).ok().flatten()?;
            Some((start + end + 1, character))
        });
        text.push_str(&rest[..start]);
        match found {
            Some((after, character)) => {
                // It must not become the begin of a reference.
                if character == '&' {
                    text.push_str("&amp;");
                } else {
                    text.push(character);
                }
                rest = &rest[after..];
            }
            None => {
                text.push_str("&#");
                rest = &rest[start + 2..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// A value as the text of an element; `line_end` is what line ends become.
pub fn escape_text(value: &str, line_end: &str) -> String {
    let mut raw = String::with_capacity(value.len());
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '&' => raw.push_str("&amp;"),
            '<' => raw.push_str("&lt;"),
            '>' => raw.push_str("&gt;"),
            '\r' => {
                characters.next_if_eq(&'\n');
                raw.push_str(line_end);
            }
            '\n' => raw.push_str(line_end),
            _ => raw.push(character),
        }
    }
    raw
}

/// A value as it stands between the quotes of an attribute.
pub fn escape_attribute(value: &str, quote: char) -> String {
    let mut raw = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => raw.push_str("&amp;"),
            '<' => raw.push_str("&lt;"),
            '>' => raw.push_str("&gt;"),
            '\n' => raw.push_str("&#xA;"),
            '\r' => raw.push_str("&#xD;"),
            '\t' => raw.push_str("&#x9;"),
            '"' if quote == '"' => raw.push_str("&quot;"),
            '\'' if quote == '\'' => raw.push_str("&apos;"),
            _ => raw.push(character),
        }
    }
    raw
}
