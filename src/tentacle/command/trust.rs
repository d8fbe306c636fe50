//! `server-comms`, `update-trust`, `clear-trusted-servers`.

use url::Url;

use super::{Command, Context, INSTANCE_OPTIONS};
use crate::command_line::{OptionRow, Options, port, thumbprint};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::trusted_server::{TrustedServer, new_subscription, normal_address};

/// The port for polling agents on a Server.
pub(super) const POLLING_PORT: u16 = 10943;

pub(super) const SERVER_COMMS: Command = Command {
    names: &["server-comms"],
    meaning: "Set how the agent and a trusted Server talk to each other",
    options: &[
        INSTANCE_OPTIONS,
        &[
            OptionRow::value(&["thumbprint"], "the Server; needed when several are trusted"),
            OptionRow::value(
                &["style"],
                "TentacleActive: the agent polls; TentaclePassive: the Server calls",
            ),
            OptionRow::value(&["host"], "host of the Server, to poll it"),
            OptionRow::value(&["port"], "polling port of the Server; 10943 unless given"),
            OptionRow::value(&["web-socket"], "not supported"),
        ],
    ],
    run: server_comms,
};

pub(super) const UPDATE: Command = Command {
    names: &["update-trust"],
    meaning: "Trust a Server's new thumbprint in place of its old one",
    options: &[
        INSTANCE_OPTIONS,
        &[
            OptionRow::value(&["oldThumbprint"], "the thumbprint to replace"),
            OptionRow::value(&["newThumbprint"], "the thumbprint to trust"),
        ],
    ],
    run: update,
};

pub(super) const CLEAR: Command = Command {
    names: &["clear-trusted-servers"],
    meaning: "Trust no Server any more, but those kept",
    options: &[
        INSTANCE_OPTIONS,
        &[OptionRow::values(
            &["keep"],
            "addresses of Servers to keep, by comma",
        )],
    ],
    run: clear,
};

fn server_comms(context: &Context, options: &Options) -> Result<(), Failure> {
    let mut configuration = context.configuration(options)?;
    if options.text("web-socket").is_some() {
        return Err(Failure::controlled(
            "Polling over web sockets is not supported; use --host and --port.",
        ));
    }
    let mut servers = configuration.trusted()?;
    let thumbprint = match options.text("thumbprint") {
        Some(text) => thumbprint("thumbprint", text)?.to_owned(),
        None => only_thumbprint(&configuration)?,
    };
    // a container is told whom to trust by its settings (`ServerThumbprint`)
    if !servers.trusts(&thumbprint) && !context.surroundings.is_container {
        return Err(Failure::controlled(format!(
            "The Server with the thumbprint {thumbprint} is not trusted. Trust it first: configure --trust={thumbprint}"
        )));
    }
    match style(options.text("style"))? {
        Style::Active => {
            let host = options.text("host").ok_or_else(|| {
                Failure::controlled(
                    "Please provide either the server hostname or websocket address, e.g. --host=OCTOPUS",
                )
            })?;
            let port = options
                .text("port")
                .map_or(Ok(POLLING_PORT), |text| port("port", text))?;
            let address = typed_address(host, port)?;
            let subscription = match servers
                .subscription_of(&address)
                .or_else(|| servers.any_subscription())
            {
                Some(known) => known.to_owned(),
                None => new_subscription()?,
            };
            servers.put(TrustedServer::polling(&thumbprint, &address, &subscription));
        }
        Style::Passive => servers.put(TrustedServer::listening(&thumbprint)),
    }
    configuration.set_trusted(&servers);
    context.output.info("Updated server communications configuration");
    context.save(&configuration)
}

/// Who calls whom, as an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// The agent polls.
    Active,
    /// The Server calls.
    Passive,
}

fn style(text: Option<&str>) -> Result<Style, Failure> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        Some("tentacleactive") => Ok(Style::Active),
        Some("tentaclepassive") => Ok(Style::Passive),
        _ => Err(Failure::controlled(
            "Please specify a valid communications style, e.g. --style=TentacleActive or --style=TentaclePassive",
        )),
    }
}

