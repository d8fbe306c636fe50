//! The variables that the Server computes, `Octopus.*` (`deployments.md` 4.1).

use crate::deployment_process::{Action, Step};
use crate::machine::{CommunicationStyle, Machine};
use crate::sensitive::PropertyValue;
use crate::{
    Channel, Deployment, Environment, Project, ProjectGroup, Release, SensitiveValue, ServerTaskId, Space,
};

/// What a deployment is about; the same for all its actions.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The space.
    pub space: &'a Space,
    /// The project.
    pub project: &'a Project,
    /// The project's group.
    pub project_group: &'a ProjectGroup,
    /// The environment.
    pub environment: &'a Environment,
    /// The release.
    pub release: &'a Release,
    /// The release's channel.
    pub channel: &'a Channel,
    /// The deployment.
    pub deployment: &'a Deployment,
    /// The task.
    pub task_id: &'a ServerTaskId,
    /// The address of the Server for people and scripts, without a slash at its end.
    pub server_uri: &'a str,
    /// Names and ids of all machines of the plan, in order.
    pub machines: &'a [&'a Machine],
    /// What failed first, if anything.
    pub error: Option<&'a str>,
    /// The release of the last success in this environment before this deployment: id and number.
    pub current_release: Option<(&'a str, &'a str)>,
    /// The last other release that succeeded in this environment: id and number.
    pub previous_release: Option<(&'a str, &'a str)>,
}

/// Names and values, in order.
pub type Values = Vec<(String, String)>;

/// The variables of every action of a deployment.
#[must_use]
pub fn of_deployment(subject: &Subject<'_>) -> Values {
    let Subject {
        space,
        project,
        project_group,
        environment,
        release,
        channel,
        deployment,
        ..
    } = subject;
    let mut values = Values::new();
    let mut set =
        |name: &str, value: &dyn ToString| values.push((format!("Octopus.{name}"), value.to_string()));
    set("Space.Id", &space.id);
    set("Space.Name", &space.name);
    set("Project.Id", &project.id);
    set("Project.Name", &project.name);
    set("ProjectGroup.Id", &project_group.id);
    set("ProjectGroup.Name", &project_group.name);
    set("Environment.Id", &environment.id);
    set("Environment.Name", &environment.name);
    set("Environment.SortOrder", &environment.sort_order);
    set("Release.Id", &release.id);
    set("Release.Number", &release.version);
    set(
        "Release.Notes",
        &release.release_notes.as_deref().unwrap_or_default(),
    );
    set("Release.Created", &release.assembled);
    set("Release.Channel.Id", &channel.id);
    set("Release.Channel.Name", &channel.name);
    for (name, value) in &release.custom_fields {
        set(&format!("Release.CustomFields[{name}]"), value);
    }
    for (kind, known) in [
        ("CurrentForEnvironment", subject.current_release),
        ("PreviousForEnvironment", subject.previous_release),
    ] {
        if let Some((id, number)) = known {
            set(&format!("Release.{kind}.Id"), &id);
            set(&format!("Release.{kind}.Number"), &number);
        }
    }
    let list = |ids: Vec<&str>| ids.join(",");
    set("Deployment.Id", &deployment.id);
    set("Deployment.Name", &deployment.name);
    set(
        "Deployment.Comments",
        &deployment.comments.as_deref().unwrap_or_default(),
    );
    set("Deployment.Created", &deployment.created);
    set("Deployment.CreatedBy.Id", &deployment.deployed_by_id);
    set("Deployment.CreatedBy.Username", &deployment.deployed_by);
    set("Deployment.CreatedBy.DisplayName", &deployment.deployed_by);
    set(
        "Deployment.ForcePackageDownload",
        &flag(deployment.force_package_download),
    );
    set(
        "Deployment.Machines",
        &list(
            subject
                .machines
                .iter()
                .map(|machine| machine.id.as_str())
                .collect(),
        ),
    );
    set(
        "Deployment.SpecificMachines",
        &list(
            deployment
                .specific_machine_ids
                .iter()
                .map(AsRef::as_ref)
                .collect(),
        ),
    );
    set(
        "Deployment.ExcludedMachines",
        &list(
            deployment
                .excluded_machine_ids
                .iter()
                .map(AsRef::as_ref)
                .collect(),
        ),
    );
    set("Deployment.Error", &subject.error.unwrap_or_default());
    set("Deployment.ErrorDetail", &subject.error.unwrap_or_default());
    set("Task.Id", subject.task_id);
    set("Task.Name", &"Deploy");
    set("Task.Argument[DeploymentId]", &deployment.id);
    let link = |path: &str| format!("/app#/{}{path}", space.id);
    set("Web.ServerUri", &subject.server_uri);
    set("Web.BaseUrl", &subject.server_uri);
    set("Web.ProjectLink", &link(&format!("/projects/{}", project.slug)));
    set("Web.ReleaseLink", &link(&format!("/releases/{}", release.id)));
    set(
        "Web.DeploymentLink",
        &link(&format!("/deployments/{}", deployment.id)),
    );
    let mut roles: Vec<&str> = Vec::new();
    for role in subject.machines.iter().flat_map(|machine| &machine.roles) {
        if !roles.iter().any(|other| crate::same_name(other, role)) {
            roles.push(role);
        }
    }
    for role in roles {
        let ids = subject
            .machines
            .iter()
            .filter(|machine| machine.has_role(role))
            .map(|machine| machine.id.as_str());
        set(
            &format!("Environment.MachinesInRole[{role}]"),
            &list(ids.collect()),
        );
    }
    if deployment.debug_mode == Some(true) {
        values.push(("OctopusPrintVariables".into(), "True".into()));
        values.push(("OctopusPrintEvaluatedVariables".into(), "True".into()));
    }
    values
}

