//! What the agent is told (`containers.md` 1.2).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use url::Url;

use crate::secret::SecretValue;
use crate::server::{LogFormat, address, log_format};
use crate::value::{Checker, list};

/// The port for polling agents on the Server.
const POLLING_PORT: u16 = 10943;
/// The port of a listening agent.
const LISTENING_PORT: u16 = 10933;
/// Bounds of the original (`tentacle-protocol.md` 7.3).
const POLLING_CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=512;
const LONGEST_SECONDS: u32 = 86_400;
/// At least more than one line, at most a TiB.
const SCRIPT_LOG_MB: std::ops::RangeInclusive<u32> = 2..=1 << 20;

/// The agent's settings, checked.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The Server to register with.
    pub server_url: Option<String>,
    /// With what to register; `None` means that the agent has registered before, or trusts a thumbprint.
    pub credential: Option<Credential>,
    /// The Server to trust without asking it anything: 40 upper-case hex digits.
    pub server_thumbprint: Option<String>,
    /// Environments: names, slugs or ids.
    pub environments: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Name of the machine; `None` means the host name.
    pub name: Option<String>,
    /// Name of the machine policy; `None` means the Server's default.
    pub policy: Option<String>,
    /// Space; `None` means the Server's default.
    pub space: Option<String>,
    /// Who calls whom.
    pub mode: CommunicationMode,
    /// Address inside the container to listen on; `None` means any.
    pub listening_address: Option<IpAddr>,
    /// Port inside the container.
    pub internal_port: u16,
    /// Certificate and key of the agent, base64 of a PFX.
    pub certificate: Option<SecretValue>,
    /// Whether a stopped agent leaves the Server's lists.
    pub deregister_on_stop: bool,
    /// Whether that deletes the machine for good.
    pub ephemeral: bool,
    /// Whether the name is taken even from a machine that answers.
    pub force_take_over: bool,
    /// How long a first registration is tried again, in seconds.
    pub registration_retry_seconds: u32,
    /// How long a stop may take in all, in seconds.
    pub shutdown_grace_seconds: u32,
    /// How much output is kept of one script, in MiB.
    pub script_log_mb: u32,
    /// Form of the log.
    pub log_format: LogFormat,
}

/// What a registration proves itself with; exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API key.
    ApiKey(SecretValue),
    /// A short-lived token.
    BearerToken(SecretValue),
    /// A user.
    User {
        /// User name.
        username: String,
        /// Password.
        password: SecretValue,
    },
}

/// Who calls whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommunicationMode {
    /// The Server calls the agent.
    Listening {
        /// How the Server names the agent's host.
        host: PublicHostName,
        /// The published port.
        port: u16,
    },
    /// The agent calls the Server.
    Polling {
        /// The Server's polling address, `https://host:port`; the host of `ServerUrl` unless given.
        address: Option<String>,
        /// The Server's polling port.
        port: u16,
        /// `poll://` id to keep; `None` means the stored or a generated one.
        subscription: Option<String>,
        /// Parallel connections; `None` means one.
        connections: Option<u32>,
    },
}

/// How the Server names a listening agent's host (`containers.md` 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicHostName {
    /// The address that the Server sees.
    PublicIp,
    /// The fully qualified name.
    FullyQualified,
    /// The host name.
    ComputerName,
    /// A given name.
    Custom(String),
}

/// The variables as envy gives them; names in lower case, since envy folds them so.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    serverurl: Option<String>,
    serverapikey: Option<String>,
    bearertoken: Option<String>,
    serverusername: Option<String>,
    serverpassword: Option<String>,
    serverthumbprint: Option<String>,
    targetenvironment: Option<String>,
    targetrole: Option<String>,
    targetname: Option<String>,
    targettenanteddeploymentparticipation: Option<String>,
    machinepolicy: Option<String>,
    space: Option<String>,
    serverport: Option<String>,
    servercommsaddress: Option<String>,
    serversubscriptionid: Option<String>,
    pollingconnectioncount: Option<String>,
    listeningport: Option<String>,
    listeningaddress: Option<String>,
    agentinternalport: Option<String>,
    publichostnameconfiguration: Option<String>,
    custompublichostname: Option<String>,
    tentaclecertificatebase64: Option<String>,
    deregisteronstop: Option<String>,
    ephemeral: Option<String>,
    forcetakeover: Option<String>,
    registrationretryseconds: Option<String>,
    shutdown_grace_seconds: Option<String>,
    script_log_mb: Option<String>,
    log_format: Option<String>,
}