fn only_thumbprint(configuration: &Configuration) -> Result<String, Failure> {
    let servers = configuration.trusted()?;
    let mut thumbprints: Vec<String> = servers
        .0
        .iter()
        .map(|server| server.thumbprint.to_uppercase())
        .collect();
    thumbprints.sort();
    thumbprints.dedup();
    match (thumbprints.len(), servers.0.first()) {
        (1, Some(server)) => Ok(server.thumbprint.clone()),
        (0, _) => Err(Failure::controlled(
            "Before server communications can be modified, trust must be established with the configure command: \
             configure --trust=THUMBPRINT",
        )),
        _ => Err(Failure::controlled(
            "More than one Server is trusted; say which one is meant, e.g. --thumbprint=VALUE",
        )),
    }
}

/// `https://host:port` with the host as it was typed, as in the original; one that is an address already is put right
/// where it is polled.
fn typed_address(host: &str, port: u16) -> Result<String, Failure> {
    let address = format!("https://{}:{port}", host.trim());
    let is_good = Url::parse(&address).is_ok_and(|url| url.has_host());
    is_good.then_some(address).ok_or_else(|| not_a_host(host))
}

fn not_a_host(host: &str) -> Failure {
    Failure::controlled(format!(
        "'{host}' is not a host name; write the name or address of the Server alone."
    ))
}

/// `https://host:port`, from a host that may be written as an address.
pub(super) fn polling_address(host: &str, port: u16) -> Result<String, Failure> {
    let bare = host.trim();
    let bare = bare
        .split_once("://")
        .map_or(bare, |(_, rest)| rest)
        .trim_end_matches('/');
    let address = format!("https://{bare}:{port}");
    let is_good =
        Url::parse(&address).is_ok_and(|url| url.has_host() && url.path() == "/" && url.query().is_none());
    is_good.then_some(address).ok_or_else(|| not_a_host(host))
}

fn update(context: &Context, options: &Options) -> Result<(), Failure> {
    let mut configuration = context.configuration(options)?;
    let old = options.text("oldThumbprint").ok_or_else(|| {
        Failure::controlled("Please specify a thumbprint to replace, e.g., --oldThumbprint=VALUE")
    })?;
    let new = options.text("newThumbprint").ok_or_else(|| {
        Failure::controlled("Please specify a new thumbprint to trust, e.g., --newThumbprint=VALUE")
    })?;
    let new = thumbprint("newThumbprint", new)?;
    let output = &context.output;
    output.info(&format!(
        "Updating Octopus servers thumbprint from {old} to {new}"
    ));
    output.info(&format!(
        "Finding existing Octopus Server registrations trusting the thumbprint {old} and updating them to trust the \
         thumbprint {new}:"
    ));
    let mut servers = configuration.trusted()?;
    let mut is_changed = false;
    for server in &mut servers.0 {
        let kind = if server.is_polled() {
            "polling"
        } else {
            "listening"
        };
        let address = server.address.as_deref().map(normal_address).unwrap_or_default();
        let thumbprint = &server.thumbprint;
        if server.has_thumbprint(old) {
            output.info(&format!(
                "Updating {kind} tentacle {address} {thumbprint} - changing to trust {new}"
            ));
            server.thumbprint = new.to_owned();
            is_changed = true;
        } else {
            output.info(&format!(
                "Ignoring {kind} tentacle {address} {thumbprint} - does not match old thumbprint"
            ));
        }
    }
    if is_changed {
        configuration.set_trusted(&servers);
    }
    context.save(&configuration)
}

fn clear(context: &Context, options: &Options) -> Result<(), Failure> {
    let mut configuration = context.configuration(options)?;
    let keep: Vec<String> = options
        .all("keep")
        .iter()
        .flat_map(|list| list.split(','))
        .map(|address| normal_address(address.trim()))
        .collect();
    let mut servers = configuration.trusted()?;
    let is_kept = |server: &TrustedServer| {
        server
            .address
            .as_deref()
            .is_some_and(|address| keep.contains(&normal_address(address)))
    };
    let (kept, removed): (Vec<_>, Vec<_>) = servers.0.into_iter().partition(is_kept);
    let is_changed = !removed.is_empty();
    for server in &removed {
        let place = server.address.as_deref().unwrap_or("which calls this Tentacle");
        context
            .output
            .info(&format!("Removing trusted server {} {place}", server.thumbprint));
    }
    servers.0 = kept;
    configuration.set_trusted(&servers);
    if is_changed {
        return context.save(&configuration);
    }
    configuration.file.save()
}
