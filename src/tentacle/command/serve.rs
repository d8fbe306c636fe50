//! `agent`: listens, polls, runs scripts, until a signal ends it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use halibut::{Identity, ListeningUri, Subscription, Thumbprint};
use settings::AgentSettings;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Command, Context, INSTANCE_OPTIONS};
use crate::agent::{Agent, AgentError, AgentOptions, PolledServer};
use crate::command_line::{OptionRow, Options};
use crate::configuration::{Configuration, POLLING_CONNECTIONS, generate_certificate};
use crate::failure::{CONFIGURATION, Failure, NOT_WRITABLE};
use crate::log_file::LogFile;
use crate::output::Output;
use crate::script::process_table;
use crate::trusted_server::{TrustedServers, new_subscription, normal_address};

/// Beats the setting, as in the original.
const COUNT_VARIABLE: &str = "TentaclePollingConnectionCount";

pub(super) const COMMAND: Command = Command {
    names: &["agent", "run"],
    meaning: "Run the agent",
    options: &[
        INSTANCE_OPTIONS,
        &[OptionRow::value(
            &["wait"],
            "milliseconds to wait before the start",
        )],
    ],
    run,
};

fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    let settings =
        context
            .surroundings
            .settings(&["SHUTDOWN_GRACE_SECONDS", "LOG_FORMAT", "SCRIPT_LOG_MB"])?;
    let output = context.output.as_log(settings.log_format);
    process_table::prepare_process()
        .map_err(|error| Failure::controlled(format!("The process could not be prepared: {error}.")))?;
    if let Some(wait) = options.text("wait") {
        let wait = wait.trim().parse().map_err(|_| {
            Failure::controlled(format!(
                "'{wait}' is not a value for option '--wait'; write a number of milliseconds."
            ))
        })?;
        std::thread::sleep(Duration::from_millis(wait));
    }
    let mut configuration = context.configuration(options)?;
    let output = if context.surroundings.is_container {
        output // a container's log is its standard output
    } else {
        let home = configuration.home();
        let file =
            LogFile::open(&home).map_err(|error| Failure::of_file("open the log in", &home, &error))?;
        output.with_file(file)
    };
    let is_interactive =
        !options.flag("noninteractive") && !context.surroundings.is_container && !is_in_background();
    let options = agent_options(context, &mut configuration, &settings, &output)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::controlled(format!("Could not start the event loop: {error}.")))?;
    let ended = runtime.block_on(serve(options, output, is_interactive));
    // a blocked file system must not hold up the end
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

/// A job in the background that reads its terminal is stopped by the kernel.
fn is_in_background() -> bool {
    use std::io::IsTerminal as _;
    let input = std::io::stdin();
    input.is_terminal()
        && rustix::termios::tcgetpgrp(&input).is_ok_and(|group| group != rustix::process::getpgrp())
}

async fn serve(options: AgentOptions, output: Output, is_interactive: bool) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    let signals = Signals::new()
        .map_err(|error| Failure::controlled(format!("Signals cannot be received: {error}.")))?;
    tokio::spawn(signals.listen(shutdown.clone(), output.clone()));
    let agent = Agent::start(options).await.map_err(|error| {
        let code = match error {
            AgentError::Identity(_) => CONFIGURATION,
            _ => NOT_WRITABLE,
        };
        Failure::with_code(code, error.to_string())
    })?;
    if is_interactive {
        output.info("Running. Press <enter> to shut down...");
        let shutdown = shutdown.clone();
        // its read cannot be given up, so it is no task that the end would wait for
        std::thread::spawn(move || {
            if is_asked_to_end(std::io::stdin().lock()) {
                shutdown.cancel();
            }
        });
    }
    agent.run_until(shutdown).await;
    output.info("The agent has ended.");
    Ok(())
}

/// An empty line ends the agent. The end of the input does not (`observed.md` 10.24): a service has none.
fn is_asked_to_end(input: impl std::io::BufRead) -> bool {
    input
        .lines()
        .map_while(Result::ok)
        .any(|line| line.trim().is_empty())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 143),
            _ = self.interrupt.recv() => ("SIGINT", 130),
        }
    }

    /// The first signal asks the agent to end; the second does not wait.
    async fn listen(mut self, shutdown: CancellationToken, output: Output) {
        let (name, _) = self.next().await;
        output.info(&format!("Received {name}"));
        shutdown.cancel();
        let (name, code) = self.next().await;
        output.warning(&format!("Received {name} again; the agent ends at once."));
        std::process::exit(code);
    }
}

fn agent_options(
    context: &Context,
    configuration: &mut Configuration,
    settings: &AgentSettings,
    output: &Output,
) -> Result<AgentOptions, Failure> {
    let certificate = match configuration.certificate()? {
        Some(certificate) => certificate,
        None => {
            let made = generate_certificate()?;
            configuration.set_certificate(&made)?;
            configuration.file.save()?;
            output.info(
                "A new certificate has been generated and installed as none were yet available. Thumbprint:",
            );
            output.info(&made.thumbprint());
            made
        }
    };
    let identity = Identity::new(certificate.der.clone(), certificate.private_key_pkcs8.to_vec());
    let servers = give_subscriptions(configuration)?;
    let trusted = trusted(&servers, output)?;
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let listen = if configuration.no_listen()? {
        None
    } else {
        Some(SocketAddr::new(
            configuration.listen_ip()?.unwrap_or(any),
            configuration.port()?,
        ))
    };
    let polling = polled(&servers)?;
    let connections = if polling.is_empty() {
        1
    } else {
        connection_count(context, configuration, output)?
    };
    Ok(AgentOptions {
        applications: configuration.applications(),
        instance: configuration.instance.clone().unwrap_or_default(),
        listen,
        trusted,
        polling,
        connections,
        grace: Duration::from_secs(u64::from(settings.shutdown_grace_seconds)),
        inherited: context.surroundings.variables.clone(),
        output: output.clone(),
        largest_script_log: u64::from(settings.script_log_mb) << 20,
        owns_process: true,
        ..AgentOptions::new(configuration.home(), identity)
    })
}

