//! Resources that are stored whole: one JSON text, with what is secret sealed and beside it.
//!
//! The text is the resource as clients see it, plus one member, [`SECRETS`], that maps the field of each
//! sensitive value to its sealed text. A resource that is serialised in any other way has no secret in it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::sensitive::{Sealed, Secret, SensitiveValue};

/// The member of a stored text that holds the sealed values. No request can set it.
pub const SECRETS: &str = "$secrets";

/// A resource with sensitive values in it.
pub trait Document: Serialize + DeserializeOwned + Clone {
    /// Every sensitive value with the name of its field. A field keeps its name when its neighbours change,
    /// because the sealed text is bound to it: `Variables/<id>`, not a position.
    fn sensitive(&mut self) -> Vec<(String, &mut SensitiveValue)> {
        Vec::new()
    }
}

/// A stored text that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("The stored text of a {kind} is damaged: {source}")]
pub struct Damaged {
    kind: &'static str,
    source: serde_json::Error,
}

/// A document cannot be stored because a value in it has not been sealed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("The field '{field}' holds a secret that was not sealed before storing.")]
pub struct NotSealed {
    /// Which field.
    pub field: String,
}

/// The text to store.
///
/// # Errors
/// When a sensitive value is still as a client gave it: [`seal`] was not called.
pub fn to_text<T: Document>(document: &T) -> Result<String, NotSealed> {
    let mut document = document.clone();
    let mut secrets = Map::new();
    for (field, value) in document.sensitive() {
        match value {
            SensitiveValue::Sealed(sealed) => {
                secrets.insert(field, Value::String(sealed.as_str().to_owned()));
            }
            SensitiveValue::Empty => {}
            SensitiveValue::New(_) | SensitiveValue::Kept => return Err(NotSealed { field }),
        }
    }
    let mut value = serde_json::to_value(&document).expect("a resource has only text keys");
    if let Value::Object(members) = &mut value
        && !secrets.is_empty()
    {
        members.insert(SECRETS.into(), Value::Object(secrets));
    }
    Ok(value.to_string())
}

/// Reads a text that [`to_text`] made.
///
/// # Errors
/// When the text is not such a text.
pub fn from_text<T: Document>(text: &str) -> Result<T, Damaged> {
    let damaged = |source| Damaged {
        kind: short_name::<T>(),
        source,
    };
    let mut value: Value = serde_json::from_str(text).map_err(damaged)?;
    let secrets = value
        .as_object_mut()
        .and_then(|members| members.remove(SECRETS))
        .unwrap_or_default();
    let mut secrets: BTreeMap<String, String> = match secrets {
        Value::Null => BTreeMap::new(),
        secrets => serde_json::from_value(secrets).map_err(damaged)?,
    };
    let mut document: T = serde_json::from_value(value).map_err(damaged)?;
    for (field, value) in document.sensitive() {
        *value = match secrets.remove(&field) {
            Some(sealed) => SensitiveValue::Sealed(Sealed::from_text(sealed)),
            None => SensitiveValue::Empty,
        };
    }
    Ok(document)
}

/// Seals what a client gave and takes over what it left as it is, from the document that is replaced.
/// `seal_value` gets the name of the field, to which it binds the sealed text.
///
/// # Errors
/// Those of `seal_value`.
pub fn seal<T: Document, E>(
    document: &mut T,
    replaced: Option<&T>,
    mut seal_value: impl FnMut(&str, &Secret) -> Result<Sealed, E>,
) -> Result<(), E> {
    let mut replaced = replaced.cloned();
    let mut known: BTreeMap<String, Sealed> = BTreeMap::new();
    for (field, value) in replaced.iter_mut().flat_map(T::sensitive) {
        if let SensitiveValue::Sealed(sealed) = value {
            known.insert(field, sealed.clone());
        }
    }
    for (field, value) in document.sensitive() {
        match value {
            SensitiveValue::New(secret) => *value = SensitiveValue::Sealed(seal_value(&field, secret)?),
            SensitiveValue::Kept => {
                *value = known
                    .remove(&field)
                    .map_or(SensitiveValue::Empty, SensitiveValue::Sealed);
            }
            SensitiveValue::Empty | SensitiveValue::Sealed(_) => {}
        }
    }
    Ok(())
}

