//! Prompted variables: what is asked when a deployment is made, and the answers (`deployments.md` 3.8).

use std::collections::BTreeMap;

use domain::deployment::Deployment;
use domain::variable_set::scope::{Place, Source, rank};
use domain::variable_set::{Variable, VariableValue};
use domain::{Environment, Problems, Release, SpaceId, VariableSet, name_key, same_name};
use security::{KeyRing, Sealed, Secret};
use serde_json::{Value, json};

use crate::{Result, sealing};

/// The member of a stored answer that holds a sealed text instead of a clear one.
const SEALED: &str = "$sealed";

/// An answer as the engine uses it.
pub enum Answer {
    /// A text.
    Plain(String),
    /// A text that is never shown.
    Secret(Secret),
}

/// The variables that are asked for, in the order of their labels. Of several of one name only the one that
/// would win in this environment is asked.
pub(crate) fn asked<'a>(
    variables: &'a VariableSet,
    release: &Release,
    environment: &Environment,
) -> Vec<&'a Variable> {
    let place = Place {
        environment: Some(environment.id.as_str()),
        channel: Some(release.channel_id.as_str()),
        process_owner: Some(release.project_id.as_str()),
        ..Place::default()
    };
    let mut best: BTreeMap<String, (u32, &Variable)> = BTreeMap::new();
    for variable in &variables.variables {
        let prompted_elsewhere = variable.prompt.is_some()
            && (!variable.scope.role.is_empty()
                || !variable.scope.machine.is_empty()
                || !variable.scope.action.is_empty())
            && (variable.scope.environment.is_empty()
                || variable
                    .scope
                    .environment
                    .iter()
                    .any(|id| environment.id.as_str() == id));
        let rank = match rank(&variable.scope, Source::Project, &place) {
            Some(rank) => rank,
            // A value for a role, machine or action can win there.
            None if prompted_elsewhere => 0,
            None => continue,
        };
        let key = name_key(&variable.name);
        match best.get(&key) {
            Some((highest, other)) if *highest >= rank && (other.prompt.is_some() || rank > 0) => {}
            _ => drop(best.insert(key, (rank, variable))),
        }
    }
    let mut asked: Vec<&Variable> = best
        .into_values()
        .map(|(_, variable)| variable)
        .filter(|variable| variable.prompt.is_some())
        .collect();
    asked.sort_by_key(|variable| name_key(label(variable)));
    asked
}

/// What people see of a prompted variable.
pub(crate) fn label(variable: &Variable) -> &str {
    let label = variable
        .prompt
        .as_ref()
        .and_then(|prompt| prompt.label.as_deref());
    label
        .filter(|label| !label.trim().is_empty())
        .unwrap_or(&variable.name)
}

/// Answers as they are stored: by the id of the variable. `by_id` are those of a form, unknown ones do not count;
/// `by_name` are those of a command, unknown ones are wrong.
pub(crate) fn answers(
    asked: &[&Variable],
    by_id: &BTreeMap<String, Value>,
    by_name: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeMap<String, Value> {
    for name in by_name.keys() {
        if !asked
            .iter()
            .any(|variable| same_name(&variable.name, name) || same_name(label(variable), name))
        {
            problems.add(format!(
                "The request gives a value for the variable '{name}', which is not asked for here. Leave it out, or make it \
                 a prompted variable and create a new release."
            ));
        }
    }
    let mut answers = BTreeMap::new();
    for variable in asked {
        let named = by_name
            .iter()
            .find(|(name, _)| same_name(&variable.name, name) || same_name(label(variable), name))
            .map(|(_, value)| value.clone());
        let given = by_id
            .iter()
            .find(|(id, _)| id.eq_ignore_ascii_case(&variable.id))
            .and_then(|(_, value)| text(value));
        let required = variable.prompt.as_ref().is_some_and(|prompt| prompt.required);
        let has_value = match &variable.value {
            VariableValue::Plain(value) => value.as_deref().is_some_and(|value| !value.trim().is_empty()),
            VariableValue::Sensitive(value) => value.has_value(),
        };
        match named.or(given) {
            Some(answer) if required && answer.trim().is_empty() => problems.add(missing(variable)),
            Some(answer) => drop(answers.insert(variable.id.clone(), Value::String(answer))),
            None if required && !has_value => problems.add(missing(variable)),
            None => {}
        }
    }
    answers
}

/// Seals the answers to sensitive prompts for the deployment that they stand in.
pub(crate) fn seal(keys: &KeyRing, space: &SpaceId, asked: &[&Variable], deployment: &mut Deployment) {
    let id = deployment.id.to_string();
    for variable in asked.iter().filter(|variable| variable.is_sensitive()) {
        if let Some(Value::String(text)) = deployment.form_values.get(&variable.id) {
            let field = field(&variable.id);
            let place = sealing::Place::deployment(space, &id).field(&field);
            let sealed = keys.seal(place, &Secret::from(text.as_str()));
            deployment
                .form_values
                .insert(variable.id.clone(), json!({ SEALED: sealed.as_str() }));
        }
    }
}

/// The answers of a deployment by the id of the variable, sensitive ones opened.
///
/// # Errors
/// When a sealed answer does not open.
pub fn opened(keys: &KeyRing, deployment: &Deployment) -> Result<BTreeMap<String, Answer>> {
    let mut answers = BTreeMap::new();
    for (id, value) in &deployment.form_values {
        let answer = match value.get(SEALED).and_then(Value::as_str) {
            Some(sealed) => {
                let field = field(id);
                let place =
                    sealing::Place::deployment(&deployment.space_id, deployment.id.as_str()).field(&field);
                Answer::Secret(keys.open(place, &Sealed::from_text(sealed))?)
            }
            None => Answer::Plain(text(value).unwrap_or_default()),
        };
        answers.insert(id.clone(), answer);
    }
    Ok(answers)
}

/// The deployment as clients see it: a sealed answer is only known to be there.
#[must_use]
pub fn shown(mut deployment: Deployment) -> Deployment {
    for value in deployment.form_values.values_mut() {
        if value.get(SEALED).is_some() {
            *value = json!({ "HasValue": true, "NewValue": null });
        }
    }
    deployment
}

fn field(id: &str) -> String {
    format!("FormValues/{id}")
}

/// A sensitive answer may come as an object with a new value.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(true) => Some("True".into()),
        Value::Bool(false) => Some("False".into()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(members) => members
            .get("NewValue")
            .and_then(Value::as_str)
            .map(str::to_string),
        Value::Null | Value::Array(_) => None,
    }
}

fn missing(variable: &Variable) -> String {
    format!(
        "The variable '{}' must be given a value. Answer it in the request.",
        label(variable)
    )
}
