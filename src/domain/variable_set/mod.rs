//! Variables of a project (`rest-api.md` 5.12, `deployments.md` 3).

pub mod effective;
pub mod output;
pub mod resolve;
pub mod scope;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::Document;
use crate::name::{name_key, same_name};
use crate::sensitive::{Secret, SensitiveValue};
use crate::shape::{Extra, shape, words};
use crate::{Problems, ProjectId, SpaceId, VariableSetId};

words! {
    /// What the value of a variable stands for.
    pub enum VariableType {
        /// A text.
        String,
        /// A text that is never shown.
        Sensitive,
        /// The id of a certificate.
        Certificate,
        /// The id of an AWS account.
        AmazonWebServicesAccount,
        /// The id of an Azure account.
        AzureAccount,
        /// The id of a Google Cloud account.
        GoogleCloudAccount,
        /// The id of an account with user name and password.
        UsernamePasswordAccount,
        /// The id of an OIDC account.
        GenericOidcAccount,
        /// The id of a worker pool.
        WorkerPool,
    }
}

shape! {
    /// All variables of one owner.
    pub struct + extra VariableSet {
        /// `variableset-Projects-1`.
        pub id: VariableSetId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// The project.
        pub owner_id: String,
        /// Grows with each change; a change of an old version is refused.
        pub version: i32,
        /// The variables in order; the order decides between equals.
        pub variables: Vec<Variable>,
    }

    /// Where a value counts. Inside a kind any of the names, of the kinds every one (`deployments.md` 3.2).
    pub struct Scope {
        /// Ids of environments.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub environment: Vec<String>,
        /// Ids of machines.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub machine: Vec<String>,
        /// Names of roles.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub role: Vec<String>,
        /// Ids of actions or steps.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub action: Vec<String>,
        /// Ids of channels.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub channel: Vec<String>,
        /// Canonical names of tags.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub tenant_tag: Vec<String>,
        /// Ids of the project or its runbooks.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub process_owner: Vec<String>,
    }

    /// How a value is asked for when a deployment is made.
    pub struct + extra Prompt {
        /// What people see.
        pub label: Option<String>,
        /// More about it.
        pub description: Option<String>,
        /// Whether it must be answered.
        pub required: bool,
        /// How it is shown.
        pub display_settings: Map<String, Value>,
    }
}

/// The text of a variable, or its secret.
#[derive(Debug, Clone, PartialEq)]
pub enum VariableValue {
    /// A text; None counts as empty.
    Plain(Option<String>),
    /// A secret.
    Sensitive(SensitiveValue),
}

impl Default for VariableValue {
    fn default() -> Self {
        Self::Plain(None)
    }
}