/// Moves every sealed value to another place: a snapshot or a clone opens it in the old one and seals it in
/// the new one.
///
/// # Errors
/// Those of `reseal_value`.
pub fn reseal<T: Document, E>(
    document: &mut T,
    mut reseal_value: impl FnMut(&str, &Sealed) -> Result<Sealed, E>,
) -> Result<(), E> {
    for (field, value) in document.sensitive() {
        if let SensitiveValue::Sealed(sealed) = value {
            *value = SensitiveValue::Sealed(reseal_value(&field, sealed)?);
        }
    }
    Ok(())
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::{DeploymentProcess, VariableSet};

    fn process(text: &str) -> DeploymentProcess {
        serde_json::from_str(&format!(
            r#"{{"Steps":[{{"Id":"s","Name":"S","Actions":[{{"Id":"a","Name":"A","Properties":{text}}}]}}]}}"#
        ))
        .unwrap()
    }

    fn sealed(mut process: DeploymentProcess, replaced: Option<&DeploymentProcess>) -> DeploymentProcess {
        seal(&mut process, replaced, |field, secret| {
            Ok::<_, Infallible>(Sealed::from_text(format!(
                "odc1:{field}:{}",
                secret.expose().len()
            )))
        })
        .unwrap();
        process
    }

    #[test]
    fn a_sealed_value_is_stored_beside_the_document_and_comes_back() {
        let stored = sealed(process(r#"{"Key":{"HasValue":true,"NewValue":"hunter2"}}"#), None);
        let text = to_text(&stored).unwrap();
        assert!(
            text.contains(r#""$secrets":{"Actions/a/Key":"odc1:Actions/a/Key:7"}"#),
            "{text}"
        );
        assert!(!text.contains("hunter2"));
        assert_eq!(from_text::<DeploymentProcess>(&text).unwrap(), stored);
        assert!(!serde_json::to_string(&stored).unwrap().contains("odc1"));
    }

    #[test]
    fn what_a_client_leaves_as_it_is_is_taken_from_the_document_before() {
        let stored = sealed(
            process(r#"{"Key":{"NewValue":"hunter2"},"Old":{"NewValue":"x"}}"#),
            None,
        );
        let text = r#"{"Key":{"HasValue":true},"Old":{"HasValue":false},"New":{"HasValue":true}}"#;
        let mut edited = sealed(process(text), Some(&stored));
        let kept: Vec<String> = edited
            .sensitive()
            .into_iter()
            .filter_map(|(_, value)| value.sealed().map(|sealed| sealed.as_str().to_owned()))
            .collect();
        assert_eq!(kept, ["odc1:Actions/a/Key:7"]);
    }

    #[test]
    fn nothing_unsealed_is_stored_and_nothing_sealed_is_taken_from_a_request() {
        let fresh = process(r#"{"Key":{"NewValue":"hunter2"}}"#);
        assert_eq!(to_text(&fresh).unwrap_err().field, "Actions/a/Key");
        let planted: VariableSet = serde_json::from_str(
            r#"{"Variables":[{"Id":"v","Name":"K","IsSensitive":true}],"$secrets":{"Variables/v":"odc1:x"}}"#,
        )
        .unwrap();
        assert!(!serde_json::to_string(&planted).unwrap().contains("odc1"));
        assert!(
            from_text::<VariableSet>("{")
                .unwrap_err()
                .to_string()
                .contains("VariableSet is damaged")
        );
    }

    #[test]
    fn a_snapshot_seals_its_values_for_their_new_place() {
        let mut copy = sealed(process(r#"{"Key":{"NewValue":"hunter2"}}"#), None);
        reseal(&mut copy, |_, sealed| {
            Ok::<_, Infallible>(Sealed::from_text(format!("{}'", sealed.as_str())))
        })
        .unwrap();
        assert!(to_text(&copy).unwrap().contains("odc1:Actions/a/Key:7'"));
    }
}
