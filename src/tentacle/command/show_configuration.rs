//! `show-configuration`.

use serde_json::{Map, Value, json};

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
        let known = run_to_end(async {
            let api = target.open().await?;
            let space = lookup::space(&api, options.text("space")).await?;
            let machines = lookup::by_thumbprint(&api, &Kind::Target.path(&space), &thumbprint).await?;
            let workers = lookup::by_thumbprint(&api, &Kind::Worker.path(&space), &thumbprint).await?;
            Ok((machines, workers))
        })?;
        add_machines(&mut answer, known, &thumbprint)?;
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

fn add_machines(
    answer: &mut Value,
    known: (Vec<Value>, Vec<Value>),
    thumbprint: &str,
) -> Result<(), Failure> {
    let (machines, workers) = known;
    if machines.is_empty() && workers.is_empty() {
        return Err(Failure::controlled(format!(
            "No machines or workers were found on the specified server with the thumbprint '{thumbprint}'. Unable to retrieve \
             server side configuration."
        )));
    }
    let pick = |item: &Value, members: &[&str]| -> Value {
        Value::Object(
            members
                .iter()
                .map(|member| ((*member).to_owned(), item[*member].clone()))
                .collect::<Map<_, _>>(),
        )
    };
    let machines: Vec<Value> = machines
        .iter()
        .map(|item| {
            pick(
                item,
                &[
                    "Id",
                    "Name",
                    "EnvironmentIds",
                    "Roles",
                    "TenantIds",
                    "TenantTags",
                    "MachinePolicyId",
                ],
            )
        })
        .collect();
    let workers: Vec<Value> = workers
        .iter()
        .map(|item| pick(item, &["Id", "Name", "WorkerPoolIds", "MachinePolicyId"]))
        .collect();
    answer["Server"] = json!({ "Machines": machines, "Workers": workers });
    Ok(())
}
