//! `register-with`, `register-worker`, `poll-server`.

use std::time::Duration;

use settings::{AgentSettings, Credential, SecretValue};
use url::Url;

use super::public_address::own_address;
use super::trust::{POLLING_PORT, polling_address};
use super::{Command, Context, INSTANCE_OPTIONS};
use crate::command_line::{OptionRow, Options, port};
use crate::configuration::{CONNECTION_COUNT, Configuration};
use crate::failure::Failure;
use crate::registration::server_api::ServerApi;
use crate::registration::state::Given;
use crate::registration::{Endpoint, Existing, Kind, Registration, handshake, lookup};
use crate::trusted_server::{TrustedServer, canonical_subscription, new_subscription};

/// A worker polls with at least so many connections, so that a long script does not hold up a health check.
const WORKER_CONNECTIONS: usize = 5;

pub(super) const API_OPTIONS: &[OptionRow] = &[
    OptionRow::value(
        &["server"],
        "address of the Server, e.g. https://mantle.example.com",
    ),
    OptionRow::value(&["apiKey"], "API key to register with"),
    OptionRow::value(&["bearerToken"], "token to register with"),
    OptionRow::value(&["username", "user", "u"], "user to register with"),
    OptionRow::value(&["password", "p"], "its password"),
    OptionRow::flag(
        &["ignoreSslErrors"],
        "accept any certificate of the Server's portal",
    ),
    OptionRow::value(&["space"], "space; the default one unless given"),
];

const COMMUNICATION_OPTIONS: &[OptionRow] = &[
    OptionRow::value(&["server-comms-address"], "address of the Server's polling port"),
    OptionRow::value(
        &["server-comms-port"],
        "polling port of the Server; 10943 unless given",
    ),
    OptionRow::value(&["server-web-socket"], "not supported"),
];

const REGISTER_OPTIONS: &[OptionRow] = &[
    OptionRow::value(&["name"], "name of the machine; the host name unless given"),
    OptionRow::value(&["policy"], "name of the machine policy"),
    OptionRow::value(
        &["publicHostName", "h"],
        "host name by which the Server calls this machine",
    ),
    OptionRow::value(
        &["publicHostNameConfiguration"],
        "where that name comes from: ComputerName, FQDN, PublicIp or Custom",
    ),
    OptionRow::flag(
        &["force", "f"],
        "change an existing machine of the name into this one",
    ),
    OptionRow::value(
        &["take-over"],
        "IfOffline or Always: the thumbprint decides which machine this is, and a name is taken over",
    ),
    OptionRow::flag(
        &["keep-existing"],
        "nothing was asked for that is not registered: edits in the portal stay",
    ),
    OptionRow::value(
        &["retry-seconds"],
        "how long a name is tried again whose machine still answers",
    ),
    OptionRow::value(&["comms-style"], "TentaclePassive, TentacleActive or None"),
    OptionRow::value(
        &["proxy"],
        "name of the proxy through which the Server calls this machine",
    ),
    OptionRow::value(&["server-subscription-id"], "poll:// id to keep"),
    OptionRow::value(
        &["tentacle-comms-port"],
        "port at which the Server calls this machine",
    ),
];

pub(super) const REGISTER_WITH: Command = Command {
    names: &["register-with"],
    meaning: "Register this machine as a deployment target",
    options: &[
        INSTANCE_OPTIONS,
        API_OPTIONS,
        COMMUNICATION_OPTIONS,
        REGISTER_OPTIONS,
        &[
            OptionRow::values(&["environment", "env"], "environment: name, slug or id"),
            OptionRow::values(&["role", "r"], "role"),
            OptionRow::values(&["tenant"], "tenant: name, slug or id"),
            OptionRow::values(&["tenanttag"], "tenant tag, Set/Tag"),
            OptionRow::value(
                &["tenanted-deployment-participation"],
                "Untenanted, TenantedOrUntenanted or Tenanted",
            ),
        ],
    ],
    run: |context, options| register(context, options, Kind::Target),
};

pub(super) const REGISTER_WORKER: Command = Command {
    names: &["register-worker"],
    meaning: "Register this machine as a worker",
    options: &[
        INSTANCE_OPTIONS,
        API_OPTIONS,
        COMMUNICATION_OPTIONS,
        REGISTER_OPTIONS,
        &[OptionRow::values(
            &["workerpool"],
            "worker pool: name, slug or id",
        )],
    ],
    run: |context, options| register(context, options, Kind::Worker),
};

