//! Ids of packages in Maven feeds: `group:artifact[:packaging[:classifier]]`.

use std::fmt;
use std::str::FromStr;

use crate::Version;

/// The longest text that is read as an id, in bytes.
const LONGEST_ID: usize = 1024;

/// A text that names no artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a Maven package id. Write group:artifact, group:artifact:packaging or group:artifact:packaging:classifier."
)]
pub struct NotAMavenPackageId(String);

/// Which file of a Maven feed is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MavenPackageId {
    /// With dots, as `org.acme`.
    pub group: String,
    /// The name in the group.
    pub artifact: String,
    /// The extension, as `jar`, if it is said.
    pub packaging: Option<String>,
    /// What tells files of one artifact apart, as `sources`, if it is said.
    pub classifier: Option<String>,
}

impl MavenPackageId {
    /// Where the feed says which versions there are, below the feed's address.
    #[must_use]
    pub fn metadata_path(&self) -> String {
        format!(
            "/{}/{}/maven-metadata.xml",
            self.group.replace('.', "/"),
            self.artifact
        )
    }

    /// Where the feed says which files of a snapshot there are.
    #[must_use]
    pub fn version_metadata_path(&self, version: &Version) -> String {
        format!("{}/maven-metadata.xml", self.folder(version))
    }

    /// Where the description of a version is.
    #[must_use]
    pub fn pom_path(&self, version: &Version) -> String {
        format!("{}/{}-{version}.pom", self.folder(version), self.artifact)
    }

    /// Where the file of a version is. Without a packaging it ends in the dot.
    #[must_use]
    pub fn artifact_path(&self, version: &Version) -> String {
        let classifier = self
            .classifier
            .as_ref()
            .map(|classifier| format!("-{classifier}"));
        format!(
            "{}/{}-{version}{}.{}",
            self.folder(version),
            self.artifact,
            classifier.unwrap_or_default(),
            self.packaging.as_deref().unwrap_or_default()
        )
    }

    fn folder(&self, version: &Version) -> String {
        format!("/{}/{}/{version}", self.group.replace('.', "/"), self.artifact)
    }
}

/// Parts that are empty are left out.
impl fmt::Display for MavenPackageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            Some(&self.group),
            Some(&self.artifact),
            self.packaging.as_ref(),
            self.classifier.as_ref(),
        ];
        let parts: Vec<&str> = parts
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        formatter.write_str(&parts.join(":"))
    }
}

impl FromStr for MavenPackageId {
    type Err = NotAMavenPackageId;

    fn from_str(text: &str) -> Result<Self, NotAMavenPackageId> {
        let mut parts = text.split(':').map(str::trim);
        let mut optional = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        let (group, artifact) = (optional().unwrap_or_default(), optional());
        let artifact = artifact
            .filter(|_| text.len() <= LONGEST_ID)
            .ok_or_else(|| NotAMavenPackageId(text.chars().take(80).collect()))?;
        Ok(Self {
            group,
            artifact,
            packaging: optional(),
            classifier: optional(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Format;

    #[test]
    fn an_id_leads_to_its_files() {
        let id: MavenPackageId = "org.acme:demo:jar:sources".parse().unwrap();
        let version = Version::parse(Format::Maven, "1.0-SNAPSHOT").unwrap();
        assert_eq!(id.metadata_path(), "/org/acme/demo/maven-metadata.xml");
        assert_eq!(
            id.version_metadata_path(&version),
            "/org/acme/demo/1.0-SNAPSHOT/maven-metadata.xml"
        );
        assert_eq!(
            id.pom_path(&version),
            "/org/acme/demo/1.0-SNAPSHOT/demo-1.0-SNAPSHOT.pom"
        );
        assert_eq!(
            id.artifact_path(&version),
            "/org/acme/demo/1.0-SNAPSHOT/demo-1.0-SNAPSHOT-sources.jar"
        );
        assert_eq!(id.to_string(), "org.acme:demo:jar:sources");
    }

    proptest! {
        #[test]
        fn a_printed_id_reads_the_same(text in "[a-z.]{1,8}(:[a-z ]{0,3}){0,4}") {
            if let Ok(id) = text.parse::<MavenPackageId>() && (id.packaging.is_some() || id.classifier.is_none()) {
                prop_assert_eq!(id.to_string().parse::<MavenPackageId>().unwrap(), id);
            }
        }
    }
}
