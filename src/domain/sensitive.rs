//! Values that are never read back (`rest-api.md` 1.10, `deployments.md` 3.10).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use security::{Sealed, Secret};

/// A value that goes in and never comes out: `{HasValue, NewValue, Hint}`.
///
/// JSON knows only whether there is one. The sealed text travels beside the document
/// ([`crate::document`]), so no serialisation of a resource can carry it, and no request can plant one.
#[derive(Default)]
pub enum SensitiveValue {
    /// There is none.
    #[default]
    Empty,
    /// A client gave a new one; it is sealed before it is stored.
    New(Secret),
    /// A client leaves the stored one as it is.
    Kept,
    /// As it is stored, bound to its document and field.
    Sealed(Sealed),
}

impl SensitiveValue {
    /// Whether there is a value.
    #[must_use]
    pub fn has_value(&self) -> bool {
        !matches!(self, Self::Empty)
    }

    /// The sealed text, if it is sealed.
    #[must_use]
    pub fn sealed(&self) -> Option<&Sealed> {
        match self {
            Self::Sealed(sealed) => Some(sealed),
            _ => None,
        }
    }
}

impl Clone for SensitiveValue {
    fn clone(&self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::New(secret) => Self::New(secret.clone()),
            Self::Kept => Self::Kept,
            Self::Sealed(sealed) => Self::Sealed(sealed.clone()),
        }
    }
}

/// Two new secrets are never equal: nothing may be learned of them by comparing.
impl PartialEq for SensitiveValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Empty, Self::Empty) | (Self::Kept, Self::Kept) => true,
            (Self::Sealed(one), Self::Sealed(two)) => one == two,
            _ => false,
        }
    }
}

impl fmt::Debug for SensitiveValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "Empty",
            Self::New(_) => "New(***)",
            Self::Kept => "Kept",
            Self::Sealed(_) => "Sealed(***)",
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shape {
    #[serde(default)]
    has_value: bool,
    #[serde(default, skip_serializing)]
    new_value: Option<String>,
}

impl Serialize for SensitiveValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Out {
            has_value: bool,
            new_value: Option<String>,
            hint: Option<String>,
        }
        Out {
            has_value: self.has_value(),
            new_value: None,
            hint: None,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SensitiveValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Shape::deserialize(deserializer)? {
            Shape {
                new_value: Some(value),
                ..
            } => Self::New(Secret::from(value)),
            Shape { has_value: true, .. } => Self::Kept,
            Shape { .. } => Self::Empty,
        })
    }
}

/// A text, or a value that is never read back.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyValue {
    /// A text.
    Plain(String),
    /// A secret.
    Sensitive(SensitiveValue),
}

impl PropertyValue {
    /// The text, unless it is a secret.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Sensitive(_) => None,
        }
    }
}

impl Default for PropertyValue {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

impl From<&str> for PropertyValue {
    fn from(text: &str) -> Self {
        Self::Plain(text.into())
    }
}

impl Serialize for PropertyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(text) => serializer.serialize_str(text),
            Self::Sensitive(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PropertyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        property(Value::deserialize(deserializer)?)
            .map(Option::unwrap_or_default)
            .map_err(D::Error::custom)
    }
}

/// A property bag: name to text or secret. Names are compared without case, kept as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<String, PropertyValue>);

impl Properties {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.0.get(name).or_else(|| {
            self.0
                .iter()
                .find(|(other, _)| other.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    }

    /// The text of a name, when it is there, no secret and not blank.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(PropertyValue::plain)
            .filter(|text| !text.trim().is_empty())
    }

    /// Whether a name has the text `True`, in any case.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }

    /// Sets a value; the spelling of a name that is there stays.
    pub fn set(&mut self, name: &str, value: impl Into<PropertyValue>) {
        let key = self
            .0
            .keys()
            .find(|other| other.eq_ignore_ascii_case(name))
            .cloned();
        self.0
            .insert(key.unwrap_or_else(|| name.to_owned()), value.into());
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|other, _| !other.eq_ignore_ascii_case(name));
    }

    /// Every name with its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PropertyValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Every secret with its name.
    pub fn sensitive(&mut self) -> impl Iterator<Item = (&str, &mut SensitiveValue)> {
        self.0.iter_mut().filter_map(|(name, value)| match value {
            PropertyValue::Sensitive(value) => Some((name.as_str(), value)),
            PropertyValue::Plain(_) => None,
        })
    }
}

impl<N: Into<String>, V: Into<PropertyValue>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut properties = Self::default();
        for (name, value) in pairs {
            properties.set(&name.into(), value);
        }
        properties
    }
}

/// Null means absent; a number or a bool is taken as its text.
impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut properties = Self::default();
        for (name, value) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            let value =
                property(value).map_err(|why| D::Error::custom(format!("property '{name}': {why}")))?;
            if let Some(value) = value {
                properties.set(&name, value);
            }
        }
        Ok(properties)
    }
}

fn property(value: Value) -> Result<Option<PropertyValue>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(PropertyValue::Plain(text))),
        Value::Bool(true) => Ok(Some("True".into())),
        Value::Bool(false) => Ok(Some("False".into())),
        Value::Number(number) => Ok(Some(PropertyValue::Plain(number.to_string()))),
        Value::Object(_) => serde_json::from_value(value)
            .map(|value| Some(PropertyValue::Sensitive(value)))
            .map_err(|_| "an object must be a sensitive value with HasValue and NewValue".into()),
        Value::Array(_) => Err("a list is neither a text nor a sensitive value".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_in_and_never_comes_out() {
        let value: SensitiveValue =
            serde_json::from_str(r#"{"HasValue":true,"NewValue":"hunter2"}"#).unwrap();
        assert!(matches!(value, SensitiveValue::New(_)));
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"{"HasValue":true,"NewValue":null,"Hint":null}"#
        );
        assert!(!format!("{value:?}").contains("hunter2"));
    }

    #[test]
    fn a_client_keeps_or_clears_a_secret_without_knowing_it() {
        let read = |text| serde_json::from_str::<SensitiveValue>(text).unwrap();
        assert_eq!(read(r#"{"HasValue":true,"NewValue":null}"#), SensitiveValue::Kept);
        assert_eq!(read(r#"{"HasValue":false}"#), SensitiveValue::Empty);
        assert_eq!(read("{}"), SensitiveValue::Empty);
    }

    #[test]
    fn a_property_is_a_text_or_a_secret_and_null_is_absent() {
        let text = r#"{"A":"x","B":{"HasValue":true},"C":null,"D":true,"E":7}"#;
        let properties: Properties = serde_json::from_str(text).unwrap();
        assert_eq!(properties.text("a"), Some("x"));
        assert!(properties.flag("d"));
        assert_eq!(properties.text("E"), Some("7"));
        assert_eq!(properties.get("C"), None);
        assert!(matches!(
            properties.get("B"),
            Some(PropertyValue::Sensitive(SensitiveValue::Kept))
        ));
        assert!(serde_json::from_str::<Properties>(r#"{"A":[1]}"#).is_err());
    }
}
