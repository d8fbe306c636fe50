//! The values of `xdt:Transform` and `xdt:Locator`: a name, and arguments in brackets.

/// A name with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
}

/// What an instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Replace,
    Insert,
    InsertBefore,
    InsertAfter,
    InsertIfMissing,
    Remove,
    RemoveAll,
    RemoveAttributes,
    SetAttributes,
    CommentOut,
}

const ACTIONS: [(&str, Action); 10] = [
    ("Replace", Action::Replace),
    ("Insert", Action::Insert),
    ("InsertBefore", Action::InsertBefore),
    ("InsertAfter", Action::InsertAfter),
    ("InsertIfMissing", Action::InsertIfMissing),
    ("Remove", Action::Remove),
    ("RemoveAll", Action::RemoveAll),
    ("RemoveAttributes", Action::RemoveAttributes),
    ("SetAttributes", Action::SetAttributes),
    ("CommentOut", Action::CommentOut),
];

impl Instruction {
    /// Reads `Name`, `Name()` or `Name(argument, argument)`, with blanks where they do no harm.
    pub(super) fn read(value: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "'{value}' is not read: Transform and Locator attributes must contain only a type name, or a type name \
                 followed by a list of attributes in parentheses."
            )
        };
        let value = value.trim();
        let (name, arguments) = match value.split_once('(') {
            None => (value, ""),
            Some((name, rest)) => (
                name.trim_end(),
                rest.strip_suffix(')').ok_or_else(malformed)?.trim(),
            ),
        };
        let is_name = !name.is_empty()
            && name
                .split('.')
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_'));
        if !is_name {
            return Err(malformed());
        }
        Ok(Self {
            name: name.to_owned(),
            arguments: split(arguments),
        })
    }

    /// The action that it names.
    pub(super) fn action(&self) -> Result<Action, String> {
        if let Some((_, action)) = ACTIONS.iter().find(|(name, _)| *name == self.name) {
            return Ok(*action);
        }
        let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
        let known = known.join(", ");
        Err(match self.name.as_str() {
            "SetTokenizedAttributes" => {
                format!("The transform SetTokenizedAttributes is not supported; use one of {known}")
            }
            "Match" | "Condition" | "XPath" => format!(
                "'{}' is a Locator and not a type of Transform; use one of {known}",
                self.name
            ),
            name => format!("Could not resolve '{name}' as a type of Transform; use one of {known}"),
        })
    }
}

/// Cuts at commas that are not in round brackets. Quotes do not protect a comma.
fn split(arguments: &str) -> Vec<String> {
    if arguments.is_empty() {
        return Vec::new();
    }
    let mut parts = vec![String::new()];
    let mut open = 0_usize;
    for character in arguments.chars() {
        match character {
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            ',' if open == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arguments_are_told_apart() {
        let read =
            |value: &str| Instruction::read(value).map(|found| (found.name, found.arguments.join("|")));
        let found = |name: &str, arguments: &str| Ok((name.to_owned(), arguments.to_owned()));
        assert_eq!(read(" Insert "), found("Insert", ""));
        assert_eq!(read("Insert()"), found("Insert", ""));
        assert_eq!(read("Set ( a , b )"), found("Set", "a|b"));
        assert_eq!(
            read("After(/a[f(b,c)='d,e'])"),
            found("After", "/a[f(b,c)='d|e']")
        );
        for bad in ["", "A B", "A(b", "A(b)c", "(a)", "A.(b)"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