pub(super) const POLL_SERVER: Command = Command {
    names: &["poll-server"],
    meaning: "Poll another node of a Server that is polled already",
    options: &[
        INSTANCE_OPTIONS,
        API_OPTIONS,
        COMMUNICATION_OPTIONS,
        &[OptionRow::flag(
            &["reuse-server-thumbprint"],
            "expect the thumbprint that the Server has had so far",
        )],
    ],
    run: poll_server,
};

/// The Server and the credential of a command.
pub(super) struct Target {
    pub(super) server: Url,
    /// As it was typed, with the slash that a URL has.
    pub(super) shown: String,
    credential: Credential,
    ignore_certificate: bool,
}

impl Target {
    /// From the options; a credential that is not given may stand in the environment.
    ///
    /// # Errors
    /// Something is missing, or given twice.
    pub(super) fn of(context: &Context, options: &Options) -> Result<Target, Failure> {
        let text = options.text("server").ok_or_else(|| {
            Failure::controlled("Please specify an Octopus Server, e.g., --server=http://your-octopus-server")
        })?;
        let server = Url::parse(text.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::controlled(format!(
                    "'{text}' is not a value for option '--server'; write an address such as https://mantle.example.com."
                ))
            })?;
        // the original asks for a page of the portal then, and fails
        if server.fragment().is_some() {
            return Err(Failure::controlled(format!(
                "'{text}' is a page, not the address of a Server; leave out what begins with '#'."
            )));
        }
        let shown = if server.path() == "/" {
            server.to_string()
        } else {
            text.to_owned()
        };
        Ok(Target {
            server,
            shown,
            credential: credential(context, options)?,
            ignore_certificate: options.flag("ignoreSslErrors"),
        })
    }

    /// A signed-in connection.
    pub(super) async fn open(&self) -> Result<ServerApi, Failure> {
        let mut api = ServerApi::new(&self.server, self.ignore_certificate)?;
        api.sign_in(&self.credential).await?;
        Ok(api)
    }
}

fn credential(context: &Context, options: &Options) -> Result<Credential, Failure> {
    let secret = |name: &str| options.text(name).map(|text| SecretValue::new(text.to_owned()));
    let key = secret("apiKey").map(Credential::ApiKey);
    let token = secret("bearerToken").map(Credential::BearerToken);
    let user = match (options.text("username"), secret("password")) {
        (Some(username), Some(password)) => Some(Credential::User {
            username: username.to_owned(),
            password,
        }),
        (Some(_), None) => {
            return Err(Failure::controlled(
                "Please specify a password for the specified user account",
            ));
        }
        (None, Some(_)) => {
            return Err(Failure::controlled(
                "Please specify a username for the specified password",
            ));
        }
        (None, None) => None,
    };
    let mut given = [key, token, user].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Failure::controlled(
            "Please specify only one of an API key, a Bearer Token, and a username with a password.",
        )),
        (None, _) => from_environment(context)?.ok_or_else(|| {
            Failure::controlled(
                "Please specify an Octopus API key, a Bearer Token or a username and password. You can get an API key from the \
                 Octopus web portal. E.g., --apiKey=ABC1234",
            )
        }),
    }
}

/// The credential of the container's settings, where a value or the file that holds it is given.
fn from_environment(context: &Context) -> Result<Option<Credential>, Failure> {
    let names = ["ServerApiKey", "BearerToken", "ServerUsername", "ServerPassword"];
    Ok(context.surroundings.settings(&names)?.credential)
}

/// How the machine and the Server will talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Passive,
    Active,
    None,
}