impl AgentSettings {
    pub(crate) fn from_values(
        values: &BTreeMap<&'static str, SecretValue>,
        check: &mut Checker,
    ) -> AgentSettings {
        let pairs = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.expose().to_owned()));
        let mut raw: Raw =
            envy::from_iter(pairs).expect("every field is an optional text, which no value can break");
        participation(check, raw.targettenanteddeploymentparticipation.as_deref());
        let seconds = 0..=LONGEST_SECONDS;
        AgentSettings {
            server_url: raw
                .serverurl
                .take()
                .and_then(|url| address(check, "ServerUrl", &url)),
            credential: credential(check, &mut raw),
            server_thumbprint: raw
                .serverthumbprint
                .take()
                .and_then(|text| thumbprint(check, &text)),
            environments: list(raw.targetenvironment.as_deref()),
            roles: list(raw.targetrole.as_deref()),
            name: raw.targetname.take(),
            policy: raw.machinepolicy.take(),
            space: raw.space.take(),
            mode: mode(check, &raw),
            listening_address: raw
                .listeningaddress
                .as_deref()
                .and_then(|text| listening_address(check, text)),
            internal_port: check.port(
                "AgentInternalPort",
                raw.agentinternalport.as_deref(),
                LISTENING_PORT,
            ),
            certificate: raw.tentaclecertificatebase64.take().map(SecretValue::new),
            deregister_on_stop: check.boolean("DeregisterOnStop", raw.deregisteronstop.as_deref(), true),
            ephemeral: check.boolean("Ephemeral", raw.ephemeral.as_deref(), false),
            force_take_over: check.boolean("ForceTakeOver", raw.forcetakeover.as_deref(), false),
            registration_retry_seconds: check.number(
                "RegistrationRetrySeconds",
                raw.registrationretryseconds.as_deref(),
                300,
                seconds.clone(),
            ),
            shutdown_grace_seconds: check.number(
                "SHUTDOWN_GRACE_SECONDS",
                raw.shutdown_grace_seconds.as_deref(),
                8,
                seconds,
            ),
            script_log_mb: check.number("SCRIPT_LOG_MB", raw.script_log_mb.as_deref(), 1024, SCRIPT_LOG_MB),
            log_format: log_format(check, raw.log_format.as_deref()),
        }
    }

    /// What is missing for a registration, one line each; an agent that registered before needs nothing
    /// (`containers.md` 3.3), nor does one that is told whom to trust.
    pub fn missing_for_registration(&self) -> Vec<String> {
        let absent = [
            (
                self.server_url.is_none(),
                "ServerUrl is not set: the address of the Server to register with.",
            ),
            (
                self.credential.is_none(),
                "No credential is set: ServerApiKey, BearerToken, or ServerUsername and ServerPassword.",
            ),
            (
                self.environments.is_empty(),
                "TargetEnvironment is not set: the environments of the machine.",
            ),
            (
                self.roles.is_empty(),
                "TargetRole is not set: the roles of the machine.",
            ),
        ];
        absent
            .iter()
            .filter(|(is_absent, _)| *is_absent)
            .map(|(_, line)| (*line).to_owned())
            .collect()
    }
}

impl CommunicationMode {
    /// The word of the log line and of the original: `Listening` or `Polling`.
    pub fn word(&self) -> &'static str {
        match self {
            CommunicationMode::Listening { .. } => "Listening",
            CommunicationMode::Polling { .. } => "Polling",
        }
    }
}

fn credential(check: &mut Checker, raw: &mut Raw) -> Option<Credential> {
    let key = raw
        .serverapikey
        .take()
        .map(|key| Credential::ApiKey(SecretValue::new(key)));
    let token = raw
        .bearertoken
        .take()
        .map(|token| Credential::BearerToken(SecretValue::new(token)));
    let user = match (raw.serverusername.take(), raw.serverpassword.take()) {
        (Some(username), Some(password)) => Some(Credential::User {
            username,
            password: SecretValue::new(password),
        }),
        (None, None) => None,
        (Some(_), None) => {
            check.problem("ServerUsername is set, but ServerPassword is not.".to_owned());
            None
        }
        (None, Some(_)) => {
            check.problem("ServerPassword is set, but ServerUsername is not.".to_owned());
            None
        }
    };
    let mut kinds = [key, token, user].into_iter().flatten();
    let first = kinds.next();
    if kinds.next().is_some() {
        check.problem(
            "More than one credential is set; set ServerApiKey, or BearerToken, or ServerUsername and ServerPassword."
                .to_owned(),
        );
    }
    first
}

