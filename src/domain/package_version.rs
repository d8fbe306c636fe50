//! What a package file is called and how versions of packages are compared (`rest-api.md` 3.4, `deployments.md` 5.1).

use std::cmp::Ordering;

use versioning::{Format, PackageFileName, Version, VersionRange};

use crate::Problems;

/// Which version of which package a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageIdentity {
    /// The package.
    pub package_id: String,
    /// The version as it is written.
    pub version: String,
    /// With its dot: `.zip`, `.tar.gz`.
    pub extension: String,
}

/// Extensions of files that the built-in feed takes.
const EXTENSIONS: &[&str] = &[
    ".nupkg", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".jar", ".war", ".ear", ".rar",
];

/// Reads the name of an uploaded file.
///
/// # Errors
/// A name with a path in it, without id and version, or with an extension that is no package's.
pub fn identify(file_name: &str) -> Result<PackageIdentity, Problems> {
    let shown: String = file_name
        .chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect();
    if file_name.contains(['/', '\\']) || file_name.contains("..") || file_name.chars().any(char::is_control)
    {
        return Err(Problems::one(format!(
            "The file name '{shown}' holds a path or a character that no package name may hold; nothing was stored. Send \
             the plain name, for example Acme.Web.1.2.3.zip."
        )));
    }
    let parsed = PackageFileName::parse(file_name).map_err(|error| Problems::one(error.to_string()))?;
    if parsed.version.format() != Format::Semver {
        return Err(Problems::one(format!(
            "The version of the file '{shown}' is not of a form that the built-in feed takes. Use one such as 1.2.3 or \
             1.2.3-beta."
        )));
    }
    let identity = PackageIdentity {
        package_id: parsed.package_id,
        version: parsed.version.to_string(),
        extension: parsed.extension,
    };
    check(&identity)?;
    Ok(identity)
}

/// Passes an identity that the built-in feed can keep: of a file name or of a manifest.
///
/// # Errors
/// An id with other characters than letters, digits, `.`, `_` and `-`, a version that is none, or an unknown extension.
pub fn check(identity: &PackageIdentity) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let PackageIdentity {
        package_id,
        version,
        extension,
    } = identity;
    let plain = |character: char| character.is_alphanumeric() || matches!(character, '.' | '_' | '-');
    let sound = !package_id.is_empty()
        && package_id.len() <= 150
        && package_id.chars().all(plain)
        && !package_id.starts_with('.')
        && !package_id.contains("..");
    if !sound {
        let shown: String = package_id
            .chars()
            .filter(|character| !character.is_control())
            .take(150)
            .collect();
        problems.add(format!(
            "'{shown}' cannot be the id of a package; nothing was stored. Use letters, digits, '.', '_' and '-', up to 150 \
             of them, such as Acme.Web."
        ));
    }
    if let Err(error) = Version::parse(Format::Semver, version) {
        problems.add(error.to_string());
    }
    if !EXTENSIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
    {
        problems.add(format!(
            "The built-in feed does not take files ending in '{extension}'. Pack as one of: {}.",
            EXTENSIONS.join(", ")
        ));
    }
    problems.or(())
}

/// The one text of all versions that are equal: `1.0` and `1.0.0` are, and case does not count.
#[must_use]
pub fn key(version: &str) -> String {
    Version::parse(Format::Semver, version)
        .map_or_else(|_| version.to_string(), |version| version.normalized())
        .to_lowercase()
}

/// Orders two versions; what is no version comes before all that are.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    let parse = |text| Version::parse(Format::Semver, text).ok();
    parse(one).cmp(&parse(other)).then_with(|| one.cmp(other))
}

/// Whether a version comes before the release of its numbers.
#[must_use]
pub fn is_prerelease(version: &str) -> bool {
    Version::parse(Format::Semver, version).is_ok_and(|version| version.is_prerelease())
}

/// The part between numbers and metadata: `beta.1` of `1.0.0-beta.1+build`.
#[must_use]
pub fn prerelease(version: &str) -> String {
    Version::parse(Format::Semver, version)
        .map_or_else(|_| String::new(), |version| version.release().to_string())
}

/// Whether a version is in a range such as `[1.0,2.0)`; an empty range lets all through.
///
/// # Errors
/// A range that does not parse.
pub fn is_in_range(version: &str, range: &str) -> Result<bool, Problems> {
    if range.trim().is_empty() {
        return Ok(true);
    }
    let range: VersionRange = range.parse().map_err(|error| Problems::one(format!("{error}")))?;
    Ok(Version::parse(Format::Semver, version).is_ok_and(|version| range.contains(&version)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_name_tells_package_and_version() {
        let identity = identify("Acme.Web.1.2.3-beta.tar.gz").unwrap();
        assert_eq!(
            (identity.package_id.as_str(), identity.version.as_str()),
            ("Acme.Web", "1.2.3-beta")
        );
        assert_eq!(identity.extension, ".tar.gz");
        assert_eq!(
            identify("swagger-ui-dist.5.0.0.tgz").unwrap().package_id,
            "swagger-ui-dist"
        );
    }

    #[test]
    fn a_name_with_a_path_is_refused() {
        for name in [
            "../x.1.0.0.zip",
            "..\\..\\x.1.0.0.zip",
            "a/b.1.0.0.zip",
            "a\0.1.0.zip",
            "x..1.0.0.zip",
            "x.1.0.0.exe",
        ] {
            assert!(identify(name).is_err(), "{name:?}");
        }
        for id in ["../x", "a/b", "..\\x", "", ".x", "a..b", "a b"] {
            let identity = PackageIdentity {
                package_id: id.into(),
                version: "1.0".into(),
                extension: ".nupkg".into(),
            };
            assert!(check(&identity).is_err(), "{id:?}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let mut versions = vec!["1.10.0", "1.9.0", "2.0.0-beta", "2.0.0", "1.0"];
        versions.sort_by(|one, other| compare(one, other));
        assert_eq!(versions, ["1.0", "1.9.0", "1.10.0", "2.0.0-beta", "2.0.0"]);
        assert_eq!(key("1.0"), key("1.0.0"));
        assert!(is_prerelease("1.0-beta") && !is_prerelease("1.0"));
        assert_eq!(is_in_range("1.5", "[1.0,2.0)"), Ok(true));
        assert!(is_in_range("1.5", "[2,1]").is_err());
    }

    proptest! {
        #[test]
        fn any_file_name_is_read_or_refused(name in ".{0,80}") {
            if let Ok(identity) = identify(&name) {
                prop_assert!(!identity.package_id.contains(['/', '\\']));
            }
        }
    }
}