/// The variables of an action on a machine, or for one.
#[must_use]
pub fn of_machine(machine: &Machine) -> Values {
    let mut values = vec![
        ("Octopus.Machine.Id".to_owned(), machine.id.to_string()),
        ("Octopus.Machine.Name".into(), machine.name.clone()),
        ("Octopus.Machine.Roles".into(), machine.roles.join(",")),
    ];
    let endpoint = &machine.endpoint;
    let style = endpoint.communication_style;
    if style == CommunicationStyle::TentaclePassive
        && let Some(host) = endpoint.host()
    {
        values.push(("Octopus.Machine.Hostname".into(), host.into()));
    }
    values.push(("Octopus.Machine.CommunicationStyle".into(), style.to_string()));
    for (name, value) in [("Uri", &endpoint.uri), ("Thumbprint", &endpoint.thumbprint)] {
        if let Some(value) = value {
            values.push((format!("Octopus.Endpoint.{style}.{name}"), value.clone()));
        }
    }
    values
}

/// A package of an action, as the plan knows it.
#[derive(Debug, Clone, Copy)]
pub struct ActionPackage<'a> {
    /// The name of the reference; empty = the primary package.
    pub reference: &'a str,
    /// Which package.
    pub package_id: &'a str,
    /// From where.
    pub feed_id: &'a str,
    /// Which version.
    pub version: &'a str,
}

/// The variables of one action. Secrets of its properties come apart: see [`sensitive_properties`].
#[must_use]
pub fn of_action(
    step: &Step,
    step_number: usize,
    action: &Action,
    action_number: &str,
    packages: &[ActionPackage<'_>],
) -> Values {
    let mut values = Values::new();
    for (name, value) in step.properties.iter().chain(action.properties.iter()) {
        if let PropertyValue::Plain(text) = value {
            values.push((name.to_owned(), text.clone()));
        }
    }
    let mut set = |name: &str, value: &str| values.push((format!("Octopus.{name}"), value.to_owned()));
    set("Step.Id", &step.id);
    set("Step.Name", &step.name);
    set("Step.Number", &step_number.to_string());
    set("Action.Id", &action.id);
    set("Action.Name", &action.name);
    set("Action.Number", action_number);
    set("Action.IsSkipped", "False");
    set("Action.TargetRoles", &step.target_roles().join(","));
    for package in packages {
        let ActionPackage {
            reference,
            package_id,
            feed_id,
            version,
        } = *package;
        let named = [
            ("PackageId", package_id),
            ("FeedId", feed_id),
            ("PackageVersion", version),
            ("Version", version),
        ];
        for (name, value) in named {
            set(&format!("Action.Package[{reference}].{name}"), value);
        }
        if reference.is_empty() {
            for (name, value) in [
                ("PackageId", package_id),
                ("FeedId", feed_id),
                ("PackageVersion", version),
                ("NuGetPackageId", package_id),
                ("NuGetFeedId", feed_id),
                ("NuGetPackageVersion", version),
            ] {
                set(&format!("Action.Package.{name}"), value);
            }
        }
    }
    values
}

/// The secrets among the properties of step and action, each with its field in the process (`document`), for
/// whoever can open them: variable name, field, value.
#[must_use]
pub fn sensitive_properties<'a>(
    step: &'a Step,
    action: &'a Action,
) -> Vec<(&'a str, String, &'a SensitiveValue)> {
    let of = |kind: &'static str, id: &'a str, properties: &'a crate::Properties| {
        properties.iter().filter_map(move |(name, value)| match value {
            PropertyValue::Sensitive(value) => Some((name, format!("{kind}/{id}/{name}"), value)),
            PropertyValue::Plain(_) => None,
        })
    };
    of("Steps", &step.id, &step.properties)
        .chain(of("Actions", &action.id, &action.properties))
        .collect()
}

