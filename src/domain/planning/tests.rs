use proptest::prelude::*;

use super::*;
use crate::deployment_process::DeploymentProcess;
use crate::machine::HealthStatus;
use crate::{ChannelId, Deployment, Environment, EnvironmentId, Machine, Project, Release, VariableSet};

struct Story {
    process: DeploymentProcess,
    deployment: Deployment,
    project: Project,
    variables: VariableSet,
    machines: Vec<Machine>,
    server_runs_actions: bool,
}

impl Story {
    /// Steps are given as JSON; two machines: web2 (web) and web10 (web, db).
    fn new(steps: &str) -> Self {
        let mut process: DeploymentProcess =
            serde_json::from_str(&format!(r#"{{"Steps":[{steps}]}}"#)).unwrap();
        let mut number = 0;
        process.complete(|| {
            number += 1;
            format!("id{number}")
        });
        let machine = |number: i64, name: &str, roles: &[&str]| -> Machine {
            serde_json::from_value(serde_json::json!({
                "Id": MachineId::numbered(number), "Name": name, "EnvironmentIds": ["Environments-1"], "Roles": roles,
                "Endpoint": {
                    "CommunicationStyle": "TentaclePassive", "Uri": format!("https://{name}:10933/"), "Thumbprint": "AB",
                },
                "HealthStatus": "Healthy",
            }))
            .unwrap()
        };
        Self {
            process,
            deployment: Deployment {
                id: DeploymentId::numbered(1),
                ..Deployment::default()
            },
            project: Project {
                name: "Web".into(),
                ..Project::default()
            },
            variables: VariableSet::default(),
            machines: vec![machine(2, "web10", &["web", "db"]), machine(1, "web2", &["web"])],
            server_runs_actions: true,
        }
    }

    fn plan(&self) -> Result<Plan, NotPlanned> {
        let release: Release = serde_json::from_str(
            r#"{"Version":"1.0.0","ChannelId":"Channels-1","SelectedPackages":[
                {"ActionName":"Deploy","Version":"2.1.0"},{"ActionName":"Tools","PackageReferenceName":"extra","Version":"5"}]}"#,
        )
        .unwrap();
        assert_eq!(release.channel_id, ChannelId::numbered(1));
        plan(&Snapshot {
            deployment: &self.deployment,
            release: &release,
            project: &self.project,
            environment: &Environment {
                id: EnvironmentId::numbered(1),
                name: "Test".into(),
                ..Environment::default()
            },
            process: &self.process,
            variables: &self.variables,
            machines: &self.machines,
            system_variables: &[("Octopus.Environment.Name".into(), "Test".into())],
            server_runs_actions: self.server_runs_actions,
        })
    }

    #[track_caller]
    fn gives(&self, lines: &[&str]) {
        let plan = self.plan().unwrap();
        let text = plan.to_string();
        assert_eq!(text.trim_end(), lines.join("\n"), "the plan is:\n{text}");
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan, "a stored plan is the same plan");
    }

    fn fails(&self) -> String {
        self.plan().unwrap_err().to_string()
    }
}

fn script(name: &str, members: &str) -> String {
    format!(
        r#"{{"Name":"{name}","Properties":{{"Octopus.Action.TargetRoles":"web"}},"Actions":[
            {{"Name":"{name}","ActionType":"Octopus.Script"{members}}}]}}"#
    )
}

fn on_server(name: &str, members: &str) -> String {
    format!(
        r#"{{"Name":"{name}"{members},"Actions":[{{"Name":"{name}","ActionType":"Octopus.Script",
            "Properties":{{"Octopus.Action.RunOnServer":"true"}}}}]}}"#
    )
}

fn package(members: &str) -> String {
    format!(
        r#"{{"Name":"Deploy","Properties":{{"Octopus.Action.TargetRoles":"web"}}{members},"Actions":[
            {{"Name":"Deploy","ActionType":"Octopus.TentaclePackage",
              "Properties":{{"Octopus.Action.Package.PackageId":"Acme.Web"}}}}]}}"#
    )
}

