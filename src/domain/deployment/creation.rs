//! What is checked before a deployment is queued (`deployments.md` 7.1), all of it together.

use std::collections::BTreeSet;

use crate::lifecycle::progression::Progression;
use crate::project::TenantedDeploymentMode;
use crate::time::Timestamp;
use crate::{
    Deployment, DeploymentProcess, Environment, MachineId, Problems, Project, Release, VariableSet, same_name,
};

/// How long a scheduled deployment may lie ahead.
const FARTHEST: i64 = 30 * 24 * 3_600_000;
/// How long a scheduled deployment waits after its time.
const SCHEDULED_EXPIRY: i64 = 30 * 60_000;
/// How long a deployment for now waits.
const IMMEDIATE_EXPIRY: i64 = 24 * 3_600_000;

/// What a deployment is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its project.
    pub project: &'a Project,
    /// The release.
    pub release: &'a Release,
    /// Where it goes.
    pub environment: &'a Environment,
    /// How far the release is.
    pub progression: &'a Progression,
    /// The release's copy of the process.
    pub process: &'a DeploymentProcess,
    /// The release's copy of the variables.
    pub variables: &'a VariableSet,
    /// The machines of the environment.
    pub machines: &'a BTreeSet<MachineId>,
    /// Now.
    pub now: Timestamp,
}

/// Everything that speaks against a deployment. Health of machines, existence of packages and machines for a role are
/// not looked at before it starts.
#[must_use]
pub fn problems(deployment: &Deployment, known: &Known<'_>) -> Problems {
    let mut problems = Problems::default();
    let (project, environment, version) = (
        &known.project.name,
        &known.environment.name,
        &known.release.version,
    );
    if known.project.is_disabled {
        problems.add(format!(
            "The project '{project}' is disabled. Enable it to deploy release {version}."
        ));
    }
    match (&deployment.tenant_id, known.project.tenanted_deployment_mode) {
        (Some(tenant), _) => problems.add(format!(
            "The deployment is for the tenant '{tenant}', and this Server has no tenants yet. Leave TenantId out."
        )),
        (None, TenantedDeploymentMode::Tenanted) => problems.add(format!(
            "The project '{project}' is deployed for tenants only. Change its TenantedDeploymentMode to deploy \
             without one."
        )),
        (None, _) => {}
    }
    if let Some(obstacle) = known.progression.obstacle(&known.environment.id) {
        problems.add(format!(
            "Release {version} of the project '{project}' cannot be deployed to the environment '{environment}': {obstacle}."
        ));
    }
    for (step, action) in known.process.actions() {
        let skipped = deployment
            .skip_actions
            .iter()
            .any(|id| same_name(id, &action.id) || same_name(id, &step.id));
        if skipped && action.is_required && !action.is_disabled {
            problems.add(format!(
                "The action '{}' is required and cannot be skipped. Take it out of SkipActions.",
                action.name
            ));
        }
    }
    for (member, ids) in [
        ("SpecificMachineIds", &deployment.specific_machine_ids),
        ("ExcludedMachineIds", &deployment.excluded_machine_ids),
    ] {
        for id in ids.iter().filter(|id| !known.machines.contains(*id)) {
            problems.add(format!(
                "The machine '{id}' in {member} does not exist or is not in the environment '{environment}'. \
                 Take it out."
            ));
        }
    }
    for id in deployment
        .specific_machine_ids
        .iter()
        .filter(|id| deployment.excluded_machine_ids.contains(id))
    {
        problems.add(format!(
            "The machine '{id}' is both in SpecificMachineIds and in ExcludedMachineIds. Take it out of one."
        ));
    }
    known.variables.answer_problems(
        &deployment.form_values,
        known.environment.id.as_str(),
        &mut problems,
    );
    if deployment.use_guided_failure == Some(true) {
        problems
            .add("Guided failure is asked for, which this Server cannot do yet. Leave UseGuidedFailure out.");
    }
    if let Some(time) = deployment.queue_time
        && time.0 > known.now.0 + FARTHEST
    {
        problems.add(format!(
            "The queue time {time} is more than 30 days ahead. Choose an earlier one."
        ));
    }
    if let (Some(expiry), time) = (
        deployment.queue_time_expiry,
        deployment.queue_time.unwrap_or(known.now),
    ) && expiry <= time.max(known.now)
    {
        problems.add(format!(
            "The deployment would expire at {expiry}, before it may start. Choose a later QueueTimeExpiry."
        ));
    }
    problems
}

