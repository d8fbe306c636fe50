//! What may be deployed where next (`deployments.md` 6.2).

use std::collections::BTreeSet;

use crate::EnvironmentId;
use crate::lifecycle::Lifecycle;
use crate::shape::words;

words! {
    /// How far a release is in a phase.
    pub enum PhaseState {
        /// Not begun, or passed over.
        Pending,
        /// The one to work on.
        Current,
        /// Done.
        Complete,
    }
}

/// What is known of a release when its progression is asked for.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// The environments of the space in their order.
    pub environments: &'a [EnvironmentId],
    /// Where the release has been deployed with success, ever; for one tenant, or without one.
    pub successes: &'a BTreeSet<EnvironmentId>,
    /// For a tenant: the environments it is connected to for this project. None: no tenant.
    pub connected: Option<&'a BTreeSet<EnvironmentId>>,
    /// Whether the release has a defect that is not resolved.
    pub defect: bool,
}

/// One phase as a release stands to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseProgress {
    /// The phase's id; empty when the lifecycle has no phases.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environments, automatic ones first.
    pub environments: Vec<EnvironmentId>,
    /// Those that get the release by themselves.
    pub automatic: Vec<EnvironmentId>,
    /// How far the release is.
    pub state: PhaseState,
    /// Whether the release may not enter now.
    pub blocked: bool,
    /// Whether the next phase may begin without this one.
    pub is_optional: bool,
    /// How many environments must succeed, as the lifecycle says it; 0 = all.
    pub minimum: i32,
    /// How many successes are still missing.
    pub missing: usize,
}

/// Where a release may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progression {
    /// Every phase in order.
    pub phases: Vec<PhaseProgress>,
    successes: BTreeSet<EnvironmentId>,
}

impl Progression {
    /// Follows a release through a lifecycle.
    #[must_use]
    pub fn of(lifecycle: &Lifecycle, history: History<'_>) -> Self {
        let mut phases = phases(lifecycle, history);
        let mut reachable = true;
        let mut current_found = false;
        for (position, phase) in phases.iter_mut().enumerate() {
            let succeeded = phase
                .environments
                .iter()
                .filter(|id| history.successes.contains(*id))
                .count();
            let all = phase.environments.len();
            let wanted = usize::try_from(phase.minimum).unwrap_or(0);
            let needed = if wanted == 0 { all } else { wanted.min(all) };
            phase.missing = needed.saturating_sub(succeeded);
            let done = phase.missing == 0;
            let closed = history.defect && position > 0 && succeeded == 0;
            phase.blocked = !reachable || closed;
            phase.state = if done {
                PhaseState::Complete
            } else if !phase.is_optional && !current_found {
                current_found = true;
                PhaseState::Current
            } else {
                PhaseState::Pending
            };
            reachable &= done || phase.is_optional;
        }
        Self {
            phases,
            successes: history.successes.clone(),
        }
    }

    /// Whether the release may be deployed to an environment now.
    #[must_use]
    pub fn is_deployable(&self, environment: &EnvironmentId) -> bool {
        self.phases
            .iter()
            .any(|phase| !phase.blocked && phase.environments.contains(environment))
    }

    /// Why the release may not be deployed to an environment, as an end of a sentence; None when it may.
    #[must_use]
    pub fn obstacle(&self, environment: &EnvironmentId) -> Option<String> {
        if self.is_deployable(environment) {
            return None;
        }
        let Some(position) = self
            .phases
            .iter()
            .position(|phase| phase.environments.contains(environment))
        else {
            return Some("the lifecycle has no phase with this environment".into());
        };
        let before = self.phases[..position]
            .iter()
            .find(|phase| phase.missing > 0 && !phase.is_optional);
        Some(match before {
            Some(phase) => format!(
                "the phase '{}' must come first: {} of its environments must still succeed",
                phase.name, phase.missing
            ),
            None => "the release has a defect; resolve it first".into(),
        })
    }

    /// The phase to work on.
    #[must_use]
    pub fn current(&self) -> Option<&PhaseProgress> {
        self.phases
            .iter()
            .find(|phase| phase.state == PhaseState::Current)
    }

    /// Where the release should go next: the environments of the current phase and of optional ones on the way
    /// that have not had it.
    #[must_use]
    pub fn next_deployments(&self) -> Vec<EnvironmentId> {
        let open = self
            .phases
            .iter()
            .filter(|phase| !phase.blocked && phase.state != PhaseState::Complete);
        let mut next: Vec<EnvironmentId> = Vec::new();
        for id in open.flat_map(|phase| &phase.environments) {
            if !self.successes.contains(id) && !next.contains(id) {
                next.push(id.clone());
            }
        }
        next
    }

    /// How many successes the current phase still needs.
    #[must_use]
    pub fn next_minimum(&self) -> usize {
        self.current().map_or(0, |phase| phase.missing)
    }
}

