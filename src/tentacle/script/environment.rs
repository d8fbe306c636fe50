//! What a script finds in its environment (`tentacle-protocol.md` 6.9, `containers.md` 1.4).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::process_table::MARK;

/// Ours, and nobody else's business.
const OUR_OWN: [&str; 2] = ["MANTLE_UNDER_ENTRYPOINT", MARK];

/// The agent as its scripts see it.
#[derive(Debug, Clone)]
pub(crate) struct ScriptEnvironment {
    pub(crate) home: PathBuf,
    pub(crate) applications: PathBuf,
    pub(crate) instance: String,
    /// The environment of the agent; names of the settings table are left out.
    pub(crate) inherited: Vec<(OsString, OsString)>,
}

impl ScriptEnvironment {
    /// The whole environment of a script in a workspace.
    pub(crate) fn of(&self, workspace: &Path) -> Vec<(OsString, OsString)> {
        let executable = std::env::current_exe().unwrap_or_default();
        let folder = executable.parent().unwrap_or(Path::new("/")).to_owned();
        let own: [(&str, OsString); 17] = [
            ("TentacleHome", self.home.clone().into()),
            ("TentacleApplications", self.applications.clone().into()),
            ("TentacleJournal", self.home.join("DeploymentJournal.xml").into()),
            (
                "CalamariPackageRetentionJournalPath",
                self.home.join("PackageRetentionJournal.json").into(),
            ),
            ("TentacleInstanceName", self.instance.clone().into()),
            ("TentacleVersion", settings::product_version().into()),
            ("TentacleNetFrameworkDescription", "".into()),
            ("TentacleExecutablePath", executable.into()),
            ("TentacleProgramDirectoryPath", folder.clone().into()),
            ("AgentProgramDirectoryPath", folder.into()),
            ("TentacleCertificateSignatureAlgorithm", "sha256RSA".into()),
            ("TentacleUseDefaultProxy", "False".into()),
            ("TentacleProxyHost", "".into()),
            ("TentacleProxyPort", "80".into()),
            ("TentacleProxyUsername", "".into()),
            ("TentacleProxyPassword", "".into()),
            (MARK, workspace.into()),
        ];
        let inherited = self
            .inherited
            .iter()
            .filter(|(name, _)| is_inherited(name))
            .cloned();
        inherited
            .chain(own.map(|(name, value)| (name.into(), value)))
            .collect()
    }
}

fn is_inherited(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    !settings::is_setting(&name) && !OUR_OWN.contains(&&*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_reaches_a_script() {
        let environment = ScriptEnvironment {
            home: "/home/agent".into(),
            applications: "/apps".into(),
            instance: "Tentacle".to_owned(),
            inherited: [
                "ServerApiKey",
                "serverpassword_file",
                "MASTER_KEY",
                "MANTLE_UNDER_ENTRYPOINT",
                "JAVA_HOME",
            ]
            .map(|name| (name.into(), "x".into()))
            .to_vec(),
        };
        let variables = environment.of(Path::new("/home/agent/Work/t"));
        let inherited: Vec<_> = variables
            .iter()
            .filter(|(_, value)| value == "x")
            .map(|(name, _)| name)
            .collect();
        assert_eq!(inherited, ["JAVA_HOME"]);
        let find = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        assert_eq!(find("TentacleHome"), Some("/home/agent".into()));
        assert_eq!(find(MARK), Some("/home/agent/Work/t".into()));
    }
}
