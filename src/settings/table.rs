//! The one table of every setting (`containers.md` 1.1 and 1.2).

/// Which program reads a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `mantle`, in the server image.
    Server,
    /// `tentacle`, in the agent image.
    Agent,
    /// Both.
    Both,
}

impl Program {
    /// Whether a setting of `self` is read by `program`.
    pub fn includes(self, program: Program) -> bool {
        self == Program::Both || program == Program::Both || self == program
    }
}

/// What a set value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has its effect.
    Built,
    /// It is accepted for the sake of existing command lines and has no effect; the text says why.
    NoEffect(&'static str),
    /// The same for a marker that others set: worth a debug line only.
    Marker(&'static str),
    /// Its feature does not exist yet: a set value ends the start; the text says what is missing.
    NotBuilt(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The canonical (Linux) name.
    pub name: &'static str,
    /// Other names, besides other letter cases and missing or added underscores.
    pub aliases: &'static [&'static str],
    /// Who reads it.
    pub program: Program,
    /// Secrets are masked, and are also taken from the file that `NAME_FILE` names.
    pub secret: bool,
    /// What holds when it is not set; empty means nothing.
    pub default: &'static str,
    /// One line.
    pub meaning: &'static str,
    /// What a set value does.
    pub state: State,
}

use Program::{Agent, Both, Server};
use State::{Built, Marker, NoEffect, NotBuilt};

const NO_OIDC: State = NotBuilt("signing in through an identity provider is not built yet");
const NO_IMPORT: State = NotBuilt("the import folder is not built yet");
const NO_GRPC: State = Marker("there are no gRPC services here");
const NO_WORKERS: State = NotBuilt("workers are not built yet; use TargetEnvironment and TargetRole");
const NO_TENANTS: State = NotBuilt("tenants are not built yet");
const NO_PROXIES: State = NotBuilt("proxies between Server and agent are not built yet");
const NO_KUBERNETES: State = NotBuilt("the Kubernetes agent is not part of this product");

const fn plain(
    name: &'static str,
    aliases: &'static [&'static str],
    program: Program,
    default: &'static str,
    meaning: &'static str,
    state: State,
) -> Setting {
    Setting {
        name,
        aliases,
        program,
        secret: false,
        default,
        meaning,
        state,
    }
}

const fn secret(
    name: &'static str,
    aliases: &'static [&'static str],
    program: Program,
    default: &'static str,
    meaning: &'static str,
    state: State,
) -> Setting {
    Setting {
        name,
        aliases,
        program,
        secret: true,
        default,
        meaning,
        state,
    }
}

