//! `show-configuration`.

use serde_json::{Value, json};

use super::register::{API_OPTIONS, Target, run_to_end};
use super::{Command, Context, INSTANCE_OPTIONS, pretty};
use crate::command_line::{OptionRow, Options};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::registration::{Kind, lookup};

pub(super) const COMMAND: Command = Command {
    names: &["show-configuration"],
    meaning: "Show the settings of an instance; with a Server, what it knows of the machine, too",
    options: &[
        INSTANCE_OPTIONS,
        API_OPTIONS,
        &[OptionRow::value(&["file"], "write the answer to a file")],
    ],
    run,
};

fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    let configuration = context.configuration(options)?;
    let asks_server = API_OPTIONS.iter().any(|row| options.text(row.names[0]).is_some());
    let mut answer = settings(&configuration)?;
    if asks_server {
        let target = Target::of(context, options)?;
        let thumbprint = configuration.thumbprint()?.unwrap_or_default();
        let known = run_to_end(known_machine(&target, options.text("space"), &thumbprint))?;
        if let (Value::Object(tentacle), Value::Object(known)) = (&mut answer["Tentacle"], known) {
            tentacle.extend(known);
            tentacle.sort_keys();
        }
    }
    let text = format!("{}\n", pretty(&answer));
    match options.path("file", &context.surroundings.current_folder) {
        None => context.output.answer(&text),
        Some(path) => {
            std::fs::write(&path, text)
                .map_err(|error| Failure::of_file("write the settings to", &path, &error))?;
        }
    }
    Ok(())
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
        "PublicHostName": item["Uri"],
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
