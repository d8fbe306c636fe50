//! The registration of an agent: the words of `tentacle register-with`, and what was registered last.

use std::path::Path;
use std::time::Duration;

use settings::{AgentSettings, CommunicationMode, PublicHostName};

/// What the last registration of this volume said, so that a changed variable can be told from an edit in the
/// portal (`containers.md` 3.3). It holds no secret.
const RECORD: &str = "registration.txt";
/// The first wait after a failed try, and the longest.
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The next wait after this one: 1, 2, 4 ... 30 s.
pub(crate) fn next_wait(wait: Duration) -> Duration {
    (wait * 2).min(LONGEST_WAIT)
}

/// The settings that a registration carries, as lines `Name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record(Vec<(String, String)>);

impl Record {
    /// What this start is told.
    pub(crate) fn of(settings: &AgentSettings, name: &str) -> Record {
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        let fields = [
            ("TargetName", name.to_owned()),
            ("TargetEnvironment", settings.environments.join(",")),
            ("TargetRole", settings.roles.join(",")),
            ("MachinePolicy", optional(&settings.policy)),
            ("Space", optional(&settings.space)),
        ];
        Record(
            fields
                .into_iter()
                .map(|(field, value)| (field.to_owned(), value.replace('\n', " ")))
                .collect(),
        )
    }

    /// What the last successful registration was told; `None` means that this volume never registered.
    pub(crate) fn load(folder: &Path) -> Option<Record> {
        let text = std::fs::read_to_string(folder.join(RECORD)).ok()?;
        let fields = text.lines().filter_map(|line| line.split_once('='));
        Some(Record(
            fields
                .map(|(field, value)| (field.to_owned(), value.to_owned()))
                .collect(),
        ))
    }

    /// Keeps it beside the certificate.
    pub(crate) fn save(&self, folder: &Path) -> std::io::Result<()> {
        let lines: String = self
            .0
            .iter()
            .map(|(field, value)| format!("{field}={value}\n"))
            .collect();
        let next = folder.join(format!("{RECORD}.next"));
        std::fs::write(&next, lines)?;
        std::fs::rename(next, folder.join(RECORD))
    }

    /// The settings that differ from the last registration, for the log.
    pub(crate) fn changed_since(&self, last: &Record) -> Vec<String> {
        let differs = self.0.iter().filter(|field| !last.0.contains(field));
        differs
            .map(|(field, value)| format!("{field} is now \"{value}\"."))
            .collect()
    }
}

/// The words of the registering command. The credential is not among them: it is in the child's environment,
/// where other processes of the container cannot read it.
pub(crate) fn words(settings: &AgentSettings, server: &str, name: &str, host: Option<&str>) -> Vec<String> {
    let mut words = vec![
        "register-with".to_owned(),
        "--instance=Tentacle".to_owned(),
        "--force".to_owned(),
    ];
    let mut option = |option: &str, value: &str| words.push(format!("--{option}={value}"));
    option("server", server);
    option("name", name);
    settings
        .environments
        .iter()
        .for_each(|environment| option("environment", environment));
    settings.roles.iter().for_each(|role| option("role", role));
    if let Some(policy) = &settings.policy {
        option("policy", policy);
    }
    if let Some(space) = &settings.space {
        option("space", space);
    }
    match &settings.mode {
        CommunicationMode::Listening { port, .. } => {
            option("comms-style", "TentaclePassive");
            option("tentacle-comms-port", &port.to_string());
            if let Some(host) = host {
                option("publicHostName", host);
            }
        }
        CommunicationMode::Polling {
            address,
            port,
            subscription,
            ..
        } => {
            option("comms-style", "TentacleActive");
            option("server-comms-port", &port.to_string());
            if let Some(address) = address {
                option("server-comms-address", address);
            }
            if let Some(subscription) = subscription {
                option("server-subscription-id", subscription);
            }
        }
    }
    words
}

/// The host under which the Server calls a listening agent; `Ok(None)` means that the agent's own command asks
/// the Server for it.
pub(crate) fn public_host(host: &PublicHostName, node: &str) -> Result<Option<String>, String> {
    match host {
        PublicHostName::PublicIp => Ok(None),
        PublicHostName::ComputerName => Ok(Some(node.to_owned())),
        PublicHostName::Custom(name) => Ok(Some(name.clone())),
        PublicHostName::FullyQualified => {
            let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
            fully_qualified(node, &hosts).map(Some).ok_or_else(|| {
                format!(
                    "PublicHostNameConfiguration is FQDN, but the host name {node} has no domain; set the \
                     container's host name to the full name, or use Custom with CustomPublicHostName."
                )
            })
        }
    }
}

/// As `hostname --fqdn` answers: the name itself, or the first name of its line in the hosts file.
fn fully_qualified(node: &str, hosts: &str) -> Option<String> {
    if node.contains('.') {
        return Some(node.to_owned());
    }
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let mut names = lines.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let line = names.find(|names| names.contains(&node))?;
    line.into_iter()
        .find(|name| name.contains('.'))
        .map(str::to_owned)
}

/// What an engine makes up when nobody names a container: twelve hexadecimal digits.
pub(crate) fn is_random_name(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use settings::{Environment, Program};

    fn settings(variables: &[(&str, &str)]) -> AgentSettings {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Environment::new(Program::Agent, variables).agent().unwrap()
    }

    #[test]
    fn the_words_of_a_polling_agent_hold_no_credential() {
        let settings = settings(&[
            ("ServerApiKey", "API-SECRET"),
            ("TargetEnvironment", "Dev, Test"),
            ("TargetRole", "web"),
            ("ServerPort", "10943"),
        ]);
        let words = words(&settings, "http://server:8080", "web01", None);
        assert!(
            words.contains(&"--environment=Test".to_owned())
                && words.contains(&"--server-comms-port=10943".to_owned())
        );
        assert!(!words.join(" ").contains("SECRET"));
    }

    #[test]
    fn the_full_name_comes_from_the_host_name_or_the_hosts_file() {
        assert_eq!(fully_qualified("a.b.c", ""), Some("a.b.c".to_owned()));
        let hosts = "127.0.0.1 localhost\n172.17.0.2\tweb01.example.com web01 # ours\n";
        assert_eq!(
            fully_qualified("web01", hosts),
            Some("web01.example.com".to_owned())
        );
        assert_eq!(fully_qualified("web02", hosts), None);
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let waits: Vec<_> = std::iter::successors(Some(FIRST_WAIT), |wait| Some(next_wait(*wait)))
            .take(7)
            .collect();
        assert_eq!(
            waits.iter().map(Duration::as_secs).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 30, 30]
        );
    }

    #[test]
    fn a_record_tells_which_variable_changed() {
        let folder = std::env::temp_dir().join(format!("entrypoint-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(Record::load(&folder), None);
        let first = Record::of(&settings(&[("TargetRole", "web")]), "web01");
        first.save(&folder).unwrap();
        let last = Record::load(&folder).unwrap();
        assert_eq!(last, first);
        let second = Record::of(&settings(&[("TargetRole", "web,app")]), "web01");
        assert_eq!(second.changed_since(&last), ["TargetRole is now \"web,app\"."]);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_made_up_container_name_is_known() {
        assert!(is_random_name("3f2a9c0b1d4e") && !is_random_name("web01") && !is_random_name("deadbeef"));
    }
}