/// Where steps and actions stand, for conditions and scripts that ask: `status` is one of `Pending`, `Skipped`,
/// `Canceled`, `Running`, `Succeeded`, `Failed`.
#[must_use]
pub fn of_status(kind: Status, name: &str, status: &str, error: Option<&str>) -> Values {
    let kind = match kind {
        Status::Step => "Step",
        Status::Action => "Action",
    };
    let mut values = vec![(format!("Octopus.{kind}[{name}].Status.Code"), status.to_owned())];
    if let Some(error) = error {
        values.push((format!("Octopus.{kind}[{name}].Status.Error"), error.to_owned()));
        values.push((
            format!("Octopus.{kind}[{name}].Status.ErrorDetail"),
            error.to_owned(),
        ));
    }
    values
}

/// Of what a status is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A step.
    Step,
    /// An action.
    Action,
}

fn flag(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment_process::DeploymentProcess;
    use crate::machine::Endpoint;
    use crate::{DeploymentId, MachineId};

    fn value<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
        values
            .iter()
            .rfind(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_deployment_tells_what_goes_where() {
        let machine = Machine {
            id: MachineId::numbered(1),
            name: "web01".into(),
            roles: vec!["web".into(), "all".into()],
            endpoint: Endpoint {
                communication_style: CommunicationStyle::TentaclePassive,
                uri: Some("https://web01.local:10933/".into()),
                ..Endpoint::default()
            },
            ..Machine::default()
        };
        let subject = Subject {
            space: &Space {
                id: crate::SpaceId::numbered(1),
                name: "Default".into(),
                ..Space::default()
            },
            project: &Project {
                name: "Web".into(),
                slug: "web".into(),
                ..Project::default()
            },
            project_group: &ProjectGroup::default(),
            environment: &Environment {
                name: "Test".into(),
                ..Environment::default()
            },
            release: &Release {
                version: "1.2.3".into(),
                ..Release::default()
            },
            channel: &Channel::default(),
            deployment: &Deployment {
                id: DeploymentId::numbered(5),
                ..Deployment::default()
            },
            task_id: &ServerTaskId::numbered(9),
            server_uri: "http://mantle",
            machines: &[&machine],
            error: None,
            current_release: Some(("Releases-1", "1.0.0")),
            previous_release: None,
        };
        let values = of_deployment(&subject);
        assert_eq!(value(&values, "Octopus.Release.Number"), Some("1.2.3"));
        assert_eq!(
            value(&values, "Octopus.Environment.MachinesInRole[web]"),
            Some("Machines-1")
        );
        assert_eq!(
            value(&values, "Octopus.Release.CurrentForEnvironment.Number"),
            Some("1.0.0")
        );
        assert_eq!(
            value(&values, "Octopus.Release.PreviousForEnvironment.Number"),
            None
        );
        assert_eq!(
            value(&values, "Octopus.Web.DeploymentLink"),
            Some("/app#/Spaces-1/deployments/Deployments-5")
        );
        let values = of_machine(&machine);
        assert_eq!(value(&values, "Octopus.Machine.Roles"), Some("web,all"));
        assert_eq!(value(&values, "Octopus.Machine.Hostname"), Some("web01.local"));
    }

    #[test]
    fn an_action_tells_its_properties_and_packages_but_no_secret() {
        let process: DeploymentProcess = serde_json::from_str(
            r#"{"Steps":[{"Id":"s","Name":"S","Properties":{"Octopus.Action.TargetRoles":"web, all"},
                "Actions":[{"Id":"a","Name":"A","Properties":{"Octopus.Action.Script.Syntax":"Bash",
                "Key":{"HasValue":true,"NewValue":"hunter2"}}}]}]}"#,
        )
        .unwrap();
        let (step, action) = process.actions().next().unwrap();
        let package = ActionPackage {
            reference: "",
            package_id: "Acme",
            feed_id: "feeds-builtin",
            version: "1.0",
        };
        let values = of_action(step, 2, action, "2.1", &[package]);
        assert_eq!(value(&values, "Octopus.Action.TargetRoles"), Some("web,all"));
        assert_eq!(value(&values, "Octopus.Action.Script.Syntax"), Some("Bash"));
        assert_eq!(
            value(&values, "Octopus.Action.Package.PackageVersion"),
            Some("1.0")
        );
        assert_eq!(value(&values, "Octopus.Action.Package[].PackageId"), Some("Acme"));
        assert!(!format!("{values:?}").contains("hunter2"));
        let secrets = sensitive_properties(step, action);
        assert_eq!((secrets[0].0, secrets[0].1.as_str()), ("Key", "Actions/a/Key"));
    }
}