/// The phases as they are now: none = one for each environment; an empty one = all that no earlier phase names.
fn phases(lifecycle: &Lifecycle, history: History<'_>) -> Vec<PhaseProgress> {
    let connected = |id: &&EnvironmentId| history.connected.is_none_or(|connected| connected.contains(*id));
    let exists = |id: &&EnvironmentId| history.environments.contains(*id);
    if lifecycle.phases.is_empty() {
        return history
            .environments
            .iter()
            .map(|id| PhaseProgress {
                id: String::new(),
                name: id.to_string(),
                environments: Some(id).into_iter().filter(connected).cloned().collect(),
                automatic: Vec::new(),
                state: PhaseState::Pending,
                blocked: false,
                is_optional: false,
                minimum: 0,
                missing: 0,
            })
            .collect();
    }
    let mut named: BTreeSet<&EnvironmentId> = BTreeSet::new();
    let mut phases = Vec::new();
    for phase in &lifecycle.phases {
        let own: Vec<&EnvironmentId> = phase.environments().collect();
        let members: Vec<&EnvironmentId> = if own.is_empty() {
            history
                .environments
                .iter()
                .filter(|id| !named.contains(*id))
                .collect()
        } else {
            own.iter().copied().filter(exists).collect()
        };
        named.extend(own);
        phases.push(PhaseProgress {
            id: phase.id.clone(),
            name: phase.name.clone(),
            environments: members.into_iter().filter(connected).cloned().collect(),
            automatic: phase
                .automatic_deployment_targets
                .iter()
                .filter(exists)
                .filter(connected)
                .cloned()
                .collect(),
            state: PhaseState::Pending,
            blocked: false,
            is_optional: phase.is_optional_phase,
            minimum: phase.minimum_environments_before_promotion,
            missing: 0,
        });
    }
    phases
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lifecycle::Phase;

    const NAMES: [&str; 6] = ["D", "Q1", "Q2", "F", "P1", "P2"];

    fn ids(names: &str) -> Vec<EnvironmentId> {
        names.split_whitespace().map(EnvironmentId::from_text).collect()
    }

    /// Dev(D) · QA(Q1,Q2; min 1) · Perf(F; optional) · Prod(P1,P2; min 0).
    fn lifecycle() -> Lifecycle {
        let phase = |name: &str, environments: &str, minimum: i32, optional: bool| Phase {
            name: name.into(),
            optional_deployment_targets: ids(environments),
            minimum_environments_before_promotion: minimum,
            is_optional_phase: optional,
            ..Phase::default()
        };
        Lifecycle {
            phases: vec![
                phase("Dev", "D", 0, false),
                phase("QA", "Q1 Q2", 1, false),
                phase("Perf", "F", 0, true),
                phase("Prod", "P1 P2", 0, false),
            ],
            ..Lifecycle::default()
        }
    }

    fn progress(successes: &str, connected: Option<&str>, defect: bool) -> (String, String, usize) {
        let all = ids("D Q1 Q2 F P1 P2");
        let successes = ids(successes).into_iter().collect();
        let connected = connected.map(|names| ids(names).into_iter().collect());
        let history = History {
            environments: &all,
            successes: &successes,
            connected: connected.as_ref(),
            defect,
        };
        let progression = Progression::of(&lifecycle(), history);
        let deployable: Vec<&str> = NAMES
            .into_iter()
            .filter(|name| progression.is_deployable(&EnvironmentId::from_text(*name)))
            .collect();
        let current = progression
            .current()
            .map(|phase| phase.name.clone())
            .unwrap_or_default();
        (deployable.join(" "), current, progression.next_minimum())
    }

    #[test]
    fn a_release_goes_from_phase_to_phase() {
        let none = None;
        assert_eq!(progress("", none, false), ("D".into(), "Dev".into(), 1));
        assert_eq!(progress("D", none, false), ("D Q1 Q2".into(), "QA".into(), 1));
        assert_eq!(
            progress("D Q2", none, false),
            ("D Q1 Q2 F P1 P2".into(), "Prod".into(), 2)
        );
        assert_eq!(
            progress("D Q2 P1", none, false),
            ("D Q1 Q2 F P1 P2".into(), "Prod".into(), 1)
        );
        assert_eq!(
            progress("D Q2 P1 P2", none, false),
            ("D Q1 Q2 F P1 P2".into(), String::new(), 0)
        );
    }

    #[test]
    fn a_tenant_is_held_only_by_its_own_environments() {
        assert_eq!(progress("", Some("P1"), false), ("P1".into(), "Prod".into(), 1));
        assert_eq!(progress("", Some("D P1"), false), ("D".into(), "Dev".into(), 1));
    }

    #[test]
    fn a_defect_closes_phases_without_a_success() {
        assert_eq!(progress("D", None, true).0, "D");
        assert_eq!(progress("D Q1", None, true).0, "D Q1 Q2");
    }

    #[test]
    fn a_lifecycle_without_phases_takes_every_environment_in_order() {
        let (all, done) = (ids("A B"), ids("A").into_iter().collect());
        let history = History {
            environments: &all,
            successes: &done,
            connected: None,
            defect: false,
        };
        let progression = Progression::of(&Lifecycle::default(), history);
        assert_eq!(progression.next_deployments(), ids("B"));
        assert!(progression.is_deployable(&all[0]));
        let nothing = BTreeSet::new();
        let progression = Progression::of(
            &Lifecycle::default(),
            History {
                successes: &nothing,
                ..history
            },
        );
        assert_eq!(
            progression.obstacle(&all[1]).unwrap(),
            "the phase 'A' must come first: 1 of its environments must still succeed"
        );
        assert!(
            progression
                .obstacle(&EnvironmentId::from_text("Z"))
                .unwrap()
                .contains("no phase")
        );
    }

    proptest! {
        /// Whatever else succeeds, what was deployable once stays so.
        #[test]
        fn a_success_never_takes_an_environment_away(mask in 0_usize..64, more in 0_usize..6) {
            let chosen = |mask: usize| {
                let names = NAMES.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
                names.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
            };
            let before = progress(&chosen(mask), None, false).0;
            let after = progress(&chosen(mask | (1 << more)), None, false).0;
            prop_assert!(before.split(' ').all(|name| after.split(' ').any(|other| other == name)));
        }
    }
}