/// One value of a name, and where it counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Shape", into = "Shape")]
pub struct Variable {
    /// A GUID; the Server fills it.
    pub id: String,
    /// Compared without case; several values may have one name.
    pub name: String,
    /// The value.
    pub value: VariableValue,
    /// What it is for.
    pub description: String,
    /// What the value stands for.
    pub kind: VariableType,
    /// Whether people may change it.
    pub is_editable: bool,
    /// Where it counts.
    pub scope: Scope,
    /// How it is asked for.
    pub prompt: Option<Prompt>,
    /// Whether the value is a person's answer for one deployment ([`VariableSet::answered`]); never stored.
    pub answered: bool,
    /// Members that we do not know.
    pub extra: Extra,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Shape {
    id: Option<String>,
    name: Option<String>,
    value: Option<String>,
    description: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<VariableType>,
    is_sensitive: Option<bool>,
    is_editable: Option<bool>,
    scope: Option<Scope>,
    prompt: Option<Prompt>,
    #[serde(flatten)]
    extra: Extra,
}

impl Default for Shape {
    fn default() -> Self {
        Variable {
            is_editable: true,
            ..Variable::default()
        }
        .into()
    }
}

impl From<Shape> for Variable {
    fn from(shape: Shape) -> Self {
        let kind = shape.kind.unwrap_or_default();
        let sensitive = kind == VariableType::Sensitive
            || (kind == VariableType::String && shape.is_sensitive.unwrap_or(false));
        let value = match (sensitive, shape.value) {
            (true, Some(text)) => VariableValue::Sensitive(SensitiveValue::New(Secret::from(text))),
            (true, None) => VariableValue::Sensitive(SensitiveValue::Kept),
            (false, text) => VariableValue::Plain(text),
        };
        Self {
            id: shape.id.unwrap_or_default(),
            name: shape.name.unwrap_or_default().trim().to_owned(),
            value,
            description: shape.description.unwrap_or_default(),
            kind: if sensitive { VariableType::Sensitive } else { kind },
            is_editable: shape.is_editable.unwrap_or(true),
            scope: shape.scope.unwrap_or_default(),
            prompt: shape.prompt,
            answered: false,
            extra: shape.extra,
        }
    }
}

impl From<Variable> for Shape {
    fn from(variable: Variable) -> Self {
        let is_sensitive = variable.is_sensitive();
        Self {
            id: Some(variable.id),
            name: Some(variable.name),
            value: match variable.value {
                VariableValue::Plain(text) => text,
                VariableValue::Sensitive(_) => None,
            },
            description: Some(variable.description),
            kind: Some(variable.kind),
            is_sensitive: Some(is_sensitive),
            is_editable: Some(variable.is_editable),
            scope: Some(variable.scope),
            prompt: variable.prompt,
            extra: variable.extra,
        }
    }
}

impl Variable {
    /// An unscoped text.
    #[must_use]
    pub fn plain(name: &str, value: &str) -> Self {
        Self {
            name: name.into(),
            value: VariableValue::Plain(Some(value.into())),
            is_editable: true,
            ..Self::default()
        }
    }

    /// Whether the value is never shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        matches!(self.value, VariableValue::Sensitive(_))
    }
}

impl Document for VariableSet {
    fn sensitive(&mut self) -> Vec<(String, &mut SensitiveValue)> {
        self.variables
            .iter_mut()
            .filter_map(|variable| match &mut variable.value {
                VariableValue::Sensitive(value) => Some((format!("Variables/{}", variable.id), value)),
                VariableValue::Plain(_) => None,
            })
            .collect()
    }
}

/// The names by which scopes can be checked: for each kind the ids that exist. Roles are free.
#[derive(Debug, Clone, Default)]
pub struct ScopeReferences {
    /// Environments of the space.
    pub environments: BTreeSet<String>,
    /// Machines of the space.
    pub machines: BTreeSet<String>,
    /// Steps and actions of the project's process.
    pub actions: BTreeSet<String>,
    /// Channels of the project.
    pub channels: BTreeSet<String>,
}

impl VariableSet {
    /// The variables of a new project.
    #[must_use]
    pub fn empty(project_id: &ProjectId, space_id: SpaceId) -> Self {
        Self {
            id: VariableSetId::of(project_id),
            space_id,
            owner_id: project_id.to_string(),
            ..Self::default()
        }
    }

    /// Fills in what clients leave out: ids, from `new_id`, a GUID each.
    pub fn complete(&mut self, mut new_id: impl FnMut() -> String) {
        let mut ids = BTreeSet::new();
        for variable in &mut self.variables {
            if variable.id.trim().is_empty() || !ids.insert(variable.id.clone()) {
                variable.id = new_id();
                ids.insert(variable.id.clone());
            }
        }
    }