/// Every setting, the Server's first. The order is that of the documentation.
#[rustfmt::skip] // a table is read across
pub const TABLE: &[Setting] = &[
    secret("DB_CONNECTION_STRING", &["SqlDbConnectionString"], Server, "", "database: unset for the embedded one, postgres://user:password@host/name, or Host=..;Database=..;Username=..;Password=..", Built),
    secret("MASTER_KEY", &[], Server, "", "key of the database, base64 of 16 or 32 bytes; generated when the database is new", Built),
    plain("MASTER_KEY_LOG", &[], Server, "first", "first: a generated key is shown once; never: it is not, and /masterKey must be mounted", Built),
    plain("ADMIN_USERNAME", &["OctopusAdminUsername"], Server, "admin", "first administrator of a new database", Built),
    secret("ADMIN_PASSWORD", &["OctopusAdminPassword"], Server, "", "its password; generated and shown once when unset", Built),
    plain("ADMIN_PASSWORD_RESET", &[], Server, "false", "true: set ADMIN_PASSWORD again on an existing database", Built),
    plain("ADMIN_EMAIL", &[], Server, "octopus@example.local", "the administrator's e-mail address", Built),
    secret("ADMIN_API_KEY", &[], Server, "", "API key to create for the administrator, API- and at least 20 capital letters and digits", Built),
    plain("ADMIN_EXTERNAL_ID", &[], Server, "", "identity of the administrator at an identity provider", NO_OIDC),
    plain("ADMIN_OIDCIDENTITY_NAME", &[], Server, "", "name of the administrator's OIDC identity", NO_OIDC),
    plain("ADMIN_OIDCIDENTITY_ISSUER", &[], Server, "", "issuer of the administrator's OIDC identity", NO_OIDC),
    plain("ADMIN_OIDCIDENTITY_SUBJECT", &[], Server, "", "subject of the administrator's OIDC identity", NO_OIDC),
    plain("ADMIN_OIDCIDENTITY_AUDIENCE", &[], Server, "", "audience of the administrator's OIDC identity", NO_OIDC),
    plain("CREATE_ENVIRONMENTS", &[], Server, "", "comma list of environments to make at the first start", Built),
    plain("JOIN_KEY_FILE", &[], Server, "", "where to write, if missing, an API key with which agents may register", Built),
    plain("OCTOPUS_SERVER_NODE_NAME", &["ServerNodeName"], Server, "mantle, or the host name on PostgreSQL", "name of this node, unique in a cluster", Built),
    plain("OCTOPUS_SERVER_URI", &[], Server, "", "public address, used in links and in hints for agents", Built),
    plain("TASK_CAP", &[], Server, "5", "tasks that this node runs at once; 0 makes it portal-only", Built),
    plain("BUILTIN_WORKER", &[], Server, "true", "false: script steps do not run on the Server", Built),
    plain("CALAMARI_FOLDER", &[], Server, "/usr/share/mantle/runners", "your own runners, sent to machines instead of ours: a folder with linux-x64/calamari, linux-arm64/calamari", Built),
    plain("HTTP_PORT", &[], Server, "8080", "port of portal and API inside the container, or a comma list", Built),
    plain("HTTPS_PORT", &[], Server, "8443, or 443 for root", "HTTPS port, when there is a certificate", Built),
    plain("SSL_CERTIFICATE_FILE", &[], Server, "", "certificate and key for HTTPS, as PFX or PEM, inside the container", Built),
    secret("SSL_CERTIFICATE_PASSWORD", &[], Server, "", "password of the PFX", Built),
    plain("WEB_FORCE_SSL", &[], Server, "true", "false: with a certificate, plain HTTP is served as well", Built),
    plain("DB_WAIT_SECONDS", &[], Server, "60", "how long a start waits for the database", Built),
    plain("ENABLE_METRICS", &[], Server, "false", "metrics endpoint", NotBuilt("metrics are not built yet")),
    plain("ENCRYPT_FILES", &[], Server, "false", "encrypt packages, artifacts and logs on the volumes", NotBuilt("encryption of files is not built yet")),
    secret("IMPORT_PASSWORD", &[], Server, "", "password of the sensitive values in the import folder", NO_IMPORT),
    plain("SKIP_IMPORT_VERSION_CHECK", &["OctopusSkipImportVersionCheck"], Server, "false", "import an export of another version", NO_IMPORT),
    secret("OCTOPUS_SERVER_BASE64_LICENSE", &["LicenceBase64"], Server, "", "licence", NoEffect("no licence is needed")),
    plain("ENABLE_USAGE", &[], Server, "", "telemetry", NoEffect("there is no telemetry")),
    plain("SERVICE_MODE", &[], Server, "", "gRPC services of newer versions of the original", NO_GRPC),
    plain("ENABLE_INSECURE_GRPC_LISTENER", &[], Server, "", "gRPC services of newer versions of the original", NO_GRPC),
    plain("OCTOPUS_GRPC_SERVICES_PORT", &[], Server, "", "gRPC services of newer versions of the original", NO_GRPC),
    plain("OCTOPUS_SERVER_CONFIGURATION_DIRECTORY", &[], Server, "inside the data volume", "folder of the instance's configuration", NotBuilt("the configuration always lies on the data volume; mount /data where you want it")),
    plain("OCTOPUS_INSTALLED_VIA_HELM", &[], Server, "", "marker", Marker("it is a marker")),

    plain("HTTP_PROXY", &[], Both, "", "proxy for outgoing plain HTTP", Built),
    plain("HTTPS_PROXY", &[], Both, "", "proxy for outgoing HTTPS", Built),
    plain("ALL_PROXY", &[], Both, "", "proxy for everything outgoing", Built),
    plain("NO_PROXY", &[], Both, "", "comma list of hosts that are reached without a proxy", Built),
    plain("LOG_FORMAT", &[], Both, "text", "text or json", Built),
    plain("SHUTDOWN_GRACE_SECONDS", &[], Both, "8", "how long a stop may take; keep it below the engine's own limit (10 s)", Built),
    plain("ACCEPT_EULA", &[], Both, "", "licence agreement of the original", NoEffect("there is nothing to accept")),
    plain("DISABLE_DIND", &[], Both, "", "Docker-in-Docker", NoEffect("there is no Docker-in-Docker")),

    plain("ServerUrl", &[], Agent, "", "address of the Server to register with", Built),
    secret("ServerApiKey", &[], Agent, "", "API key to register with", Built),
    secret("BearerToken", &[], Agent, "", "short-lived token to register with", Built),
    plain("ServerUsername", &[], Agent, "", "user to register with", Built),
    secret("ServerPassword", &[], Agent, "", "its password", Built),
    plain("ServerThumbprint", &[], Agent, "", "Server to trust, without asking it anything", Built),
    plain("TargetEnvironment", &[], Agent, "", "comma list of environments: names, slugs or ids", Built),
    plain("TargetRole", &[], Agent, "", "comma list of roles", Built),
    plain("TargetName", &["AgentName"], Agent, "host name", "name of the machine", Built),
    plain("TargetWorkerPool", &["WorkerPools"], Agent, "", "comma list of pools, for a worker", NO_WORKERS),
    plain("TargetTenant", &[], Agent, "", "comma list of tenants", NO_TENANTS),
    plain("TargetTenantTag", &[], Agent, "", "comma list of tenant tags", NO_TENANTS),
    plain("TargetTenantedDeploymentParticipation", &[], Agent, "Untenanted", "kind of deployments that the machine takes part in; only Untenanted so far", Built),
    plain("MachinePolicy", &[], Agent, "Default Machine Policy", "name of the machine policy", Built),
    plain("Space", &[], Agent, "Default", "space: name, slug or id", Built),
    plain("ServerPort", &[], Agent, "10943 when polling", "polling port of the Server; set means a polling agent", Built),
    plain("ServerCommsAddress", &[], Agent, "host of ServerUrl", "polling address of the Server; set means a polling agent", Built),
    plain("ServerCommsAddresses", &[], Agent, "", "comma list of polling addresses, one for each node", NotBuilt("polling several nodes is not built yet; use ServerCommsAddress")),
    plain("ServerSubscriptionId", &[], Agent, "generated, then kept", "poll:// id of a polling agent", Built),
    plain("PollingConnectionCount", &["TentaclePollingConnectionCount"], Agent, "1", "parallel polling connections", Built),
    plain("ListeningPort", &[], Agent, "10933", "published port at which the Server calls a listening agent", Built),
    plain("ListeningAddress", &[], Agent, "any", "address inside the container to listen on", Built),
    plain("AgentInternalPort", &[], Agent, "10933", "port inside the container", Built),
    plain("PublicHostNameConfiguration", &[], Agent, "ComputerName", "how the Server names a listening agent: PublicIp, FQDN, ComputerName or Custom", Built),
    plain("CustomPublicHostName", &[], Agent, "", "host name for Custom", Built),
    plain("ProxyName", &[], Agent, "", "proxy that the Server uses to reach a listening agent", NO_PROXIES),
    plain("TentaclePollingProxyHost", &[], Agent, "", "proxy for polling: host", NO_PROXIES),
    plain("TentaclePollingProxyPort", &[], Agent, "", "proxy for polling: port", NO_PROXIES),
    plain("TentaclePollingProxyUsername", &[], Agent, "", "proxy for polling: user", NO_PROXIES),
    secret("TentaclePollingProxyPassword", &[], Agent, "", "proxy for polling: password", NO_PROXIES),
    secret("TentacleCertificateBase64", &[], Agent, "", "certificate of the agent, base64 of a PFX without password; generated when unset", Built),
    plain("DeregisterOnStop", &[], Agent, "true", "false: a stopped agent stays registered", Built),
    plain("Ephemeral", &[], Agent, "false", "true: deregistration deletes the machine for good", Built),
    plain("ForceTakeOver", &[], Agent, "false", "true: take the name even from a machine that answers", Built),
    plain("RegistrationRetrySeconds", &[], Agent, "300", "how long a first registration is tried again", Built),
    plain("SCRIPT_LOG_MB", &[], Agent, "1024", "output kept of one script, in MiB; what it prints beyond that is left out, and a line says so", Built),
    plain("OCTOPUS_RUNNING_IN_CONTAINER", &[], Agent, "Y", "marker", Marker("it is a marker")),
    plain("AsKubernetesTentacle", &[], Agent, "", "Kubernetes agent", NO_KUBERNETES),
    plain("DeploymentTargetEnabled", &[], Agent, "", "Kubernetes agent", NO_KUBERNETES),
    plain("WorkerEnabled", &[], Agent, "", "Kubernetes agent", NO_KUBERNETES),
    plain("DefaultNamespace", &[], Agent, "", "Kubernetes agent", NO_KUBERNETES),
    plain("TentacleHome", &[], Agent, "", "Kubernetes agent; the folder is always /agent", NO_KUBERNETES),
    plain("TentacleApplications", &[], Agent, "", "Kubernetes agent; the folder is always /applications", NO_KUBERNETES),
];