fn mode(check: &mut Checker, raw: &Raw) -> CommunicationMode {
    if raw.serverport.is_none() && raw.servercommsaddress.is_none() {
        for (name, value) in [
            ("ServerSubscriptionId", &raw.serversubscriptionid),
            ("PollingConnectionCount", &raw.pollingconnectioncount),
        ] {
            if value.is_some() {
                check.problem(format!(
                    "{name} is set, but the agent does not poll: ServerPort is not set."
                ));
            }
        }
        let host = public_host_name(check, raw);
        return CommunicationMode::Listening {
            host,
            port: check.port("ListeningPort", raw.listeningport.as_deref(), LISTENING_PORT),
        };
    }
    let given = raw
        .servercommsaddress
        .as_deref()
        .and_then(|text| comms_address(check, text));
    let port_of_address = given.as_ref().and_then(Url::port).unwrap_or(POLLING_PORT);
    let port = check.port("ServerPort", raw.serverport.as_deref(), port_of_address);
    let address = given.and_then(|url| url.host_str().map(|host| format!("https://{host}:{port}")));
    let subscription = raw.serversubscriptionid.clone();
    if subscription
        .as_deref()
        .is_some_and(|id| !id.to_ascii_lowercase().starts_with("poll://") || id.len() > 128)
    {
        check.problem("ServerSubscriptionId: it does not begin with poll://, or is too long.".to_owned());
    }
    let connections = raw.pollingconnectioncount.as_deref();
    let connections =
        connections.map(|text| check.number("PollingConnectionCount", Some(text), 1, POLLING_CONNECTIONS));
    CommunicationMode::Polling {
        address,
        port,
        subscription,
        connections,
    }
}

/// `host`, `host:port` or `https://host:port`.
fn comms_address(check: &mut Checker, text: &str) -> Option<Url> {
    let text = text.trim();
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&whole)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host());
    if url.is_none() {
        check.problem(
            "ServerCommsAddress: it is not an address such as https://mantle.example.com:10943.".to_owned(),
        );
    }
    url
}

fn public_host_name(check: &mut Checker, raw: &Raw) -> PublicHostName {
    let custom = raw
        .custompublichostname
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty());
    match raw
        .publichostnameconfiguration
        .as_deref()
        .map(|word| word.trim().to_ascii_lowercase())
        .as_deref()
    {
        None | Some("computername") => PublicHostName::ComputerName,
        Some("publicip") => PublicHostName::PublicIp,
        Some("fqdn") => PublicHostName::FullyQualified,
        Some("custom") => {
            let good =
                custom.filter(|name| Url::parse(&format!("https://{name}/")).is_ok() && !name.contains('/'));
            if good.is_none() {
                let line =
                    "PublicHostNameConfiguration is Custom, but CustomPublicHostName is not a host name.";
                check.problem(line.to_owned());
            }
            PublicHostName::Custom(good.unwrap_or_default().to_owned())
        }
        Some(_) => {
            let line = "PublicHostNameConfiguration: it is not one of PublicIp, FQDN, ComputerName, Custom.";
            check.problem(line.to_owned());
            PublicHostName::ComputerName
        }
    }
}

fn participation(check: &mut Checker, value: Option<&str>) {
    match value.map(|word| word.trim().to_ascii_lowercase()).as_deref() {
        None | Some("untenanted") => {}
        Some("tenanted" | "tenantedoruntenanted") => check.problem(
            "TargetTenantedDeploymentParticipation is set, but tenants are not built yet; write Untenanted.".to_owned(),
        ),
        Some(_) => check.problem(
            "TargetTenantedDeploymentParticipation: it is not one of Untenanted, TenantedOrUntenanted, Tenanted."
                .to_owned(),
        ),
    }
}

fn thumbprint(check: &mut Checker, text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let good = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !good {
        check.problem("ServerThumbprint: it is not 40 hexadecimal digits.".to_owned());
    }
    good.then_some(text)
}

