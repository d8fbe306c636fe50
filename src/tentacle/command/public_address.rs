//! How the Server names a listening machine (`containers.md` 3.2).

use settings::{CommunicationMode, PublicHostName};
use url::Url;

use super::Context;
use crate::command_line::{Options, port};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::registration::server_api::ServerApi;

/// The address at which the Server shall call (`containers.md` 3.2).
pub(super) async fn own_address(
    context: &Context,
    options: &Options,
    configuration: &Configuration,
    api: &ServerApi,
) -> Result<String, Failure> {
    let given = options.text("publicHostName").map(str::trim);
    let asks_server =
        options.text("publicHostNameConfiguration").is_none() && given.is_none() && asks_server(context)?;
    let way = if asks_server {
        Some("publicip")
    } else {
        options.text("publicHostNameConfiguration")
    };
    let host = match way.map(str::to_ascii_lowercase).as_deref() {
        None => given.map_or_else(|| context.surroundings.host_name(), str::to_owned),
        Some("computername") => context.surroundings.host_name(),
        Some("custom") => given.map(str::to_owned).ok_or_else(|| {
            Failure::controlled(
                "Please specify the host name that Custom means, e.g. --publicHostName=web01.example.com",
            )
        })?,
        Some("fqdn") => qualified_name(context).await?,
        Some("publicip") => {
            let answer = api.get("/api/mantle/remote-address").await?;
            answer["Address"].as_str().map(str::to_owned).ok_or_else(|| {
                Failure::controlled(
                    "The Server does not tell the address that it sees; set PublicHostNameConfiguration.",
                )
            })?
        }
        Some(_) => {
            return Err(Failure::controlled(
                "Please specify ComputerName, FQDN, PublicIp or Custom, e.g. --publicHostNameConfiguration=FQDN",
            ));
        }
    };
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_lowercase()
    };
    let port = match options.text("tentacle-comms-port") {
        Some(text) => port("tentacle-comms-port", text)?,
        None => configuration.port()?,
    };
    let address = format!("https://{host}:{port}/");
    let is_good = Url::parse(&address)
        .is_ok_and(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty());
    is_good.then_some(address).ok_or_else(|| {
        Failure::controlled(format!(
            "'{host}' is not a host name; give one with --publicHostName."
        ))
    })
}

/// Whether the container was told to ask the Server for its address.
fn asks_server(context: &Context) -> Result<bool, Failure> {
    let names = ["PublicHostNameConfiguration", "CustomPublicHostName"];
    let mode = context.surroundings.settings(&names)?.mode;
    Ok(matches!(
        mode,
        CommunicationMode::Listening {
            host: PublicHostName::PublicIp,
            ..
        }
    ))
}

/// The name of this machine with its domain, as the resolver's files know it.
async fn qualified_name(context: &Context) -> Result<String, Failure> {
    let name = context.surroundings.host_name();
    if name.contains('.') {
        return Ok(name);
    }
    let hosts = tokio::fs::read_to_string("/etc/hosts").await.unwrap_or_default();
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let found = lines
        .map(|line| line.split_ascii_whitespace().skip(1).collect::<Vec<_>>())
        .filter(|names| names.contains(&name.as_str()))
        .find_map(|names| names.into_iter().find(|one| one.contains('.')).map(str::to_owned));
    found.ok_or_else(|| {
        Failure::controlled(format!(
            "The host name '{name}' has no domain, so FQDN has no answer; use ComputerName, or Custom with a name."
        ))
    })
}
