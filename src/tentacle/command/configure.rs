//! `configure`, `set-polling-connection-count`.

use super::{Command, Context, INSTANCE_OPTIONS};
use crate::command_line::{OptionRow, Options, boolean, port, thumbprint};
use crate::configuration::{
    APPLICATIONS, CONNECTION_COUNT as COUNT_KEY, Configuration, HOME, LISTEN_IP, NO_LISTEN,
    POLLING_CONNECTIONS, PORT,
};
use crate::failure::Failure;
use crate::trusted_server::{TrustedServer, TrustedServers};

pub(super) const COMMAND: Command = Command {
    names: &["configure"],
    meaning: "Change the settings of an instance",
    options: &[
        INSTANCE_OPTIONS,
        &[
            OptionRow::value(&["home", "homedir"], "home folder"),
            OptionRow::value(&["app", "appdir"], "folder of the applications"),
            OptionRow::value(&["port"], "port to listen on; 0 is any free one"),
            OptionRow::value(&["noListen"], "true: the agent does not listen"),
            OptionRow::value(&["listenIpAddress"], "address to listen on, or any"),
            OptionRow::value(
                &["pollingConnectionCount"],
                "parallel polling connections, 1 to 512",
            ),
            OptionRow::values(&["trust"], "thumbprint of a Server to trust"),
            OptionRow::values(&["remove-trust"], "thumbprint of a Server not to trust any more"),
            OptionRow::flag(&["reset-trust"], "trust no Server any more"),
        ],
    ],
    run,
};

pub(super) const CONNECTION_COUNT: Command = Command {
    names: &["set-polling-connection-count"],
    meaning: "Set how many polling connections run beside each other",
    options: &[
        INSTANCE_OPTIONS,
        &[OptionRow::value(
            &["pollingConnectionCount"],
            "parallel polling connections, 1 to 512",
        )],
    ],
    run: set_connection_count,
};

fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    let mut configuration = context.configuration(options)?;
    let mut lines = change_trust(&mut configuration, options)?;
    for (name, value) in options.in_order() {
        lines.extend(change(context, &mut configuration, name, value)?);
    }
    if lines.is_empty() {
        return Ok(());
    }
    for line in lines {
        context.output.info(&line);
    }
    context.save(&configuration)
}

/// First reset, then remove, then add, wherever they stood.
fn change_trust(configuration: &mut Configuration, options: &Options) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let is_reset = options.flag("reset-trust");
    let mut servers = if is_reset {
        lines.push("Removing all trusted Octopus Servers...".to_owned());
        TrustedServers::default()
    } else {
        configuration.trusted()?
    };
    let given = |name: &str| -> Vec<String> {
        let all = options.in_order().filter(|(given, _)| *given == name);
        all.map(|(_, value)| value.to_owned()).collect()
    };
    let removed = given("remove-trust");
    if !removed.is_empty() {
        lines.push(format!("Removing {} trusted Octopus Servers", removed.len()));
        for text in &removed {
            servers.remove(text.trim());
        }
    }
    let added = given("trust");
    if !added.is_empty() {
        lines.push(format!("Adding {} trusted Octopus Servers", added.len()));
        for text in &added {
            servers.put(TrustedServer::listening(thumbprint("trust", text)?));
        }
    }
    if !lines.is_empty() {
        configuration.set_trusted(&servers);
    }
    Ok(lines)
}

fn change(
    context: &Context,
    configuration: &mut Configuration,
    name: &str,
    value: &str,
) -> Result<Option<String>, Failure> {
    let current = &context.surroundings.current_folder;
    let file = &mut configuration.file;
    let folder = || {
        let text = value.trim();
        if text.is_empty() {
            return Err(Failure::controlled(format!(
                "Missing required value for option '--{name}'."
            )));
        }
        Ok(current.join(text).display().to_string())
    };
    Ok(Some(match name {
        "home" => {
            let home = folder()?;
            file.set(HOME, Some(home.clone()));
            format!("Home directory set to: {home}")
        }
        "app" => {
            let applications = folder()?;
            file.set(APPLICATIONS, Some(applications.clone()));
            format!("Application directory set to: {applications}")
        }
        "port" => {
            let port = port(name, value)?;
            file.set(PORT, Some(port.to_string()));
            format!("Services listen port: {port}")
        }
        "noListen" => {
            let is_off = boolean(name, value)?;
            file.set(NO_LISTEN, Some(is_off.to_string()));
            if is_off {
                "Tentacle will not listen on a port".to_owned()
            } else {
                "Tentacle will listen on a TCP port".to_owned()
            }
        }
        "listenIpAddress" if value.trim().eq_ignore_ascii_case("any") => {
            file.set(LISTEN_IP, None);
            "Listen on any IP address".to_owned()
        }
        "listenIpAddress" => {
            let address: std::net::IpAddr = value.trim().parse().map_err(|_| {
                Failure::controlled(format!(
                    "'{value}' is not a value for option '--{name}'; write an IP address, or any."
                ))
            })?;
            file.set(LISTEN_IP, Some(address.to_string()));
            format!("Listen on IP address: {address}")
        }
        "pollingConnectionCount" => set_count(configuration, value)?,
        _ => return Ok(None),
    }))
}

fn set_count(configuration: &mut Configuration, value: &str) -> Result<String, Failure> {
    let count: i64 = value.trim().parse().map_err(|_| {
        Failure::controlled(format!(
            "The polling connection count '{value}' is not a valid whole number. Specify a positive integer, e.g. \
             --pollingConnectionCount=5"
        ))
    })?;
    if count < 1 {
        return Err(Failure::controlled(format!(
            "The polling connection count must be greater than 0, but was {count}."
        )));
    }
    if !u32::try_from(count).is_ok_and(|count| POLLING_CONNECTIONS.contains(&count)) {
        return Err(Failure::controlled(format!(
            "The polling connection count must be at most {}, but was {count}.",
            POLLING_CONNECTIONS.end()
        )));
    }
    configuration.file.set(COUNT_KEY, Some(count.to_string()));
    Ok(format!("Polling connection count set to: {count}"))
}

fn set_connection_count(context: &Context, options: &Options) -> Result<(), Failure> {
    let mut configuration = context.configuration(options)?;
    let value = options.last("pollingConnectionCount").ok_or_else(|| {
        Failure::controlled("Please specify a polling connection count, e.g., --pollingConnectionCount=5")
    })?;
    let line = set_count(&mut configuration, value)?;
    context.output.info(&line);
    context.save(&configuration)
}
