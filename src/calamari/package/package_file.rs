//! A package by its file: id and version from the name or the manifest, format from the ending (10.1, 10.2).

use crate::failure::Failure;
use crate::package::manifest;
use std::path::{Path, PathBuf};
use versioning::PackageFileName;

/// How a package is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// `.zip`, `.whl`, `.jar`, `.war`, `.ear`, `.rar`
    Zip,
    /// `.nupkg`: a zip, without what describes it
    Nupkg,
    /// `.tar`
    Tar,
    /// `.tar.gz`, `.tgz`, `.tar.Z`
    TarGz,
    /// `.tar.bz2`, `.tar.bz`, `.tbz`, `.tbz2`
    TarBz2,
    /// `.tar.xz`
    TarXz,
    /// `.tar.zst`
    TarZst,
}

/// A package on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Which package.
    pub id: String,
    /// Which version, as written.
    pub version: String,
    /// How it is packed.
    pub archive: Archive,
}

/// What a name ends with, without case, and how the package is packed then; the first that fits counts.
pub const ENDINGS: [(&str, Archive); 17] = [
    (".nupkg", Archive::Nupkg),
    (".tar.gz", Archive::TarGz),
    (".tgz", Archive::TarGz),
    (".tar.z", Archive::TarGz),
    (".tar.bz2", Archive::TarBz2),
    (".tar.bz", Archive::TarBz2),
    (".tbz", Archive::TarBz2),
    (".tbz2", Archive::TarBz2),
    (".tar.xz", Archive::TarXz),
    (".tar.zst", Archive::TarZst),
    (".zip", Archive::Zip),
    (".whl", Archive::Zip),
    (".tar", Archive::Tar),
    (".jar", Archive::Zip),
    (".war", Archive::Zip),
    (".ear", Archive::Zip),
    (".rar", Archive::Zip),
];

impl PackageFile {
    /// Reads what the file is. It must exist.
    ///
    /// # Errors
    /// A name that does not say which package it is, or an ending that no reader is known for.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let text = path.to_string_lossy();
        let lower = text.to_ascii_lowercase();
        let archive =
            ENDINGS.iter().find(|(ending, _)| lower.ends_with(ending)).map(|(_, archive)| *archive).ok_or_else(|| {
                Failure::unexpected(format!(
                    "The package {text} has an ending that no reader is known for; pack it as .zip, .nupkg, .tar, .tar.gz, \
                     .tgz, .tar.bz2, .tar.xz or .tar.zst"
                ))
            })?;
        if archive == Archive::Nupkg {
            let (id, version) = manifest::read(path)?.ok_or_else(|| {
                Failure::unexpected(format!(
                    "The package {text} has no readable .nuspec at its top, which would say which package it is; pack it again"
                ))
            })?;
            return Ok(Self {
                path: path.to_owned(),
                id,
                version,
                archive,
            });
        }
        let name = PackageFileName::parse(&text).map_err(|error| Failure::unexpected(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            id: name.package_id,
            version: name.version.to_string(),
            archive,
        })
    }
}