fn register(context: &Context, options: &Options, kind: Kind) -> Result<(), Failure> {
    let target = Target::of(context, options)?;
    let style = style(options.text("comms-style"))?;
    let given = given(options, kind)?;
    let container = in_container(context)?;
    let existing = existing(options, container.as_ref())?;
    let patience = patience(options, container.as_ref())?;
    let proxy = options.text("proxy").map(str::to_owned);
    if proxy.is_some() && style != Style::Passive {
        return Err(Failure::controlled(
            "--proxy names the proxy through which the Server calls a listening machine; leave it out when the machine polls.",
        ));
    }
    let mut configuration = context.configuration(options)?;
    let thumbprint = configuration.thumbprint()?.ok_or_else(|| {
        Failure::controlled("No certificate has been generated for this Tentacle. Please run the new-certificate command first.")
    })?;
    let name = options
        .text("name")
        .map_or_else(|| context.surroundings.host_name(), str::to_owned);
    let home = configuration.home();
    run_to_end(async {
        let polling = match style {
            Style::Active => Some(polled_address(options, &target.server)?),
            Style::Passive | Style::None => None,
        };
        if let Some(address) = &polling {
            handshake::check(&parsed(address)?, &context.output).await?;
        }
        context.output.info(&format!(
            "Registering the tentacle with the server at {}",
            target.shown
        ));
        let api = target.open().await?;
        let space = lookup::space(&api, options.text("space")).await?;
        let server_thumbprint = lookup::server_thumbprint(&api).await?;
        let (endpoint, trusted) = match (&polling, style) {
            (Some(address), _) => {
                let subscription = subscription(&configuration, options, address)?;
                set_connection_count(context, &mut configuration, kind)?;
                let trusted = TrustedServer::polling(&server_thumbprint, address, &subscription);
                (Endpoint::Polling { subscription }, trusted)
            }
            (None, Style::None) => (Endpoint::None, TrustedServer::without_calls(&server_thumbprint)),
            (None, _) => {
                let uri = own_address(context, options, &configuration, &api).await?;
                (
                    Endpoint::Listening { uri, proxy },
                    TrustedServer::listening(&server_thumbprint),
                )
            }
        };
        let registration = Registration {
            kind,
            name,
            thumbprint,
            endpoint,
            given,
            existing,
            keep_existing: options.flag("keep-existing"),
            patience,
            home,
        };
        registration.register(&api, &space).await?;
        let mut servers = configuration.trusted()?;
        servers.put(trusted);
        configuration.set_trusted(&servers);
        context.output.info("Machine registered successfully");
        context.save(&configuration)
    })
}

fn poll_server(context: &Context, options: &Options) -> Result<(), Failure> {
    let target = Target::of(context, options)?;
    let mut configuration = context.configuration(options)?;
    let instance = configuration.instance.clone().unwrap_or_default();
    run_to_end(async {
        let address = polled_address(options, &target.server)?;
        handshake::check(&parsed(&address)?, &context.output).await?;
        context.output.info(&format!(
            "Configuring Tentacle to poll the server at {}",
            target.shown
        ));
        let api = target.open().await?;
        lookup::space(&api, options.text("space")).await?;
        let mut servers = configuration.trusted()?;
        let thumbprint = lookup::server_thumbprint(&api).await?;
        if !servers.trusts(&thumbprint) {
            return Err(Failure::controlled(format!(
                "The Octopus Server with the thumbprint '{thumbprint}' is not yet trusted. \nTrust this Octopus Server using \
                 'Tentacle configure --trust=\"{thumbprint}\" --instance {instance}'"
            )));
        }
        let polled = servers.0.iter().filter(|server| server.is_polled());
        let known = polled
            .clone()
            .find(|server| server.has_thumbprint(&thumbprint))
            .or_else(|| polled.clone().next());
        let subscription = known
            .and_then(|server| server.subscription_id.clone())
            .ok_or_else(|| {
                Failure::controlled(
                    "This Tentacle polls no Server yet. Please run the register-with command first.",
                )
            })?;
        servers.put(TrustedServer::polling(&thumbprint, &address, &subscription));
        configuration.set_trusted(&servers);
        context.output.info("Polling endpoint configured");
        context.save(&configuration)
    })
}

/// Runs what waits for a Server.
///
/// # Errors
/// Those of the work, or there is no event loop.
pub(super) fn run_to_end<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::controlled(format!("Could not start the event loop: {error}.")))?
        .block_on(work)
}

fn style(text: Option<&str>) -> Result<Style, Failure> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("tentaclepassive") => Ok(Style::Passive),
        Some("tentacleactive") => Ok(Style::Active),
        Some("none") => Ok(Style::None),
        _ => Err(Failure::controlled(
            "Please specify a valid communications style, e.g. --comms-style=TentaclePassive",
        )),
    }
}

/// How the container was told to register, where this is one: there the rules of `containers.md` 3.3 hold.
fn in_container(context: &Context) -> Result<Option<AgentSettings>, Failure> {
    if !context.surroundings.is_container {
        return Ok(None);
    }
    context
        .surroundings
        .settings(&["ForceTakeOver", "RegistrationRetrySeconds"])
        .map(Some)
}

fn patience(options: &Options, container: Option<&AgentSettings>) -> Result<Duration, Failure> {
    let seconds = match options.text("retry-seconds") {
        None => container.map_or(0, |container| container.registration_retry_seconds),
        Some(text) => text.trim().parse().map_err(|_| {
            Failure::controlled(format!(
                "'{text}' is not a value for option '--retry-seconds'; write a number of seconds."
            ))
        })?,
    };
    Ok(Duration::from_secs(seconds.into()))
}

