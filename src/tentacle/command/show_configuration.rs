//! `show-configuration`.

use serde_json::{Value, json};

use super::register::{API_OPTIONS, Target, run_to_end};
use super::{Command, Context, INSTANCE_OPTIONS, pretty};
use crate::command_line::{OptionRow, Options};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::registration::{Kind, lookup};

/// Asks the original to take settings from the environment.
const CONTRIBUTE: &str = "OCTOPUS_CONTRIBUTE_ENV_SETTINGS";
/// Those settings.
const CONTRIBUTED: [&str; 5] = [
    "OCTOPUS_HOME",
    "TENTACLE_APPLICATION_DIRECTORY",
    "TENTACLE_LISTEN_IP",
    "TENTACLE_NO_LISTEN",
    "TENTACLE_SERVICE_PORT",
];

/// Stands with the settings of the communication, unlike the rest of what the Server knows.
const PUBLIC_NAME: &str = "PublicHostName";

pub(super) const COMMAND: Command = Command {
    names: &["show-configuration"],
    meaning: "Show the settings of an instance; with a Server, what it knows of the machine, too",
    options: &[
        INSTANCE_OPTIONS,
        API_OPTIONS,
        &[OptionRow::value(&["file"], "not supported")],
    ],
    run,
};

fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    if options.text("file").is_some() {
        return Err(Failure::controlled(
            "The option '--file' does not work on Linux, here as in the original; redirect standard output to the file.",
        ));
    }
    check_environment(context)?;
    let configuration = context.configuration(options)?;
    let asks_server = API_OPTIONS.iter().any(|row| options.text(row.names[0]).is_some());
    let mut answer = settings(&configuration)?;
    if asks_server {
        let target = Target::of(context, options)?;
        let thumbprint = configuration.thumbprint()?.unwrap_or_default();
        let known = run_to_end(known_machine(&target, options.text("space"), &thumbprint))?;
        if let (Value::Object(tentacle), Value::Object(mut known)) = (&mut answer["Tentacle"], known) {
            if let Some(name) = known.remove(PUBLIC_NAME) {
                tentacle["Communication"][PUBLIC_NAME] = name;
            }
            tentacle.extend(known);
            tentacle.sort_keys();
        }
    }
    context.output.answer(&format!("{}\n", pretty(&answer)));
    Ok(())
}

/// Settings from the environment are an experiment of the original that fails there with this command, too. What would be
/// shown is not what somebody who sets them expects.
fn check_environment(context: &Context) -> Result<(), Failure> {
    let is_asked = context
        .surroundings
        .variable(CONTRIBUTE)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let set = CONTRIBUTED
        .iter()
        .find(|name| context.surroundings.variable(name).is_some());
    match set.filter(|_| is_asked) {
        None => Ok(()),
        Some(name) => Err(Failure::controlled(format!(
            "Settings from the environment ({CONTRIBUTE}, {name}) are not supported; set them with the configure command."
        ))),
    }
}

/// Every setting but the private key.
fn settings(configuration: &Configuration) -> Result<Value, Failure> {
    Ok(json!({
        "Octopus": {
            "Home": configuration.home(),
            "Watchdog": { "Enabled": false, "Instances": "*", "Interval": 0 },
        },
        "Tentacle": {
            "CertificateThumbprint": configuration.file.get(crate::configuration::THUMBPRINT),
            "Communication": {
                "PollingConnectionCount": configuration.connection_count()?,
                "TrustedOctopusServers": configuration.trusted()?.0,
            },
            "Deployment": { "ApplicationDirectory": configuration.applications() },
            "Services": {
                "ListenIP": configuration.listen_ip()?,
                "NoListen": configuration.no_listen()?,
                "PortNumber": configuration.port()?,
            },
        },
    }))
}

/// What the Server knows of the one machine or worker of a thumbprint.
async fn known_machine(target: &Target, space: Option<&str>, thumbprint: &str) -> Result<Value, Failure> {
    let api = target.open().await?;
    let space = lookup::space(&api, space).await?;
    let machines = lookup::by_thumbprint(&api, &Kind::Target.path(&space), thumbprint).await?;
    let workers = lookup::by_thumbprint(&api, &Kind::Worker.path(&space), thumbprint).await?;
    let (item, kind) = match (machines.as_slice(), workers.as_slice()) {
        ([machine], []) => (machine, Kind::Target),
        ([], [worker]) => (worker, Kind::Worker),
        ([], []) => {
            return Err(Failure::controlled(format!(
                "No machines or workers were found on the specified server with the thumbprint '{thumbprint}'. Unable to \
                 retrieve server side configuration."
            )));
        }
        _ => {
            return Err(Failure::controlled(
                "This Tentacle is registered multiple times with the server. Unable to display configuration.",
            ));
        }
    };
    let policies = space.path("MachinePolicies", "machinepolicies");
    let policy = match item["MachinePolicyId"].as_str() {
        Some(id) => short(&api.get(&format!("{policies}/{id}")).await?),
        None => Value::Null,
    };
    let mut known = json!({
        "DisplayName": item["Name"],
        "MachinePolicy": policy,
        PUBLIC_NAME: item["Uri"],
    });
    match kind {
        Kind::Worker => {
            let pools = api.list(&space.path("WorkerPools", "workerpools")).await?;
            known["WorkerPools"] = chosen(&pools, &item["WorkerPoolIds"]);
        }
        Kind::Target => {
            let environments = api.list(&space.path("Environments", "environments")).await?;
            known["Environments"] = chosen(&environments, &item["EnvironmentIds"]);
            for member in [
                "Roles",
                "TenantIds",
                "TenantTags",
                "TenantedDeploymentParticipation",
            ] {
                known[member] = item[member].clone();
            }
        }
    }
    Ok(known)
}

/// Id and name of those in a list of ids.
fn chosen(list: &[Value], ids: &Value) -> Value {
    let ids = ids.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter(|item| ids.contains(&item["Id"]))
        .map(short)
        .collect()
}

fn short(item: &Value) -> Value {
    json!({ "Id": item["Id"], "Name": item["Name"] })
}