fn listening_address(check: &mut Checker, text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("any") {
        return None;
    }
    let parsed = text.parse().ok();
    if parsed.is_none() {
        check.problem(format!(
            "ListeningAddress: \"{text}\" is neither an IP address nor any."
        ));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, Problems, Program};

    fn settings(variables: &[(&str, &str)]) -> Result<AgentSettings, Problems> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Environment::new(Program::Agent, variables).agent()
    }

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        settings(variables)
            .err()
            .map(|problems| problems.lines().to_vec())
            .unwrap_or_default()
    }

    #[test]
    fn a_listening_agent_of_the_seed() {
        let settings = settings(&[
            ("ServerUrl", "http://server:8080/"),
            ("ServerApiKey", "API-X"),
            ("TargetEnvironment", "Dev, Test"),
            ("TargetRole", "app-server"),
            ("ListeningPort", "10931"),
        ])
        .unwrap();
        assert_eq!(settings.server_url.as_deref(), Some("http://server:8080"));
        assert_eq!(settings.environments, ["Dev", "Test"]);
        let listening = CommunicationMode::Listening {
            host: PublicHostName::ComputerName,
            port: 10931,
        };
        assert_eq!((settings.mode.word(), &settings.mode), ("Listening", &listening));
        assert_eq!(settings.internal_port, 10933);
        assert!(settings.missing_for_registration().is_empty());
        assert!(settings.deregister_on_stop && !settings.ephemeral);
    }

    #[test]
    fn a_polling_agent_takes_the_port_from_server_port_first() {
        let mode = |variables: &[(&str, &str)]| settings(variables).unwrap().mode;
        let polling = |address: Option<&str>, port| CommunicationMode::Polling {
            address: address.map(str::to_owned),
            port,
            subscription: None,
            connections: None,
        };
        assert_eq!(mode(&[("ServerPort", "10943")]), polling(None, 10943));
        assert_eq!(
            mode(&[("ServerCommsAddress", "https://comms:11111")]),
            polling(Some("https://comms:11111"), 11111)
        );
        let both = [("ServerCommsAddress", "comms:11111"), ("ServerPort", "10944")];
        assert_eq!(mode(&both), polling(Some("https://comms:10944"), 10944));
    }

    #[test]
    fn two_credentials_or_half_a_user_are_problems() {
        assert_eq!(
            problems(&[
                ("ServerApiKey", "k"),
                ("ServerUsername", "u"),
                ("ServerPassword", "p")
            ])
            .len(),
            1
        );
        assert_eq!(problems(&[("ServerUsername", "u")]).len(), 1);
        let user = settings(&[("ServerUsername", "u"), ("ServerPassword", "p")])
            .unwrap()
            .credential;
        assert!(matches!(user, Some(Credential::User { .. })));
    }

    #[test]
    fn host_names_are_checked_before_anything_is_sent() {
        assert_eq!(problems(&[("PublicHostNameConfiguration", "Custom")]).len(), 1);
        assert_eq!(problems(&[("PublicHostNameConfiguration", "Public")]).len(), 1);
        let custom = [
            ("PublicHostNameConfiguration", "Custom"),
            ("CustomPublicHostName", "web01.example.com"),
        ];
        let CommunicationMode::Listening { host, .. } = settings(&custom).unwrap().mode else {
            panic!("listening")
        };
        assert_eq!(host, PublicHostName::Custom("web01.example.com".to_owned()));
    }

    #[test]
    fn what_is_not_built_or_makes_no_sense_is_refused() {
        for variables in [
            [("TargetWorkerPool", "Default")],
            [("TargetTenant", "Acme")],
            [("ProxyName", "p")],
            [("TentaclePollingProxyHost", "p")],
            [("ServerCommsAddresses", "https://a,https://b")],
            [("TargetTenantedDeploymentParticipation", "Tenanted")],
            [("OCTOPUS__K8STENTACLE__NAMESPACE", "x")],
            [("AgentInternalPort", "0")],
            [("ServerThumbprint", "12AB")],
            [("ListeningAddress", "everywhere")],
            [("PollingConnectionCount", "4")],
            [("ServerUrl", "server:8080")],
        ] {
            assert_eq!(problems(&variables).len(), 1, "{variables:?}");
        }
    }

    #[test]
    fn nothing_set_lacks_four_things_for_a_registration() {
        assert_eq!(settings(&[]).unwrap().missing_for_registration().len(), 4);
    }
}