/// Every polled Server has a subscription; one that an older agent left out is made now, and kept.
fn give_subscriptions(configuration: &mut Configuration) -> Result<TrustedServers, Failure> {
    let mut servers = configuration.trusted()?;
    if servers
        .0
        .iter()
        .all(|server| !server.is_polled() || server.subscription_id.is_some())
    {
        return Ok(servers);
    }
    let subscription = match servers.any_subscription() {
        Some(known) => known.to_owned(),
        None => new_subscription()?,
    };
    for server in servers
        .0
        .iter_mut()
        .filter(|server| server.is_polled() && server.subscription_id.is_none())
    {
        server.subscription_id = Some(subscription.clone());
    }
    configuration.set_trusted(&servers);
    configuration.file.save()?;
    Ok(servers)
}

fn trusted(servers: &TrustedServers, output: &Output) -> Result<Vec<Thumbprint>, Failure> {
    if servers.0.is_empty() {
        output.warning("The agent is not configured to trust any Octopus Servers.");
    }
    let mut thumbprints = Vec::new();
    for server in &servers.0 {
        let text = &server.thumbprint;
        output.info(&format!(
            "Agent will trust Octopus Servers with the thumbprint: {text}"
        ));
        thumbprints.push(thumbprint(text)?);
    }
    Ok(thumbprints)
}

fn polled(servers: &TrustedServers) -> Result<Vec<PolledServer>, Failure> {
    let polled = servers.0.iter().filter(|server| server.is_polled());
    polled
        .map(|server| {
            let address = server.address.as_deref().unwrap_or_default();
            let wrong = |reason: String| {
                Failure::with_code(
                    CONFIGURATION,
                    format!(
                        "The trusted Server {} cannot be polled: {reason}. Set it again with server-comms.",
                        server.thumbprint
                    ),
                )
            };
            Ok(PolledServer {
                address: ListeningUri::parse(&normal_address(&single_scheme(address)))
                    .map_err(|error| wrong(error.to_string()))?,
                thumbprint: thumbprint(&server.thumbprint)?,
                subscription: Subscription::parse(server.subscription_id.as_deref().unwrap_or_default())
                    .map_err(|error| wrong(error.to_string()))?,
            })
        })
        .collect()
}

/// A host that was given as an address has two schemes in the settings (`https://https://h:10943`).
fn single_scheme(address: &str) -> String {
    match address.rsplit_once("://") {
        Some((before, rest)) if before.contains("://") => format!("https://{}", rest.replace("/:", ":")),
        _ => address.to_owned(),
    }
}

fn thumbprint(text: &str) -> Result<Thumbprint, Failure> {
    Thumbprint::parse(text).map_err(|error| {
        Failure::with_code(
            CONFIGURATION,
            format!("A trusted Server is wrong: {error}. Mend it with configure --reset-trust."),
        )
    })
}

fn connection_count(
    context: &Context,
    configuration: &Configuration,
    output: &Output,
) -> Result<usize, Failure> {
    let from_variable: Option<u32> = context
        .surroundings
        .variable(COUNT_VARIABLE)
        .and_then(|text| text.trim().parse().ok());
    let (count, place) = match from_variable {
        Some(count) => (Some(count), "TentaclePollingConnectionCount environment variable"),
        None => (configuration.connection_count()?, "Tentacle configuration"),
    };
    let (least, most) = (*POLLING_CONNECTIONS.start(), *POLLING_CONNECTIONS.end());
    let Some(count) = count else { return Ok(1) };
    output.info(&format!(
        "Requested polling connection count (from {place}): {count}"
    ));
    if count < least {
        output.warning("The requested polling connection count must be greater than 0, setting to 1");
    }
    if count > most {
        output.warning(&format!(
            "The requested polling connection count exceeds the maximum of {most}, limiting to {most}"
        ));
    }
    Ok(usize::try_from(count.clamp(least, most)).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_ends_the_agent_and_the_end_of_the_input_does_not() {
        assert!(is_asked_to_end(&b"cls\nhello\n\n"[..]));
        assert!(is_asked_to_end(&b"\r\n"[..]));
        assert!(!is_asked_to_end(&b""[..]));
        assert!(!is_asked_to_end(&b"hello"[..]));
    }

    #[test]
    fn a_host_that_was_an_address_is_polled_all_the_same() {
        assert_eq!(single_scheme("https://https://h:10943"), "https://h:10943");
        assert_eq!(single_scheme("https://https://h/:11"), "https://h:11");
        assert_eq!(single_scheme("https://h:10943"), "https://h:10943");
    }
}
