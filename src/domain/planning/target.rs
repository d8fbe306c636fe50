//! Which machines take part (`deployments.md` 1.5, 7.2).

use crate::machine::{HealthStatus, Machine};
use crate::name::natural_order;
use crate::planning::step::Selection;
use crate::planning::{Snapshot, Target};
use crate::project::SkipMachineBehavior;
use crate::{Problems, same_name};

/// The machines of at least one action, ordered as people count, then by id.
pub(super) fn choose(
    snapshot: &Snapshot<'_>,
    selection: &Selection<'_>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    let roles = selection.roles();
    let mut machines: Vec<&Machine> = snapshot.machines.iter().collect();
    machines.sort_by(|one, other| {
        natural_order(&one.name, &other.name).then_with(|| natural_order(one.id.as_str(), other.id.as_str()))
    });
    let deployment = snapshot.deployment;
    for machine in machines {
        let specific = deployment.specific_machine_ids.contains(&machine.id);
        let has_role = roles.iter().any(|role| machine.has_role(role));
        let in_place = machine.environment_ids.contains(&snapshot.environment.id)
            && machine.serves(deployment.tenant_id.as_ref());
        if machine.is_disabled || !has_role || !in_place {
            if specific {
                let why = match (machine.is_disabled, in_place) {
                    (true, _) => "is disabled",
                    (_, false) => "is not for this deployment",
                    _ => "has no role of any step",
                };
                warnings.push(format!("The machine '{}' {why} and is left out.", machine.name));
            }
            continue;
        }
        let asked = deployment.specific_machine_ids.is_empty() || specific;
        if !asked || deployment.excluded_machine_ids.contains(&machine.id) {
            continue;
        }
        if is_skipped_for_health(snapshot, machine) {
            warnings.push(format!(
                "The machine '{}' is {} and is left out, as the project wants it.",
                machine.name, machine.health_status
            ));
            continue;
        }
        match machine.endpoint.connection() {
            Some(connection) => targets.push(Target {
                id: machine.id.clone(),
                name: machine.name.clone(),
                roles: machine.roles.clone(),
                connection,
                can_be_skipped: can_be_skipped(snapshot, machine),
            }),
            None => problems.add(format!(
                "The machine '{}' is reached by {}, or its address is missing; this Server cannot deploy to it. \
                 Disable it or take it out of the environment.",
                machine.name, machine.endpoint.communication_style
            )),
        }
    }
    let gone = deployment.specific_machine_ids.iter();
    for id in gone.filter(|id| snapshot.machines.iter().all(|machine| &machine.id != *id)) {
        warnings.push(format!(
            "The machine '{id}' is gone or not in this environment any more, and is left out."
        ));
    }
    let allowed = snapshot
        .project
        .project_connectivity_policy
        .allow_deployments_to_no_targets;
    if targets.is_empty() && !roles.is_empty() && !allowed && problems.is_empty() {
        problems.add(no_targets(snapshot, &roles));
    }
    targets
}

fn no_targets(snapshot: &Snapshot<'_>, roles: &[&String]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for role in roles {
        if !names.iter().any(|name| same_name(name, role)) {
            names.push(role);
        }
    }
    format!(
        "There is no machine in the environment '{}' that could be deployed to: every step needs one with the role {}. \
         Add or enable one, or allow deployments to no targets in the project '{}'.",
        snapshot.environment.name,
        names
            .iter()
            .map(|name| format!("'{name}'"))
            .collect::<Vec<_>>()
            .join(" or "),
        snapshot.project.name
    )
}

fn can_be_skipped(snapshot: &Snapshot<'_>, machine: &Machine) -> bool {
    let policy = &snapshot.project.project_connectivity_policy;
    policy.skip_machine_behavior == SkipMachineBehavior::SkipUnavailableMachines
        && (policy.target_roles.is_empty() || policy.target_roles.iter().any(|role| machine.has_role(role)))
}

fn is_skipped_for_health(snapshot: &Snapshot<'_>, machine: &Machine) -> bool {
    let exclude = snapshot
        .project
        .project_connectivity_policy
        .exclude_unhealthy_targets;
    match machine.health_status {
        HealthStatus::Unhealthy => exclude,
        HealthStatus::Unavailable => exclude || can_be_skipped(snapshot, machine),
        HealthStatus::Healthy | HealthStatus::HasWarnings | HealthStatus::Unknown => false,
    }
}
