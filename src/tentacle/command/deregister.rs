//! `deregister-from`, `deregister-worker`.

use serde_json::Value;
use settings::SecretValue;
use url::Url;

use super::register::{API_OPTIONS, Target, run_to_end};
use super::{Command, Context, INSTANCE_OPTIONS};
use crate::command_line::{OptionRow, Options};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::registration::server_api::{ServerApi, link};
use crate::registration::state::RegistrationState;
use crate::registration::{Kind, lookup, state};

const DEREGISTER_OPTIONS: &[OptionRow] = &[
    OptionRow::flag(&["multiple", "m"], "delete every machine with this thumbprint"),
    OptionRow::flag(&["final"], "for good; with the token of the registration only"),
];

pub(super) const DEREGISTER_FROM: Command = Command {
    names: &["deregister-from"],
    meaning: "Take this deployment target out of a Server; without --server, with the token of its registration",
    options: &[INSTANCE_OPTIONS, API_OPTIONS, DEREGISTER_OPTIONS],
    run: |context, options| deregister(context, options, Kind::Target),
};

pub(super) const DEREGISTER_WORKER: Command = Command {
    names: &["deregister-worker"],
    meaning: "Take this worker out of a Server",
    options: &[INSTANCE_OPTIONS, API_OPTIONS, DEREGISTER_OPTIONS],
    run: |context, options| deregister(context, options, Kind::Worker),
};

fn deregister(context: &Context, options: &Options, kind: Kind) -> Result<(), Failure> {
    if !has_credential(options)
        && let Ok(configuration) = context.configuration(options)
        && let Some(token) = state::token(&configuration.home())
        && let Some(state) = RegistrationState::load(&configuration.home())?
    {
        return with_token(context, options, &configuration, &state, &token);
    }
    let target = Target::of(context, options)?;
    let configuration = context.configuration(options)?;
    run_to_end(async {
        let api = target.open().await?;
        let space = lookup::space(&api, options.text("space")).await?;
        let thumbprint = configuration.thumbprint()?.ok_or_else(|| {
            Failure::controlled("This Tentacle does not have a thumbprint. The Tentacle must have a thumbprint in order to deregister it.")
        })?;
        let found = lookup::by_thumbprint(&api, &kind.path(&space), &thumbprint).await?;
        check_count(&found, kind, options.flag("multiple"))?;
        for machine in &found {
            let name = machine["Name"].as_str().unwrap_or_default();
            let noun = if kind == Kind::Target { "machine" } else { "worker" };
            context
                .output
                .info(&format!("Deleting {noun} '{name}' from the Octopus Server..."));
            let path = link(machine, "Self").unwrap_or_else(|| {
                format!(
                    "{}/{}",
                    kind.path(&space),
                    machine["Id"].as_str().unwrap_or_default()
                )
            });
            api.delete(&path).await?;
        }
        RegistrationState::forget(&configuration.home())?;
        say_still_trusted(context, &configuration, &api).await;
        context.output.info("Machine deregistered successfully");
        Ok(())
    })
}

/// Our own Server's way: the registration left a permission to take this machine out, so no credential is kept.
fn with_token(
    context: &Context,
    options: &Options,
    configuration: &Configuration,
    state: &RegistrationState,
    token: &SecretValue,
) -> Result<(), Failure> {
    let server = Url::parse(&state.server).map_err(|error| {
        Failure::controlled(format!(
            "The remembered address '{}' is no address: {error}.",
            state.server
        ))
    })?;
    let is_final = options.flag("final") || is_ephemeral(context);
    run_to_end(async {
        let api = ServerApi::new(&server, options.flag("ignoreSslErrors"))?;
        let path = if is_final {
            format!("{}?final=true", state.path)
        } else {
            state.path.clone()
        };
        let was_known = api.deregister(&path, token).await?;
        if is_final || !was_known {
            RegistrationState::forget(&configuration.home())?;
        }
        let text = if was_known {
            "Machine deregistered successfully"
        } else {
            "The Server does not know this machine any more."
        };
        context.output.info(text);
        Ok(())
    })
}

fn has_credential(options: &Options) -> bool {
    ["apiKey", "bearerToken", "username", "password"]
        .iter()
        .any(|name| options.text(name).is_some())
}

/// What the container was told.
fn is_ephemeral(context: &Context) -> bool {
    let told = context.surroundings.settings(&["Ephemeral"]);
    told.is_ok_and(|settings| settings.ephemeral)
}

fn check_count(found: &[Value], kind: Kind, is_multiple: bool) -> Result<(), Failure> {
    let noun = if kind == Kind::Target {
        "Tentacle"
    } else {
        "worker"
    };
    match found.len() {
        0 => Err(Failure::controlled(match kind {
            Kind::Target => "No machine was found matching this Tentacle's thumbprint.",
            Kind::Worker => "No worker was found matching this Tentacle's thumbprint.",
        })),
        1 => Ok(()),
        _ if is_multiple => Ok(()),
        _ => Err(Failure::controlled(format!(
            "The {noun} matches more than one machine on the server. To deregister all of these machines specify the \
             --multiple flag."
        ))),
    }
}

/// A word on what stays; whoever may deregister may not be able to read the certificate.
async fn say_still_trusted(context: &Context, configuration: &Configuration, api: &ServerApi) {
    if let Ok(thumbprint) = lookup::server_thumbprint(api).await
        && configuration
            .trusted()
            .is_ok_and(|servers| servers.trusts(&thumbprint))
    {
        let instance = configuration.instance.as_deref().unwrap_or("Tentacle");
        context.output.info(&format!(
            "The Octopus Server is still trusted. If you wish to remove trust for this Octopus Server, use 'Tentacle configure \
             --remove-trust={thumbprint} --instance {instance}'"
        ));
    }
}
