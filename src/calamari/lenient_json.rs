//! JSON as people and older tools write it: with comments, trailing commas, single quotes and bare member names (observed
//! 9.3). Numbers keep the text they were written with.

pub(crate) mod reader;

use reader::{Content, Node};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`, `undefined`, or what is left out between two commas.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number as it was written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    Array(Vec<Json>),
    /// Names and values in order; of a repeated name the last value.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text that is one value.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn read(text: &str) -> Result<Self, String> {
        let root = reader::read(text).map_err(|error| {
            let (line, column) = error.place(text);
            format!("line {line}, column {column}: {}", error.reason)
        })?;
        Ok(Self::of(text, root))
    }

    fn of(text: &str, node: Node) -> Self {
        match node.content {
            Content::Null => Self::Null,
            Content::Boolean(flag) => Self::Boolean(flag),
            Content::Number(_) => Self::Number(text[node.range].to_owned()),
            Content::Text(value) => Self::Text(value),
            Content::Array(items) => {
                Self::Array(items.into_iter().map(|item| Self::of(text, item)).collect())
            }
            Content::Object(members) => {
                let members = members.into_iter();
                Self::Object(
                    members
                        .map(|(name, value)| (name, Self::of(text, value)))
                        .collect(),
                )
            }
        }
    }

    /// A member by name, in any case; the last one of that name.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .rev()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value as text (`None` inside for null); none at all for lists and objects.
    pub fn scalar(&self) -> Option<Option<String>> {
        match self {
            Self::Null => Some(None),
            Self::Boolean(flag) => Some(Some(flag.to_string())),
            Self::Number(text) | Self::Text(text) => Some(Some(text.clone())),
            Self::Array(_) | Self::Object(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_read() {
        let text =
            "// one\n[{'k': \"a\\u00e9\\ud83d\\ude00\", v: 1.50, /* two */ \"s\": true,}, null,]\n// end";
        let value = Json::read(text).expect("readable");
        let Json::Array(items) = value else {
            panic!("{value:?}")
        };
        assert_eq!(items[0].member("K"), Some(&Json::Text("aé😀".to_owned())));
        assert_eq!(
            items[0].member("v").and_then(Json::scalar),
            Some(Some("1.50".to_owned()))
        );
        assert_eq!(items[1], Json::Null);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            ("", "line 1, column 1: a value is missing at the end of the text"),
            (
                "[1\n2]",
                "line 2, column 1: after a value stands '2' instead of ',' or ']'",
            ),
            (
                "[1] x",
                "line 1, column 5: after the end of the JSON content stands 'x'",
            ),
            ("{'a' 1}", "line 1, column 6: ':' is missing after the name 'a'"),
            ("[hello]", "line 1, column 2: 'h' cannot begin a value"),
            ("['x", "line 1, column 2: a text in quotes does not end"),
        ] {
            assert_eq!(Json::read(text), Err(told.to_owned()), "{text}");
        }
        assert!(Json::read(&"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn strict_json_is_read_as_it_is(texts in prop::collection::vec(".*", 0..4)) {
            let value = Json::Array(texts.iter().cloned().map(Json::Text).collect());
            prop_assert_eq!(Json::read(&serde_json::to_string(&texts).expect("JSON")), Ok(value));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{}\"',:/*\\\\a1. \n]{0,60}") {
            Json::read(&text).ok();
        }
    }
}
