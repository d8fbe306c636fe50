//! What the Server is told (`containers.md` 1.1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::connection_string::DatabaseTarget;
use crate::secret::SecretValue;
use crate::value::{Checker, list};

/// The administrator's password in `.env.example`; a Server that is given it warns on every start.
pub const SAMPLE_PASSWORD: &str = "Change-me-before-use-1";
/// Longer waits and graces are a mistake in the unit.
const LONGEST_SECONDS: u32 = 86_400;
/// More tasks at once than any machine takes.
const LARGEST_TASK_CAP: u32 = 1000;

/// The Server's settings, checked.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The database; `Display` masks the password.
    pub database: DatabaseTarget,
    /// The key as it was given, in base64. Its form is checked where it is used: that is another exit code.
    pub master_key: Option<SecretValue>,
    /// Whether a generated key is shown.
    pub master_key_log: MasterKeyLog,
    /// The first administrator.
    pub administrator: Administrator,
    /// Environments to make at the first start.
    pub create_environments: Vec<String>,
    /// Where to write the agents' API key.
    pub join_key_file: Option<PathBuf>,
    /// The node's name.
    pub node_name: NodeName,
    /// The public address.
    pub public_address: Option<String>,
    /// Tasks at once on this node; 0 makes it portal-only.
    pub task_cap: u32,
    /// Whether script steps may run on the Server.
    pub builtin_worker: bool,
    /// Runners that are sent to machines instead of those of the image.
    pub calamari_folder: Option<PathBuf>,
    /// Ports of portal and API; 0 means any free one.
    pub http_ports: Vec<u16>,
    /// HTTPS port; `None` means 8443, or 443 for root.
    pub https_port: Option<u16>,
    /// Certificate files for HTTPS; without them there is none.
    pub tls: Option<TlsFiles>,
    /// Whether plain HTTP is refused when there is HTTPS.
    pub force_tls: bool,
    /// How long a start waits for the database, in seconds.
    pub database_wait_seconds: u32,
    /// How long running tasks may go on after SIGTERM, in seconds.
    pub shutdown_grace_seconds: u32,
    /// Form of the log.
    pub log_format: LogFormat,
}

/// The first administrator.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// User name; `admin` unless given.
    pub username: String,
    /// Password; generated when absent on a new database.
    pub password: Option<SecretValue>,
    /// Whether the password is set again on an existing database.
    pub reset_password: bool,
    /// E-mail address.
    pub email: String,
    /// API key to create. Without a password it makes a service account.
    pub api_key: Option<SecretValue>,
}

/// Whether a generated master key is shown in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKeyLog {
    /// Once, when it is generated.
    First,
    /// Never; `/masterKey` must be mounted.
    Never,
}

/// The node's name, or the rule that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeName {
    /// `mantle` on the embedded database, the host name on PostgreSQL.
    Usual,
    /// As given.
    Given(String),
}

/// Where the certificate for HTTPS comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// A PFX, or a PEM file with certificate and key.
    pub certificate: PathBuf,
    /// The PFX's password.
    pub password: Option<SecretValue>,
}

/// Form of the log on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One event a line, for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The Server's folders (`containers.md` 2.5). They are no settings: an image has fixed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Embedded database, configuration, logs.
    pub data: PathBuf,
    /// The generated key, where it is mounted.
    pub master_key: PathBuf,
    /// Built-in package feed.
    pub repository: PathBuf,
    /// Collected artifacts.
    pub artifacts: PathBuf,
    /// Task logs.
    pub task_logs: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
    /// Import at start.
    pub import: PathBuf,
}

impl Folders {
    /// The folders of the image.
    pub fn of_image() -> Folders {
        Folders::under(Path::new("/"))
    }

    /// The same names under another root.
    pub fn under(root: &Path) -> Folders {
        Folders {
            data: root.join("data"),
            master_key: root.join("masterKey"),
            repository: root.join("repository"),
            artifacts: root.join("artifacts"),
            task_logs: root.join("taskLogs"),
            cache: root.join("cache"),
            import: root.join("import"),
        }
    }
}

impl NodeName {
    /// The name itself; `host_name` is asked only when it counts.
    pub fn resolve(&self, database: &DatabaseTarget, host_name: impl FnOnce() -> String) -> String {
        match (self, database) {
            (NodeName::Given(name), _) => name.clone(),
            (NodeName::Usual, DatabaseTarget::Embedded(_)) => "mantle".to_owned(),
            (NodeName::Usual, DatabaseTarget::Postgres(_)) => host_name(),
        }
    }
}