/// From when until when a deployment may start: a time in the past means now (`deployments.md` 7.4).
#[must_use]
pub fn queue_times(deployment: &Deployment, now: Timestamp) -> (Timestamp, Timestamp) {
    let scheduled = deployment.queue_time.filter(|time| *time > now);
    let from = scheduled.unwrap_or(now);
    let wait = if scheduled.is_some() {
        SCHEDULED_EXPIRY
    } else {
        IMMEDIATE_EXPIRY
    };
    (
        from,
        deployment.queue_time_expiry.unwrap_or(Timestamp(from.0 + wait)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Lifecycle;
    use crate::lifecycle::progression::History;
    use crate::{EnvironmentId, TenantId};

    fn check(deployment: &Deployment) -> String {
        let (first, second) = (EnvironmentId::numbered(1), EnvironmentId::numbered(2));
        let environments = [first, second.clone()];
        let nothing = BTreeSet::new();
        let history = History {
            environments: &environments,
            successes: &nothing,
            connected: None,
            defect: false,
        };
        let process: DeploymentProcess = serde_json::from_str(
            r#"{"Steps":[{"Id":"s1","Name":"A","Actions":[{"Id":"a1","Name":"A","IsRequired":true}]}]}"#,
        )
        .unwrap();
        let known = Known {
            project: &Project {
                name: "Web".into(),
                ..Project::default()
            },
            release: &Release {
                version: "1.0".into(),
                ..Release::default()
            },
            environment: &Environment {
                id: deployment.environment_id.clone(),
                name: "E".into(),
                ..Environment::default()
            },
            progression: &Progression::of(&Lifecycle::default(), history),
            process: &process,
            variables: &serde_json::from_str(
                r#"{"Variables":[{"Id":"v","Name":"Reason","Prompt":{"Label":"Why?","Required":true},
                    "Scope":{"Environment":["Environments-2"]}}]}"#,
            )
            .unwrap(),
            machines: &[MachineId::numbered(1)].into(),
            now: Timestamp(0),
        };
        problems(deployment, &known).to_string()
    }

    #[test]
    fn a_plain_deployment_to_the_first_phase_is_fine() {
        let deployment = Deployment {
            environment_id: EnvironmentId::numbered(1),
            ..Deployment::default()
        };
        assert_eq!(check(&deployment), "");
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let deployment = Deployment {
            environment_id: EnvironmentId::numbered(2),
            tenant_id: Some(TenantId::numbered(1)),
            skip_actions: vec!["A1".into()],
            specific_machine_ids: vec![MachineId::numbered(1), MachineId::numbered(7)],
            excluded_machine_ids: vec![MachineId::numbered(1)],
            queue_time: Some(Timestamp(FARTHEST + 1)),
            queue_time_expiry: Some(Timestamp(1)),
            ..Deployment::default()
        };
        let text = check(&deployment);
        for part in [
            "no tenants yet",
            "'E': the phase 'Environments-1' must come first",
            "'A' is required",
            "'Machines-7' in SpecificMachineIds",
            "both in SpecificMachineIds and in ExcludedMachineIds",
            "A value is needed for 'Why?' (the variable 'Reason')",
            "more than 30 days ahead",
            "would expire",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_time_in_the_past_means_now() {
        let now = Timestamp(1000);
        let mut deployment = Deployment {
            queue_time: Some(Timestamp(1)),
            ..Deployment::default()
        };
        assert_eq!(
            queue_times(&deployment, now),
            (now, Timestamp(1000 + IMMEDIATE_EXPIRY))
        );
        deployment.queue_time = Some(Timestamp(5000));
        assert_eq!(
            queue_times(&deployment, now),
            (Timestamp(5000), Timestamp(5000 + SCHEDULED_EXPIRY))
        );
    }
}
