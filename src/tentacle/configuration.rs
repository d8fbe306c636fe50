//! The settings of an instance, by meaning (`tentacle-protocol.md` 7.2).

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use security::{Certificate, Secret};

use crate::durable_file;
use crate::failure::Failure;
use crate::instance::Selected;
use crate::machine_key::MachineKey;
use crate::settings_file::SettingsFile;
use crate::surroundings::Surroundings;
use crate::trusted_server::TrustedServers;

/// The port of a listening agent.
pub const LISTENING_PORT: u16 = 10933;
/// Parallel polling connections, bounds of the original.
pub const POLLING_CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=512;
/// Subject of the certificates that are made here.
const COMMON_NAME: &str = "Octopus Tentacle";

pub(crate) const HOME: &str = "Octopus.Home";
pub(crate) const APPLICATIONS: &str = "Tentacle.Deployment.ApplicationDirectory";
pub(crate) const PORT: &str = "Tentacle.Services.PortNumber";
pub(crate) const LISTEN_IP: &str = "Tentacle.Services.ListenIP";
pub(crate) const NO_LISTEN: &str = "Tentacle.Services.NoListen";
pub(crate) const TRUSTED: &str = "Tentacle.Communication.TrustedOctopusServers";
pub(crate) const CONNECTION_COUNT: &str = "Tentacle.Communication.PollingConnectionCount";
pub(crate) const CERTIFICATE: &str = "Tentacle.Certificate";
pub(crate) const THUMBPRINT: &str = "Tentacle.CertificateThumbprint";

/// The settings of one instance, and where they come from.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Name of the instance, when it has one.
    pub instance: Option<String>,
    /// The settings as they stand in the file.
    pub file: SettingsFile,
    surroundings: Surroundings,
}

impl Configuration {
    /// Reads the settings of an instance.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(selected: Selected, surroundings: &Surroundings) -> Result<Configuration, Failure> {
        Ok(Configuration {
            instance: selected.name,
            file: SettingsFile::load(&selected.file)?,
            surroundings: surroundings.clone(),
        })
    }

    /// The home folder; that of the settings file unless set.
    pub fn home(&self) -> PathBuf {
        let folder = durable_file::folder_of(self.file.path());
        match self.file.get(HOME) {
            Some(home) => folder.join(home),
            None => folder.to_owned(),
        }
    }

    /// The folder of the applications.
    pub fn applications(&self) -> PathBuf {
        match self.file.get(APPLICATIONS) {
            Some(folder) => Path::new("/").join(folder),
            None => self.surroundings.applications.clone(),
        }
    }

    /// The port to listen on; 0 is any free one.
    ///
    /// # Errors
    /// The setting is no port.
    pub fn port(&self) -> Result<u16, Failure> {
        match self.file.get(PORT) {
            None => Ok(LISTENING_PORT),
            Some(text) => text
                .trim()
                .parse()
                .map_err(|_| wrong(PORT, text, "a port from 0 to 65535")),
        }
    }

    /// The address to listen on; none is any.
    ///
    /// # Errors
    /// The setting is no address.
    pub fn listen_ip(&self) -> Result<Option<IpAddr>, Failure> {
        match self.file.get(LISTEN_IP).filter(|text| !text.trim().is_empty()) {
            None => Ok(None),
            Some(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| wrong(LISTEN_IP, text, "an IP address")),
        }
    }

    /// Whether the agent does not listen.
    ///
    /// # Errors
    /// The setting is no truth value.
    pub fn no_listen(&self) -> Result<bool, Failure> {
        match self.file.get(NO_LISTEN) {
            None => Ok(false),
            Some(text) => text
                .trim()
                .to_ascii_lowercase()
                .parse()
                .map_err(|_| wrong(NO_LISTEN, text, "true or false")),
        }
    }

    /// Parallel polling connections, when set.
    ///
    /// # Errors
    /// The setting is no number.
    pub fn connection_count(&self) -> Result<Option<u32>, Failure> {
        match self.file.get(CONNECTION_COUNT) {
            None => Ok(None),
            Some(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| wrong(CONNECTION_COUNT, text, "a number from 1 to 512")),
        }
    }

    /// The trusted Servers.
    ///
    /// # Errors
    /// The setting cannot be read.
    pub fn trusted(&self) -> Result<TrustedServers, Failure> {
        TrustedServers::parse(self.file.get(TRUSTED))
    }

    /// Puts another list of trusted Servers.
    pub fn set_trusted(&mut self, servers: &TrustedServers) {
        self.file.set(TRUSTED, Some(servers.text()));
    }

    /// The agent's certificate with its key, when it has one.
    ///
    /// # Errors
    /// It is encrypted with the key of another machine, or damaged.
    pub fn certificate(&self) -> Result<Option<Certificate>, Failure> {
        let Some(encrypted) = self.file.get(CERTIFICATE).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let key = MachineKey::open(&self.surroundings.machine_key())?;
        let text = key.decrypt(CERTIFICATE, encrypted)?;
        let damaged = |reason: String| {
            Failure::controlled(format!(
                "The setting {CERTIFICATE} is damaged: {reason}. Run new-certificate, and register again."
            ))
        };
        let pfx = STANDARD
            .decode(text.trim())
            .map_err(|error| damaged(error.to_string()))?;
        Certificate::from_pfx(&pfx, &Secret::new(""))
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    /// Puts another certificate; its key is encrypted with the machine's.
    ///
    /// # Errors
    /// The machine key cannot be read or made.
    pub fn set_certificate(&mut self, certificate: &Certificate) -> Result<(), Failure> {
        let pfx = certificate
            .to_pfx(&Secret::new(""))
            .map_err(|error| Failure::controlled(error.to_string()))?;
        let text = zeroize::Zeroizing::new(STANDARD.encode(&*pfx));
        let key = MachineKey::open(&self.surroundings.machine_key())?;
        self.file.set(CERTIFICATE, Some(key.encrypt(&text)));
        self.file.set(THUMBPRINT, Some(certificate.thumbprint()));
        Ok(())
    }

    /// The thumbprint of the agent's certificate, when it has one that this machine can read.
    ///
    /// # Errors
    /// As [`certificate`](Self::certificate).
    pub fn thumbprint(&self) -> Result<Option<String>, Failure> {
        Ok(self.certificate()?.map(|certificate| certificate.thumbprint()))
    }
}

/// A new certificate for an agent. Takes up to some seconds of processor time.
///
/// # Errors
/// The system gives no random bytes, or the clock shows no date.
pub fn generate_certificate() -> Result<Certificate, Failure> {
    let now = jiff::Timestamp::now().as_millisecond();
    Certificate::generate(COMMON_NAME, now).map_err(|error| Failure::controlled(error.to_string()))
}

fn wrong(key: &str, value: &str, wanted: &str) -> Failure {
    Failure::controlled(format!(
        "The setting {key} is '{value}', which is not {wanted}. Set it again with configure."
    ))
}