/// The variables as envy gives them; names in lower case, since envy folds them so.
#[derive(Debug, Deserialize)]
struct Raw {
    db_connection_string: Option<String>,
    master_key: Option<String>,
    master_key_log: Option<String>,
    admin_username: Option<String>,
    admin_password: Option<String>,
    admin_password_reset: Option<String>,
    admin_email: Option<String>,
    admin_api_key: Option<String>,
    create_environments: Option<String>,
    join_key_file: Option<String>,
    calamari_folder: Option<String>,
    octopus_server_node_name: Option<String>,
    octopus_server_uri: Option<String>,
    task_cap: Option<String>,
    builtin_worker: Option<String>,
    http_port: Option<String>,
    https_port: Option<String>,
    ssl_certificate_file: Option<String>,
    ssl_certificate_password: Option<String>,
    web_force_ssl: Option<String>,
    db_wait_seconds: Option<String>,
    log_format: Option<String>,
    shutdown_grace_seconds: Option<String>,
}

impl ServerSettings {
    pub(crate) fn from_values(
        values: &BTreeMap<&'static str, SecretValue>,
        check: &mut Checker,
    ) -> ServerSettings {
        let pairs = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.expose().to_owned()));
        let raw: Raw =
            envy::from_iter(pairs).expect("every field is an optional text, which no value can break");
        let database = DatabaseTarget::parse(raw.db_connection_string.as_deref().unwrap_or_default());
        let database = database.unwrap_or_else(|error| {
            check.problem(format!("DB_CONNECTION_STRING: {error}."));
            DatabaseTarget::Embedded(None)
        });
        let seconds = 0..=LONGEST_SECONDS;
        ServerSettings {
            database,
            master_key: raw.master_key.map(SecretValue::new),
            master_key_log: check.choice(
                "MASTER_KEY_LOG",
                raw.master_key_log.as_deref(),
                &[("first", MasterKeyLog::First), ("never", MasterKeyLog::Never)],
            ),
            administrator: Administrator {
                username: raw.admin_username.unwrap_or_else(|| "admin".to_owned()),
                reset_password: reset_password(
                    check,
                    raw.admin_password_reset.as_deref(),
                    &raw.admin_password,
                ),
                password: raw.admin_password.map(SecretValue::new),
                email: raw
                    .admin_email
                    .unwrap_or_else(|| "octopus@example.local".to_owned()),
                api_key: api_key(check, raw.admin_api_key),
            },
            create_environments: list(raw.create_environments.as_deref()),
            join_key_file: raw.join_key_file.map(PathBuf::from),
            calamari_folder: raw.calamari_folder.map(PathBuf::from),
            node_name: raw
                .octopus_server_node_name
                .map_or(NodeName::Usual, NodeName::Given),
            public_address: raw
                .octopus_server_uri
                .and_then(|uri| address(check, "OCTOPUS_SERVER_URI", &uri)),
            task_cap: check.number("TASK_CAP", raw.task_cap.as_deref(), 5, 0..=LARGEST_TASK_CAP),
            builtin_worker: check.boolean("BUILTIN_WORKER", raw.builtin_worker.as_deref(), true),
            http_ports: ports(check, raw.http_port.as_deref()),
            https_port: raw
                .https_port
                .map(|port| check.port("HTTPS_PORT", Some(&port), 8443)),
            tls: tls(check, raw.ssl_certificate_file, raw.ssl_certificate_password),
            force_tls: check.boolean("WEB_FORCE_SSL", raw.web_force_ssl.as_deref(), true),
            database_wait_seconds: check.number(
                "DB_WAIT_SECONDS",
                raw.db_wait_seconds.as_deref(),
                60,
                seconds.clone(),
            ),
            shutdown_grace_seconds: check.number(
                "SHUTDOWN_GRACE_SECONDS",
                raw.shutdown_grace_seconds.as_deref(),
                8,
                seconds,
            ),
            log_format: log_format(check, raw.log_format.as_deref()),
        }
    }
}

/// `LOG_FORMAT`, of both programs.
pub(crate) fn log_format(check: &mut Checker, value: Option<&str>) -> LogFormat {
    check.choice(
        "LOG_FORMAT",
        value,
        &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    )
}