fn steps(steps: &[String]) -> String {
    steps.join(",")
}

#[test]
fn packages_are_acquired_before_the_first_block_that_needs_them() {
    Story::new(&steps(&[
        on_server("Hello", ""),
        package(""),
        script("After", ""),
    ]))
    .gives(&[
        "Web 1.0.0 to Test",
        "  target web2 (Machines-1): web",
        "  target web10 (Machines-2): web, db",
        "Block 1",
        "  Step 1: Hello, when nothing has failed",
        "    1 Hello (Octopus.Script) once on the Server",
        "Acquire packages",
        "  Acme.Web 2.1.0 from feeds-builtin to web2, web10",
        "Block 2",
        "  Step 2: Deploy for web on web2, web10, when nothing has failed",
        "    2 Deploy (Octopus.TentaclePackage) on each target, Acme.Web 2.1.0",
        "Block 3",
        "  Step 3: After for web on web2, web10, when nothing has failed",
        "    3 After (Octopus.Script) on each target",
    ]);
}

#[test]
fn a_step_that_is_to_come_after_the_acquisition_brings_it_forward() {
    let after = r#","PackageRequirement":"AfterPackageAcquisition""#;
    let plan = Story::new(&steps(&[on_server("Hello", after), package("")]))
        .plan()
        .unwrap();
    assert!(matches!(plan.stages[0], Stage::Acquire(_)));
}

