//! Which value of each variable wins in a place (`deployments.md` 3.3 to 3.5).

use std::collections::BTreeMap;

use crate::name::name_key;
use crate::variable_set::scope::{Place, Source, rank};
use crate::variable_set::{Variable, VariableSet};

/// The winners, and what should be said about them.
#[derive(Debug, Clone, Default)]
pub struct Resolved<'a> {
    /// One value for each name that has one here, in the order in which the names first stand.
    pub winners: Vec<&'a Variable>,
    /// Names for which equal values met; the first of them won.
    pub warnings: Vec<String>,
}

/// What an answer to a prompted variable counts (`deployments.md` 3.3).
const USER: u32 = 4096;

/// Finds the winner of each name. Between equals the earlier set wins, within a set the value that stands first.
#[must_use]
pub fn resolve<'a>(sets: &[(&'a VariableSet, Source)], place: &Place<'_>) -> Resolved<'a> {
    let mut best: BTreeMap<String, (u32, usize, &'a Variable)> = BTreeMap::new();
    let mut resolved = Resolved::default();
    let mut order = 0;
    for (set, source) in sets {
        for variable in &set.variables {
            let Some(rank) = rank(&variable.scope, *source, place) else {
                continue;
            };
            let rank = if variable.answered { rank + USER } else { rank };
            match best.get_mut(&name_key(&variable.name)) {
                None => {
                    best.insert(name_key(&variable.name), (rank, order, variable));
                    order += 1;
                }
                Some((highest, _, winner)) if rank > *highest => {
                    *highest = rank;
                    *winner = variable;
                }
                Some((highest, _, winner)) if rank == *highest => {
                    let warning = format!(
                        "Several values of the variable '{}' count the same here; the one that stands first is used.",
                        winner.name
                    );
                    if !resolved.warnings.contains(&warning) {
                        resolved.warnings.push(warning);
                    }
                }
                Some(_) => {}
            }
        }
    }
    let mut winners: Vec<(usize, &Variable)> = best
        .into_values()
        .map(|(_, order, variable)| (order, variable))
        .collect();
    winners.sort_by_key(|(order, _)| *order);
    resolved.winners = winners.into_iter().map(|(_, variable)| variable).collect();
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variable_set::{VariableValue, scope::CurrentMachine};

    fn set(text: &str) -> VariableSet {
        serde_json::from_str(text).unwrap()
    }

    fn value<'a>(resolved: &Resolved<'a>, name: &str) -> Option<&'a str> {
        resolved
            .winners
            .iter()
            .find(|variable| name_key(&variable.name) == name)
            .and_then(|variable| match &variable.value {
                VariableValue::Plain(text) => text.as_deref(),
                VariableValue::Sensitive(_) => None,
            })
    }

    #[test]
    fn the_value_for_the_environment_wins_there_only() {
        let set = set(
            r#"{"Variables":[{"Name":"X","Value":"a"},{"Name":"x","Value":"b","Scope":{"Environment":["Prod"]}}]}"#,
        );
        let sets = [(&set, Source::Project)];
        let at = |environment| Place {
            environment: Some(environment),
            ..Place::default()
        };
        assert_eq!(value(&resolve(&sets, &at("Prod")), "x"), Some("b"));
        assert_eq!(value(&resolve(&sets, &at("Test")), "x"), Some("a"));
    }

    #[test]
    fn a_library_value_for_the_environment_beats_an_unscoped_one_of_the_project() {
        let project = set(r#"{"Variables":[{"Name":"X","Value":"project"}]}"#);
        let library =
            set(r#"{"Variables":[{"Name":"X","Value":"library","Scope":{"Environment":["Prod"]}}]}"#);
        let sets = [(&project, Source::Project), (&library, Source::Library)];
        let place = Place {
            environment: Some("Prod"),
            ..Place::default()
        };
        assert_eq!(value(&resolve(&sets, &place), "x"), Some("library"));
        assert_eq!(value(&resolve(&sets, &Place::default()), "x"), Some("project"));
    }

    #[test]
    fn an_answer_beats_the_value_of_the_action() {
        let set = set(
            r#"{"Variables":[{"Id":"a","Name":"X","Value":"fixed","Scope":{"Environment":["Prod"]}},
                {"Id":"b","Name":"X","Value":"default","Prompt":{"Label":"Which?"}}]}"#,
        );
        let place = Place {
            environment: Some("Prod"),
            ..Place::default()
        };
        assert_eq!(
            value(&resolve(&[(&set, Source::Project)], &place), "x"),
            Some("fixed")
        );
        let form = BTreeMap::from([("b".to_owned(), "given".into()), ("a".into(), "not asked".into())]);
        let answered = set.answered(&form);
        assert_eq!(
            value(&resolve(&[(&answered, Source::Project)], &place), "x"),
            Some("given")
        );
    }

    #[test]
    fn of_equals_the_first_wins_and_it_is_said_once() {
        let set = set(
            r#"{"Variables":[{"Name":"X","Value":"web","Scope":{"Role":["web"]}},
                {"Name":"X","Value":"all","Scope":{"Role":["all"]}},{"Name":"Y","Value":"y"}]}"#,
        );
        let roles = ["all".to_owned(), "web".to_owned()];
        let place = Place {
            machine: Some(CurrentMachine {
                id: "m",
                roles: &roles,
            }),
            ..Place::default()
        };
        let resolved = resolve(&[(&set, Source::Project)], &place);
        assert_eq!(value(&resolved, "x"), Some("web"));
        assert_eq!(resolved.warnings.len(), 1);
    }
}