/// An `http` or `https` address, without its trailing slash.
pub(crate) fn address(check: &mut Checker, name: &str, value: &str) -> Option<String> {
    let parsed = url::Url::parse(value.trim()).ok();
    let good = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let plain = good.filter(|url| url.username().is_empty() && url.password().is_none());
    let Some(url) = plain else {
        check.problem(format!(
            "{name}: it is not an address such as https://mantle.example.com:8080."
        ));
        return None;
    };
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn reset_password(check: &mut Checker, value: Option<&str>, password: &Option<String>) -> bool {
    let reset = check.boolean("ADMIN_PASSWORD_RESET", value, false);
    if reset && password.is_none() {
        check.problem("ADMIN_PASSWORD_RESET is set, but ADMIN_PASSWORD is not.".to_owned());
    }
    reset
}

fn api_key(check: &mut Checker, value: Option<String>) -> Option<SecretValue> {
    let value = SecretValue::new(value?);
    let body = value.expose().strip_prefix("API-").unwrap_or_default();
    if body.len() < 20
        || !body
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    {
        check.problem("ADMIN_API_KEY: it is not API- and at least 20 capital letters and digits.".to_owned());
    }
    Some(value)
}

fn ports(check: &mut Checker, value: Option<&str>) -> Vec<u16> {
    let mut ports = Vec::new();
    for item in list(value) {
        match item.parse() {
            Ok(port) if !ports.contains(&port) => ports.push(port),
            Ok(_) => {}
            Err(_) => check.problem(format!("HTTP_PORT: \"{item}\" is not a port from 0 to 65535.")),
        }
    }
    if ports.is_empty() { vec![8080] } else { ports }
}

fn tls(check: &mut Checker, certificate: Option<String>, password: Option<String>) -> Option<TlsFiles> {
    let password = password.map(SecretValue::new);
    let Some(certificate) = certificate else {
        if password.is_some() {
            check.problem("SSL_CERTIFICATE_PASSWORD is set, but SSL_CERTIFICATE_FILE is not.".to_owned());
        }
        return None;
    };
    if !Path::new(&certificate).is_file() {
        check.problem(format!(
            "SSL_CERTIFICATE_FILE: there is no file {certificate} in the container; mount it."
        ));
    }
    Some(TlsFiles {
        certificate: PathBuf::from(certificate),
        password,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, Program};

    fn settings(variables: &[(&str, &str)]) -> Result<ServerSettings, crate::Problems> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Environment::new(Program::Server, variables).server()
    }

    #[test]
    fn nothing_set_is_a_server_on_the_embedded_database() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.database, DatabaseTarget::Embedded(None));
        assert_eq!(
            (
                settings.http_ports.as_slice(),
                settings.https_port,
                settings.task_cap
            ),
            (&[8080][..], None, 5)
        );
        assert_eq!(
            (
                settings.administrator.username.as_str(),
                settings.administrator.password
            ),
            ("admin", None)
        );
        assert_eq!(
            (settings.shutdown_grace_seconds, settings.database_wait_seconds),
            (8, 60)
        );
        assert!(settings.builtin_worker && settings.force_tls);
        assert_eq!(
            settings.node_name.resolve(&settings.database, || unreachable!()),
            "mantle"
        );
    }

    #[test]
    fn values_are_read_and_lists_trimmed() {
        let settings = settings(&[
            ("HTTP_PORT", "8080, 81"),
            ("CREATE_ENVIRONMENTS", "Development, Test,"),
            ("OCTOPUS_SERVER_URI", "https://mantle.example.com/"),
            ("BUILTIN_WORKER", "N"),
            ("MASTER_KEY_LOG", "Never"),
            ("LogFormat", "json"),
        ])
        .unwrap();
        assert_eq!(settings.http_ports, [8080, 81]);
        assert_eq!(settings.create_environments, ["Development", "Test"]);
        assert_eq!(
            settings.public_address.as_deref(),
            Some("https://mantle.example.com")
        );
        assert!(!settings.builtin_worker);
        assert_eq!(
            (settings.master_key_log, settings.log_format),
            (MasterKeyLog::Never, LogFormat::Json)
        );
    }

    #[test]
    fn half_a_setting_is_a_problem() {
        let problems = settings(&[
            ("ADMIN_PASSWORD_RESET", "true"),
            ("SSL_CERTIFICATE_PASSWORD", "x"),
            ("ADMIN_API_KEY", "API-short"),
            ("OCTOPUS_SERVER_URI", "mantle"),
        ]);
        let problems = problems.unwrap_err();
        assert_eq!(problems.lines().len(), 4, "{problems}");
        let missing = settings(&[("SSL_CERTIFICATE_FILE", "/nowhere/site.pfx")]).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/site.pfx"));
    }
}