#[test]
fn a_block_stays_together_when_its_head_is_left_out() {
    let with = r#","StartTrigger":"StartWithPrevious""#;
    let head = script("Head", r#","Channels":["Channels-9"]"#);
    Story::new(&steps(&[
        head,
        on_server("A", with),
        on_server("B", with),
        on_server("C", ""),
    ]))
    .gives(&[
        "Web 1.0.0 to Test",
        "Block 1",
        "  Step 2: A, when nothing has failed",
        "    2 A (Octopus.Script) once on the Server",
        "  Step 3: B, when nothing has failed",
        "    3 B (Octopus.Script) once on the Server",
        "Block 2",
        "  Step 4: C, when nothing has failed",
        "    4 C (Octopus.Script) once on the Server",
        "Left out: Head (other channel)",
    ]);
}

#[test]
fn every_reason_for_leaving_out_is_told_but_disabled() {
    let mut story = Story::new(&steps(&[
        script("Disabled", r#","IsDisabled":true,"ActionType":"Octopus.Manual""#)
            .replace(r#""ActionType":"Octopus.Script","IsDisabled""#, r#""IsDisabled""#),
        script("Elsewhere", r#","Environments":["Environments-2"]"#),
        script("NotHere", r#","ExcludedEnvironments":["Environments-1"]"#),
        script("Tenants", r#","TenantTags":["Tier/Gold"]"#),
        script("Unwanted", ""),
        script("Database", "").replace(r#""web""#, r#""cache""#),
        script("Web", ""),
    ]));
    story.deployment.skip_actions = vec![story.process.action("Unwanted").unwrap().id.clone()];
    story.gives(&[
        "Web 1.0.0 to Test",
        "  target web2 (Machines-1): web",
        "  target web10 (Machines-2): web, db",
        "Block 1",
        "  Step 5: Unwanted for web on web2, web10, when nothing has failed",
        "    5 Unwanted (Octopus.Script) on each target, skipped: skipped by user",
        "Block 2",
        "  Step 6: Database for cache on no machine, when nothing has failed",
        "    6 Database (Octopus.Script) on each target, skipped: no targets",
        "Block 3",
        "  Step 7: Web for web on web2, web10, when nothing has failed",
        "    7 Web (Octopus.Script) on each target",
        "Left out: Elsewhere (other environment)",
        "Left out: NotHere (excluded environment)",
        "Left out: Tenants (other tenants)",
    ]);
}

#[test]
fn a_rolling_step_keeps_its_window_children_and_conditions() {
    let parent = r##"{"Name":"Roll","Condition":"Always","Properties":{"Octopus.Action.TargetRoles":"#{Role}",
        "Octopus.Action.MaxParallelism":"#{Window}"},"Actions":[
        {"Name":"Stop","ActionType":"Octopus.Script","IsRequired":true,"Properties":{"Octopus.Action.RunOnServer":"True"}},
        {"Name":"Off","ActionType":"Octopus.Script","IsDisabled":true},
        {"Name":"Tools","ActionType":"Octopus.Script","Condition":"Variable","Properties":{
            "Octopus.Action.ConditionVariableExpression":"#{Go}"},
            "Packages":[{"Name":"extra","PackageId":"#{Tool}","FeedId":"feeds-builtin","AcquisitionLocation":"NotAcquired"}]}]}"##;
    let mut story = Story::new(parent);
    story.variables = serde_json::from_str(
        r#"{"Variables":[{"Name":"Role","Value":"db"},{"Name":"Tool","Value":"curl"},
            {"Name":"Octopus.Action.MaxParallelism","Value":"many"}]}"#,
    )
    .unwrap();
    story.gives(&[
        "Web 1.0.0 to Test",
        "  target web10 (Machines-2): web, db",
        "Block 1",
        "  Step 1: Roll for db on web10, #{Window} at once, always",
        "    1.1 Stop (Octopus.Script) on the Server for each target, required",
        "    1.3 Tools (Octopus.Script) on each target, curl 5 as extra, when true: #{Go}",
        "Warning: The variable Octopus.Action.MaxParallelism is 'many', which is no number above 0; 10 is used.",
    ]);
}

#[test]
fn machines_are_chosen_by_list_state_and_policy() {
    let mut story = Story::new(&script("Web", ""));
    story.deployment.specific_machine_ids = vec![MachineId::numbered(1), MachineId::numbered(9)];
    let plan = story.plan().unwrap();
    assert_eq!(
        plan.targets
            .iter()
            .map(|target| target.name.as_str())
            .collect::<Vec<_>>(),
        ["web2"]
    );
    assert!(plan.warnings[0].contains("'Machines-9' is gone"));

    let mut story = Story::new(&script("Web", ""));
    story.machines[0].health_status = HealthStatus::Unavailable;
    assert_eq!(story.plan().unwrap().targets.len(), 2);
    story.project.project_connectivity_policy.skip_machine_behavior =
        crate::project::SkipMachineBehavior::SkipUnavailableMachines;
    assert_eq!(story.plan().unwrap().targets.len(), 1);
    story.machines[0].health_status = HealthStatus::HasWarnings;
    story
        .project
        .project_connectivity_policy
        .exclude_unhealthy_targets = true;
    assert_eq!(story.plan().unwrap().targets.len(), 2);
}

#[test]
fn a_deployment_to_no_machine_fails_unless_the_project_allows_it() {
    let mut story = Story::new(&script("Web", ""));
    story
        .machines
        .iter_mut()
        .for_each(|machine| machine.is_disabled = true);
    let text = story.fails();
    assert!(
        text.contains("no machine in the environment 'Test'") && text.contains("role 'web'"),
        "{text}"
    );
    story
        .project
        .project_connectivity_policy
        .allow_deployments_to_no_targets = true;
    assert!(story.plan().is_ok());
    story
        .project
        .project_connectivity_policy
        .allow_deployments_to_no_targets = false;
    story.deployment.skip_actions = vec![story.process.action("Web").unwrap().id.clone()];
    assert!(story.plan().is_ok(), "a step that is skipped needs no machine");
    let mut story = Story::new(&on_server("Hello", ""));
    story.machines.clear();
    assert!(story.plan().is_ok());
}

#[test]
fn what_cannot_be_done_yet_is_refused_by_name() {
    let text = Story::new(&script("Ask", "").replace("Octopus.Script", "Octopus.Manual")).fails();
    assert!(text.contains("'Ask' is of the type Octopus.Manual"), "{text}");
    let text = Story::new(&script("Boxed", r#","Container":{"Image":"alpine:3"}"#)).fails();
    assert!(text.contains("'Boxed' asks for a container"), "{text}");
    let text = Story::new(&package("").replace("Deploy", "Other")).fails();
    assert!(
        text.contains("no version for the package 'Acme.Web' of the action 'Other'"),
        "{text}"
    );
    let mut story = Story::new(&on_server("Hello", ""));
    story.server_runs_actions = false;
    assert!(story.fails().contains("BUILTIN_WORKER=false"));
    let text = Story::new(&script("Web", "").replace(r#""web""#, r##""#{Nothing}""##)).fails();
    assert!(
        text.contains("roles '#{Nothing}' of the step 'Web' cannot be evaluated"),
        "{text}"
    );
}

#[test]
fn conditions_follow_the_table() {
    let yes = |_: &str| true;
    let go = RunCondition::Expression("#{Go}".into());
    for (condition, ok, failed) in [
        (&RunCondition::Success, true, false),
        (&RunCondition::Failure, false, true),
        (&RunCondition::Always, true, true),
        (&go, true, true),
    ] {
        assert_eq!(condition.holds(State::Ok, yes), ok);
        assert_eq!(condition.holds(State::Failed, yes), failed);
        assert!(!condition.holds(State::Cancelling, yes));
    }
    assert!(!go.holds(State::Ok, |_| false));
}

proptest! {
    /// Every action that takes part stands in the plan once, in the order of the process, and packages are there
    /// before the first action that needs them.
    #[test]
    fn a_plan_keeps_the_order_of_its_process(
        kinds in prop::collection::vec((0_usize..4, any::<bool>(), any::<bool>()), 1..8),
    ) {
        let all: Vec<String> = kinds
            .iter()
            .enumerate()
            .map(|(position, (kind, with_previous, disabled))| {
                let name = format!("S{position}");
                let step = match kind {
                    0 => on_server(&name, ""),
                    1 if position == 0 => package("").replace("Deploy", &name),
                    1 | 2 => script(&name, ""),
                    _ => script(&name, r#","Environments":["Environments-2"]"#),
                };
                let trigger = if *with_previous { "StartWithPrevious" } else { "StartAfterPrevious" };
                let step = step.replacen('{', &format!(r#"{{"StartTrigger":"{trigger}","#), 1);
                if *disabled { step.replace(r#""ActionType""#, r#""IsDisabled":true,"ActionType""#) } else { step }
            })
            .collect();
        let mut story = Story::new(&steps(&all));
        for step in &mut story.process.steps {
            for action in step.actions.iter_mut().filter(|action| !action.packages.is_empty()) {
                action.name = "Deploy".into();
            }
        }
        let expected: Vec<usize> = kinds
            .iter()
            .enumerate()
            .filter(|(_, (kind, _, disabled))| *kind != 3 && !disabled)
            .map(|(position, _)| position + 1)
            .collect();
        let plan = story.plan().unwrap();
        prop_assert_eq!(plan.steps().map(|step| step.number).collect::<Vec<_>>(), expected);
        prop_assert_eq!(&story.plan().unwrap(), &plan);
        let first_need = plan.stages.iter().position(|stage| matches!(stage, Stage::Block(steps)
            if steps.iter().any(|step| step.actions.iter().any(|action| !action.packages.is_empty()))));
        let acquired = plan.stages.iter().position(|stage| matches!(stage, Stage::Acquire(_)));
        prop_assert_eq!(acquired.map(|position| position + 1), first_need);
    }
}