fn existing(options: &Options, container: Option<&AgentSettings>) -> Result<Existing, Failure> {
    match options.text("take-over").map(str::to_ascii_lowercase).as_deref() {
        Some("ifoffline") => Ok(Existing::TakeOver {
            even_if_it_answers: false,
        }),
        Some("always") => Ok(Existing::TakeOver {
            even_if_it_answers: true,
        }),
        Some(_) => Err(Failure::controlled(
            "Please specify IfOffline or Always, e.g. --take-over=IfOffline",
        )),
        None => Ok(match container {
            Some(container) => Existing::TakeOver {
                even_if_it_answers: container.force_take_over,
            },
            None if options.flag("force") => Existing::Force,
            None => Existing::Refuse,
        }),
    }
}

fn given(options: &Options, kind: Kind) -> Result<Given, Failure> {
    let all = |name: &str| -> Vec<String> {
        let mut list: Vec<String> = Vec::new();
        for text in options.all(name) {
            if !list.iter().any(|known| known == text) {
                list.push(text.to_owned());
            }
        }
        list
    };
    let required = |name: &str, what: &str| {
        let list = all(name);
        if list.is_empty() {
            return Err(Failure::controlled(format!("Please specify {what}")));
        }
        Ok(list)
    };
    let policy = options.text("policy").map(str::to_owned);
    if kind == Kind::Worker {
        return Ok(Given {
            policy,
            pools: required(
                "workerpool",
                "a worker pool name, slug or Id, e.g., --workerpool=Default",
            )?,
            ..Given::default()
        });
    }
    Ok(Given {
        policy,
        environments: required(
            "environment",
            "an environment name, slug or Id, e.g., --environment=Development",
        )?,
        roles: required("role", "a role name, e.g., --role=web-server")?,
        pools: Vec::new(),
        tenants: all("tenant"),
        tenant_tags: all("tenanttag"),
        participation: participation(options.text("tenanted-deployment-participation"))?,
    })
}

fn participation(text: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    ["Untenanted", "TenantedOrUntenanted", "Tenanted"]
        .iter()
        .find(|word| word.eq_ignore_ascii_case(text.trim()))
        .map(|word| Some((*word).to_owned()))
        .ok_or_else(|| {
            Failure::controlled(format!(
                "'{text}' is not a value for option '--tenanted-deployment-participation'; write Untenanted, \
                 TenantedOrUntenanted or Tenanted."
            ))
        })
}

/// The Server's polling address: that of the option, else the host of the API.
fn polled_address(options: &Options, server: &Url) -> Result<String, Failure> {
    if options.text("server-web-socket").is_some() {
        return Err(Failure::controlled(
            "Polling over web sockets is not supported; use --server-comms-address and --server-comms-port.",
        ));
    }
    let given_port = options
        .text("server-comms-port")
        .map(|text| port("server-comms-port", text))
        .transpose()?;
    let Some(text) = options.text("server-comms-address") else {
        let host = server.host_str().unwrap_or_default();
        return polling_address(host, given_port.unwrap_or(POLLING_PORT));
    };
    let url = Url::parse(text.trim())
        .ok()
        .filter(|url| url.has_host())
        .ok_or_else(|| {
            Failure::controlled(format!(
                "'{text}' is not a value for option '--server-comms-address'; write an address such as \
             https://mantle.example.com:10943."
            ))
        })?;
    let port = given_port.or(url.port_or_known_default()).unwrap_or(POLLING_PORT);
    polling_address(url.host_str().unwrap_or_default(), port)
}

fn parsed(address: &str) -> Result<Url, Failure> {
    Url::parse(address)
        .map_err(|error| Failure::controlled(format!("'{address}' is not an address: {error}.")))
}

/// The stored subscription of the address, a given one, or a new one.
fn subscription(configuration: &Configuration, options: &Options, address: &str) -> Result<String, Failure> {
    if let Some(known) = configuration.trusted()?.subscription_of(address) {
        return Ok(known.to_owned());
    }
    match options.text("server-subscription-id") {
        Some(given) => canonical_subscription(given),
        None => new_subscription(),
    }
}

/// Set once, before the machine is written.
fn set_connection_count(
    context: &Context,
    configuration: &mut Configuration,
    kind: Kind,
) -> Result<(), Failure> {
    if configuration.connection_count()?.is_some() {
        return Ok(());
    }
    let count = match kind {
        Kind::Target => 1,
        Kind::Worker => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .max(WORKER_CONNECTIONS),
    };
    context
        .output
        .info(&format!("Setting the polling connection count to {count}"));
    configuration.file.set(CONNECTION_COUNT, Some(count.to_string()));
    configuration.file.save()
}