/// Whether a name, in any spelling and with or without `_FILE`, is one of the table. What a script inherits
/// must hold no such name (`containers.md` 1.4).
pub fn is_setting(name: &str) -> bool {
    find(name).is_some() || file_twin(name).is_some()
}

/// The setting that a name means, any letter case, with or without underscores.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    let folded = fold(name);
    TABLE
        .iter()
        .find(|setting| spellings(setting).any(|spelling| fold(spelling) == folded))
}

/// The setting whose secret stands in the file that this name gives: `X_FILE` for a secret `X`.
pub(crate) fn file_twin(name: &str) -> Option<&'static Setting> {
    find(without_file(name)?).filter(|setting| setting.secret)
}

/// `X` of `X_FILE`, any letter case.
pub(crate) fn without_file(name: &str) -> Option<&str> {
    let at = name.len().checked_sub("_FILE".len())?;
    let ending = name.get(at..)?;
    ending.eq_ignore_ascii_case("_FILE").then(|| &name[..at])
}

/// The canonical name and the aliases.
pub(crate) fn spellings(setting: &'static Setting) -> impl Iterator<Item = &'static str> {
    std::iter::once(setting.name).chain(setting.aliases.iter().copied())
}

/// Letter case and underscores do not count.
pub(crate) fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_means_one_setting_of_a_program() {
        let mut seen = std::collections::BTreeMap::new();
        for setting in TABLE {
            for spelling in spellings(setting) {
                assert_eq!(
                    seen.insert(fold(spelling), setting.name),
                    None,
                    "{spelling} stands twice"
                );
            }
            assert!(
                !setting.meaning.is_empty() && setting.meaning.len() <= 160,
                "{}",
                setting.name
            );
        }
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        for spelling in ["masterKey", "MasterKey", "MASTERKEY", "MASTER_KEY", "master_key"] {
            assert_eq!(
                find(spelling).map(|setting| setting.name),
                Some("MASTER_KEY"),
                "{spelling}"
            );
        }
        assert_eq!(
            find("sqlDbConnectionString").map(|setting| setting.name),
            Some("DB_CONNECTION_STRING")
        );
        assert_eq!(
            find("ShutdownGraceSeconds").map(|setting| setting.name),
            Some("SHUTDOWN_GRACE_SECONDS")
        );
        assert_eq!(
            file_twin("ServerApiKey_FILE").map(|setting| setting.name),
            Some("ServerApiKey")
        );
        assert!(file_twin("ADMIN_USERNAME_FILE").is_none());
        assert!(is_setting("join_key_file") && is_setting("Master_Key_File") && !is_setting("JAVA_HOME"));
    }
}
