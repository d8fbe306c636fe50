//! The variables that a runner is given: a JSON array of `{"k": name, "v": text or null, "s": sensitive}`
//! (runner specification 2.1). The sensitive ones travel in a file of their own, which `security` seals; here
//! is what stands inside either.

use serde::{Deserialize, Serialize};

/// One variable. The value of a sensitive one does not show in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name; names are equal whatever their case.
    #[serde(rename = "k")]
    pub name: String,
    /// Its value.
    #[serde(rename = "v", default)]
    pub value: Option<String>,
    /// Whether the value must not show anywhere.
    #[serde(rename = "s", default)]
    pub sensitive: bool,
}

impl Variable {
    /// A variable that may be shown.
    pub fn plain(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
            sensitive: false,
        }
    }

    /// A variable that must not be shown.
    pub fn sensitive(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
            sensitive: true,
        }
    }
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = if self.sensitive {
            Some("********")
        } else {
            self.value.as_deref()
        };
        formatter
            .debug_struct("Variable")
            .field("name", &self.name)
            .field("value", &value)
            .finish()
    }
}

/// Text that is not a variables file. Says nothing of the content, which may be secret.
#[derive(Debug, thiserror::Error)]
#[error("Unable to parse variables as valid JSON (line {line}, column {column}).")]
pub struct VariablesFileError {
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for VariablesFileError {
    fn from(error: serde_json::Error) -> Self {
        Self {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Writes a variables file.
pub fn format(variables: &[Variable]) -> String {
    serde_json::to_string(variables).expect("texts and truth values are always JSON")
}

/// Reads a variables file; a flat object of name and text, the deprecated format, is read too, as not
/// sensitive.
pub fn parse(text: &str) -> Result<Vec<Variable>, VariablesFileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        let flat: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
        let variable = |(name, value)| {
            let value = match value {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some(text),
                other => Some(other.to_string()),
            };
            Variable {
                name,
                value,
                sensitive: false,
            }
        };
        return Ok(flat.into_iter().map(variable).collect());
    }
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_formats_are_read_and_secrets_do_not_show() {
        let text = r#"[{"k":"Port","v":"80","s":false},{"k":"Key","v":"hidden","s":true,"x":1},{"k":"None","v":null}]"#;
        let variables = parse(text).expect("a variables file");
        assert_eq!(variables.len(), 3);
        assert_eq!(variables[0], Variable::plain("Port", "80"));
        assert!(!format!("{variables:?}").contains("hidden"));
        assert_eq!(
            parse(r#"{"A":"1"}"#).expect("the old format"),
            [Variable::plain("A", "1")]
        );
        let error = parse(r#"[{"k":"Key","v":hidden}]"#)
            .expect_err("not JSON")
            .to_string();
        assert!(
            error.starts_with("Unable to parse variables") && !error.contains("hidden"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pairs in proptest::collection::vec((".*", ".*", any::<bool>()), 0..5)) {
            let variables: Vec<_> = pairs
                .into_iter()
                .map(|(name, value, sensitive)| Variable { name, value: Some(value), sensitive })
                .collect();
            prop_assert_eq!(parse(&format(&variables)).expect("just written"), variables);
        }
    }
}