    /// What is wrong with it. `replaced` is the set that is stored now: what stood there already may name
    /// things that have vanished since.
    #[must_use]
    pub fn problems(&self, known: &ScopeReferences, replaced: Option<&Self>) -> Problems {
        let mut problems = Problems::default();
        let before: BTreeMap<&str, &Variable> = replaced
            .iter()
            .flat_map(|set| &set.variables)
            .map(|variable| (variable.id.as_str(), variable))
            .collect();
        for variable in &self.variables {
            let name = &variable.name;
            if name.is_empty() {
                problems.add("A variable has no name. Give it one.");
            }
            let old = before.get(variable.id.as_str());
            if matches!(variable.value, VariableValue::Sensitive(SensitiveValue::Kept)) && old.is_none() {
                problems.add(format!(
                    "The sensitive variable '{name}' is new and has no value. Give it one."
                ));
            }
            if old.is_some_and(|old| old.is_sensitive())
                && matches!(variable.value, VariableValue::Plain(None))
            {
                problems.add(format!(
                    "The variable '{name}' is to become readable and would lose its secret. Give it a new value."
                ));
            }
            let empty = Scope::default();
            let old_scope = old.map_or(&empty, |old| &old.scope);
            let kinds = [
                (
                    "environment",
                    &variable.scope.environment,
                    &old_scope.environment,
                    &known.environments,
                ),
                (
                    "machine",
                    &variable.scope.machine,
                    &old_scope.machine,
                    &known.machines,
                ),
                (
                    "action",
                    &variable.scope.action,
                    &old_scope.action,
                    &known.actions,
                ),
                (
                    "channel",
                    &variable.scope.channel,
                    &old_scope.channel,
                    &known.channels,
                ),
            ];
            for (kind, ids, old_ids, known) in kinds {
                for id in ids
                    .iter()
                    .filter(|id| !known.contains(*id) && !old_ids.contains(id))
                {
                    problems.add(format!(
                        "The variable '{name}' is scoped to the {kind} '{id}', which does not exist. \
                         Take it out of the scope."
                    ));
                }
            }
        }
        self.ties(&mut problems);
        problems
    }

    /// The set with a person's answers to prompted variables, by the variables' ids (`deployments.md` 3.8).
    #[must_use]
    pub fn answered(&self, form: &BTreeMap<String, Value>) -> Self {
        let mut set = self.clone();
        for variable in set
            .variables
            .iter_mut()
            .filter(|variable| variable.prompt.is_some())
        {
            let answer = match form.get(&variable.id) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Bool(answer)) => {
                    if *answer {
                        "True".into()
                    } else {
                        "False".into()
                    }
                }
                Some(Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            variable.value = VariableValue::Plain(Some(answer));
            variable.answered = true;
        }
        set
    }

    /// What is wrong with the answers for an environment: required ones that are missing, and secrets.
    pub(crate) fn answer_problems(
        &self,
        form: &BTreeMap<String, Value>,
        environment: &str,
        problems: &mut Problems,
    ) {
        for variable in &self.variables {
            let Some(prompt) = &variable.prompt else { continue };
            let label = prompt
                .label
                .as_deref()
                .filter(|label| !label.is_empty())
                .unwrap_or(&variable.name);
            let answer = form.get(&variable.id).filter(|answer| !answer.is_null());
            if variable.is_sensitive() && answer.is_some() {
                problems.add(format!(
                    "An answer is given to '{label}', which is sensitive; this Server cannot take such answers yet. \
                     Leave it out of FormValues, so that the stored value is used."
                ));
            }
            let scopes = &variable.scope.environment;
            let asked = scopes.is_empty() || scopes.iter().any(|id| same_name(id, environment));
            let blank = match (answer, &variable.value) {
                (Some(answer), _) => answer.as_str().is_some_and(|text| text.trim().is_empty()),
                (None, VariableValue::Plain(text)) => text.as_deref().unwrap_or_default().trim().is_empty(),
                (None, VariableValue::Sensitive(value)) => !value.has_value(),
            };
            if asked && prompt.required && blank {
                problems.add(format!(
                    "A value is needed for '{label}' (the variable '{}'). Give it in FormValues under '{}'.",
                    variable.name, variable.id
                ));
            }
        }
    }

    /// Certain ties: values of one name that always rank the same where both count (`deployments.md` 3.4).
    fn ties(&self, problems: &mut Problems) {
        let mut by_name: BTreeMap<String, Vec<&Variable>> = BTreeMap::new();
        for variable in &self.variables {
            by_name
                .entry(name_key(&variable.name))
                .or_default()
                .push(variable);
        }
        for values in by_name.values() {
            for (position, one) in values.iter().enumerate() {
                for other in &values[position + 1..] {
                    if let Some(shared) = one.scope.certain_tie(&other.scope) {
                        problems.add(format!(
                            "Two values of the variable '{}' count in the same place ({shared}). \
                             Change the scope of one, or take one out.",
                            one.name
                        ));
                    }
                }
            }
        }
    }
}

