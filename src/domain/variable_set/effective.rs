//! The variables of one action in one place, all sources together (`deployments.md` 3.1, 3.5).

use std::fmt;

use octostache::VariableCollection;
use security::{Sealed, Secret};

use crate::deployment_process::{Action, Step};
use crate::name::name_key;
use crate::sensitive::SensitiveValue;
use crate::system_variables::{Values, sensitive_properties};
use crate::variable_set::VariableValue;
use crate::variable_set::resolve::Resolved;

/// Names under `Octopus.` that users set and the Server does not compute (`deployments.md` 4.2).
const SET_BY_USERS: &[&str] = &[
    "octopus.action.maxparallelism",
    "octopus.action.package.runscripts",
];

/// In which document a secret is sealed; the field is that of [`crate::document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedIn<'a> {
    /// The release's copy of the variables.
    Variables(&'a str),
    /// The release's copy of the process.
    Process(&'a str),
}

/// One variable as an action sees it. In clear: it goes into the encrypted variables file and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct EffectiveVariable {
    /// Its name.
    pub name: String,
    /// Its text, not evaluated; None counts as empty.
    pub value: Option<String>,
    /// Whether it is masked in logs.
    pub sensitive: bool,
}

impl fmt::Debug for EffectiveVariable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.sensitive {
            Some("***")
        } else {
            self.value.as_deref()
        };
        write!(formatter, "{} = {value:?}", self.name)
    }
}

/// What an action sees, from the weakest source to the strongest: the winners of the project's variables, the
/// secrets among the properties, what the Server computes, what earlier actions left.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The winners of the user's variables for this place.
    pub variables: &'a Resolved<'a>,
    /// Step and action.
    pub action: (&'a Step, &'a Action),
    /// Computed values, later ones over earlier ones.
    pub computed: &'a [Values],
    /// What earlier actions left: name, value, whether it is sensitive.
    pub outputs: &'a [(String, String, bool)],
}

/// Puts the sources together; each name stands once. `open` opens a sealed value of a document.
///
/// # Errors
/// Those of `open`.
pub fn effective<E>(
    sources: &Sources<'_>,
    mut open: impl FnMut(SealedIn<'_>, &Sealed) -> Result<Secret, E>,
) -> Result<Vec<EffectiveVariable>, E> {
    let mut all = Collected::default();
    for variable in &sources.variables.winners {
        match &variable.value {
            VariableValue::Plain(text) => all.set(&variable.name, text.clone(), false),
            VariableValue::Sensitive(SensitiveValue::Sealed(sealed)) => {
                let field = format!("Variables/{}", variable.id);
                let secret = open(SealedIn::Variables(&field), sealed)?;
                all.set(&variable.name, Some(secret.expose().to_owned()), true);
            }
            VariableValue::Sensitive(_) => all.set(&variable.name, None, true),
        }
    }
    let user_flags: Vec<EffectiveVariable> = all
        .entries
        .iter()
        .filter(|entry| SET_BY_USERS.contains(&name_key(&entry.name).as_str()))
        .cloned()
        .collect();
    for (name, value) in sources.computed.iter().flatten() {
        all.set(name, Some(value.clone()), false);
    }
    let (step, action) = sources.action;
    for (name, field, value) in sensitive_properties(step, action) {
        let text = match value {
            SensitiveValue::Sealed(sealed) => {
                Some(open(SealedIn::Process(&field), sealed)?.expose().to_owned())
            }
            _ => None,
        };
        all.set(name, text, true);
    }
    for flag in user_flags {
        all.set(&flag.name, flag.value, flag.sensitive);
    }
    for (name, value, sensitive) in sources.outputs {
        all.set(name, Some(value.clone()), *sensitive);
    }
    Ok(all.entries)
}

/// The same for evaluating expressions with.
#[must_use]
pub fn collection(variables: &[EffectiveVariable]) -> VariableCollection {
    let mut collection = VariableCollection::new();
    for variable in variables {
        collection.set(&variable.name, variable.value.as_deref());
    }
    collection
}

#[derive(Default)]
struct Collected {
    entries: Vec<EffectiveVariable>,
    places: std::collections::HashMap<String, usize>,
}

impl Collected {
    fn set(&mut self, name: &str, value: Option<String>, sensitive: bool) {
        let entry = EffectiveVariable {
            name: name.to_owned(),
            value,
            sensitive,
        };
        match self.places.get(&name_key(name)) {
            Some(place) => self.entries[*place] = entry,
            None => {
                self.places.insert(name_key(name), self.entries.len());
                self.entries.push(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::seal;
    use crate::variable_set::resolve::resolve;
    use crate::variable_set::scope::{Place, Source};
    use crate::{DeploymentProcess, VariableSet};

    #[test]
    fn an_action_sees_the_strongest_value_of_each_name_and_its_secrets_in_clear() {
        let sealing = |field: &str, secret: &Secret| {
            Ok::<_, ()>(Sealed::from_text(format!("{field}|{}", secret.expose())))
        };
        let mut variables: VariableSet = serde_json::from_str(
            r#"{"Variables":[{"Id":"1","Name":"Password","Value":"hunter2","Type":"Sensitive"},{"Id":"2","Name":"Empty"},
                {"Id":"3","Name":"octopus.environment.name","Value":"mine"},
                {"Id":"4","Name":"Octopus.Action.MaxParallelism","Value":"3"}]}"#,
        )
        .unwrap();
        seal(&mut variables, None, sealing).unwrap();
        let mut process: DeploymentProcess = serde_json::from_str(
            r#"{"Steps":[{"Id":"s","Name":"S","Actions":[{"Id":"a","Name":"A","Properties":{"Key":{"NewValue":"deep"}}}]}]}"#,
        )
        .unwrap();
        seal(&mut process, None, sealing).unwrap();
        let resolved = resolve(&[(&variables, Source::Project)], &Place::default());
        let sources = Sources {
            variables: &resolved,
            action: process.actions().next().unwrap(),
            computed: &[vec![
                ("Octopus.Environment.Name".into(), "Test".into()),
                ("Octopus.Action.MaxParallelism".into(), "7".into()),
            ]],
            outputs: &[("Octopus.Action[B].Output.X".into(), "1".into(), false)],
        };
        let all = effective(&sources, |place, sealed| {
            let (field, clear) = sealed.as_str().split_once('|').unwrap();
            let wanted = match place {
                SealedIn::Variables(field) | SealedIn::Process(field) => field,
            };
            assert_eq!(wanted, field);
            Ok::<_, ()>(Secret::from(clear))
        })
        .unwrap();
        let text = format!("{all:?}");
        assert!(!text.contains("hunter2") && !text.contains("deep"), "{text}");
        let names = collection(&all);
        let get = |name: &str| names.get(name).unwrap();
        assert_eq!(get("password").as_deref(), Some("hunter2"));
        assert_eq!(get("Key").as_deref(), Some("deep"));
        assert_eq!(get("Octopus.Environment.Name").as_deref(), Some("Test"));
        assert_eq!(get("Octopus.Action.MaxParallelism").as_deref(), Some("3"));
        assert_eq!(get("Octopus.Action[B].Output.X").as_deref(), Some("1"));
        assert!(names.contains("Empty") && get("Empty").is_none());
    }
}
