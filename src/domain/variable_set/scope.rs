//! Which values of a variable count, and which of them counts most (`deployments.md` 3.2, 3.3).

use crate::name::same_name;
use crate::variable_set::Scope;

/// Weights of the kinds, each once; the highest sum wins.
mod weight {
    pub(super) const ACTION: u32 = 2048;
    pub(super) const MACHINE: u32 = 1024;
    pub(super) const TARGET_ROLE: u32 = 512;
    pub(super) const ROLE: u32 = 256;
    pub(super) const TENANT_TAG: u32 = 64;
    pub(super) const ENVIRONMENT: u32 = 32;
    pub(super) const CHANNEL: u32 = 16;
    pub(super) const PROCESS_OWNER: u32 = 8;
    pub(super) const PROJECT: u32 = 4;
}

/// Whose values they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The project's own.
    Project,
    /// Of a library variable set.
    Library,
}

/// The machine that is current.
#[derive(Debug, Clone, Copy)]
pub struct CurrentMachine<'a> {
    /// Its id.
    pub id: &'a str,
    /// Every role it holds.
    pub roles: &'a [String],
}

/// The action that is current.
#[derive(Debug, Clone, Copy)]
pub struct CurrentAction<'a> {
    /// Its id.
    pub id: &'a str,
    /// The id of its step.
    pub step_id: &'a str,
    /// The roles it is for.
    pub target_roles: &'a [String],
}

/// Where variables are looked at from. What is None matches no scope of its kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// The environment's id.
    pub environment: Option<&'a str>,
    /// The machine.
    pub machine: Option<CurrentMachine<'a>>,
    /// The action.
    pub action: Option<CurrentAction<'a>>,
    /// The id of the release's channel.
    pub channel: Option<&'a str>,
    /// Canonical names of the tenant's tags; without a tenant there are none.
    pub tenant_tags: &'a [String],
    /// The id of the project, or of the runbook.
    pub process_owner: Option<&'a str>,
}

/// How much a value counts in a place; None when it does not apply there.
#[must_use]
pub fn rank(scope: &Scope, source: Source, place: &Place<'_>) -> Option<u32> {
    let mut rank = if source == Source::Project {
        weight::PROJECT
    } else {
        0
    };
    let mut require = |names: &[String], weight: u32, applies: &dyn Fn(&String) -> bool| -> bool {
        if names.is_empty() {
            return true;
        }
        rank += weight;
        names.iter().any(applies)
    };
    let (step, action) = place
        .action
        .map_or((None, None), |action| (Some(action.step_id), Some(action.id)));
    let applies = require(&scope.environment, weight::ENVIRONMENT, &is(place.environment))
        && require(
            &scope.machine,
            weight::MACHINE,
            &is(place.machine.map(|machine| machine.id)),
        )
        && require(&scope.action, weight::ACTION, &|name| {
            is(action)(name) || is(step)(name)
        })
        && require(&scope.channel, weight::CHANNEL, &is(place.channel))
        && require(&scope.tenant_tag, weight::TENANT_TAG, &|name| {
            place.tenant_tags.iter().any(|tag| same_name(tag, name))
        })
        && require(
            &scope.process_owner,
            weight::PROCESS_OWNER,
            &is(place.process_owner),
        );
    if !applies {
        return None;
    }
    Some(
        rank + if scope.role.is_empty() {
            0
        } else {
            role_rank(&scope.role, place)?
        },
    )
}

fn is(wanted: Option<&str>) -> impl Fn(&String) -> bool {
    move |name| wanted.is_some_and(|id| same_name(id, name))
}

/// A role that the machine holds; one that the action is for, too, counts more.
fn role_rank(roles: &[String], place: &Place<'_>) -> Option<u32> {
    let machine = place.machine?;
    let held: Vec<&String> = roles
        .iter()
        .filter(|role| machine.roles.iter().any(|own| same_name(own, role)))
        .collect();
    let targeted = |role: &&&String| {
        place
            .action
            .is_some_and(|action| action.target_roles.iter().any(|target| same_name(target, role)))
    };
    match (held.is_empty(), held.iter().any(|role| targeted(&role))) {
        (true, _) => None,
        (false, true) => Some(weight::TARGET_ROLE + weight::ROLE),
        (false, false) => Some(weight::ROLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        serde_json::from_str(text).unwrap()
    }

    /// Environment Prod, tenant with Tier/Gold, channel Default, action Web for `web`, machine m1 with web and all.
    fn ranks(text: &str, source: Source) -> Option<u32> {
        let (roles, targets, tags) = (
            ["web".to_owned(), "all".to_owned()],
            ["web".to_owned()],
            ["Tier/Gold".to_owned()],
        );
        let place = Place {
            environment: Some("Prod"),
            machine: Some(CurrentMachine {
                id: "m1",
                roles: &roles,
            }),
            action: Some(CurrentAction {
                id: "Web",
                step_id: "S",
                target_roles: &targets,
            }),
            channel: Some("Default"),
            tenant_tags: &tags,
            process_owner: Some("P"),
        };
        rank(&scope(text), source, &place)
    }

    #[test]
    fn the_worked_examples_rank_as_written() {
        let project = |text| ranks(text, Source::Project);
        assert_eq!(project("{}"), Some(4));
        assert_eq!(project(r#"{"Environment":["Prod"]}"#), Some(36));
        assert_eq!(project(r#"{"Environment":["Prod","Test"]}"#), Some(36));
        assert_eq!(project(r#"{"Role":["all"]}"#), Some(260));
        assert_eq!(project(r#"{"Role":["web"]}"#), Some(772));
        assert_eq!(project(r#"{"Machine":["m1"]}"#), Some(1028));
        assert_eq!(
            project(r#"{"Role":["web"],"Environment":["Prod"],"TenantTag":["tier/gold"]}"#),
            Some(868)
        );
        assert_eq!(
            project(r#"{"Environment":["Prod"],"Channel":["Default"]}"#),
            Some(52)
        );
        assert_eq!(
            project(r#"{"TenantTag":["Tier/Gold"],"Environment":["Prod"]}"#),
            Some(100)
        );
        assert_eq!(project(r#"{"Action":["Web"]}"#), Some(2052));
        assert_eq!(project(r#"{"Action":["S"]}"#), Some(2052));
        assert_eq!(ranks(r#"{"Environment":["Prod"]}"#, Source::Library), Some(32));
        assert_eq!(project(r#"{"Environment":["Test"]}"#), None);
        assert_eq!(project(r#"{"Role":["db"]}"#), None);
    }

    #[test]
    fn without_a_machine_no_machine_or_role_scope_applies() {
        let place = Place {
            environment: Some("Prod"),
            ..Place::default()
        };
        assert_eq!(rank(&scope(r#"{"Role":["web"]}"#), Source::Project, &place), None);
        assert_eq!(
            rank(&scope(r#"{"Machine":["m1"]}"#), Source::Project, &place),
            None
        );
        assert_eq!(
            rank(&scope(r#"{"TenantTag":["Tier/Gold"]}"#), Source::Project, &place),
            None
        );
    }
}