impl Scope {
    /// The kinds with their names, in the order of the clients.
    #[must_use]
    pub fn kinds(&self) -> [(&'static str, &[String]); 7] {
        [
            ("Environment", &self.environment),
            ("Machine", &self.machine),
            ("Role", &self.role),
            ("Action", &self.action),
            ("Channel", &self.channel),
            ("TenantTag", &self.tenant_tag),
            ("ProcessOwner", &self.process_owner),
        ]
    }

    /// Whether it counts everywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds().iter().all(|(_, names)| names.is_empty())
    }

    /// What two scopes of the same kinds share, when they share a name in every kind.
    fn certain_tie(&self, other: &Self) -> Option<String> {
        let mut shared = Vec::new();
        for ((kind, names), (_, others)) in self.kinds().into_iter().zip(other.kinds()) {
            if names.is_empty() && others.is_empty() {
                continue;
            }
            let both = names
                .iter()
                .find(|name| others.iter().any(|other| same_name(name, other)))?;
            shared.push(format!("{kind} {both}"));
        }
        Some(if shared.is_empty() {
            "both without scope".into()
        } else {
            shared.join(", ")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> VariableSet {
        let mut set: VariableSet = serde_json::from_str(text).unwrap();
        let mut number = 0;
        set.complete(|| {
            number += 1;
            format!("v{number}")
        });
        set
    }

    #[test]
    fn a_sensitive_value_is_read_and_never_written() {
        let set = set(
            r#"{"Variables":[{"Name":" Key ","Value":"hunter2","Type":"Sensitive"},{"Name":"P","Value":"8080"}]}"#,
        );
        let text = serde_json::to_string(&set).unwrap();
        assert!(!text.contains("hunter2"));
        assert!(
            text.contains(
                r#""Name":"Key","Value":null,"Description":"","Type":"Sensitive","IsSensitive":true"#
            )
        );
        assert!(text.contains(r#""Name":"P","Value":"8080","Description":"","Type":"String","IsSensitive":false,"IsEditable":true,"Scope":{}"#));
    }

    #[test]
    fn equal_scopes_are_refused_and_overlapping_kinds_are_fine() {
        let refused = |one: &str, other: &str| {
            let text =
                format!(r#"{{"Variables":[{{"Name":"X","Scope":{one}}},{{"Name":"x","Scope":{other}}}]}}"#);
            let known = ScopeReferences {
                environments: ["Prod", "Test"].map(String::from).into(),
                ..ScopeReferences::default()
            };
            !set(&text).problems(&known, None).is_empty()
        };
        assert!(refused("{}", "{}"));
        assert!(refused(
            r#"{"Environment":["Prod","Test"]}"#,
            r#"{"Environment":["Prod"]}"#
        ));
        assert!(!refused(
            r#"{"Environment":["Prod"]}"#,
            r#"{"Environment":["Test"]}"#
        ));
        assert!(!refused(r#"{"Role":["web"]}"#, r#"{"Role":["all"]}"#));
        assert!(!refused(
            r#"{"Environment":["Prod"],"Role":["web"]}"#,
            r#"{"Environment":["Prod"]}"#
        ));
        assert!(refused(
            r#"{"TenantTag":["Tier/Gold"]}"#,
            r#"{"TenantTag":["tier/gold","Tier/Silver"]}"#
        ));
    }

    #[test]
    fn a_scope_to_something_unknown_is_refused_unless_it_stood_there_before() {
        let old = set(r#"{"Variables":[{"Id":"a","Name":"X","Scope":{"Machine":["Machines-9"]}}]}"#);
        assert!(old.problems(&ScopeReferences::default(), Some(&old)).is_empty());
        let text = old.problems(&ScopeReferences::default(), None).to_string();
        assert_eq!(
            text,
            "The variable 'X' is scoped to the machine 'Machines-9', which does not exist. Take it out of the scope."
        );
    }
}
