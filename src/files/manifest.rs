//! The manifest inside a `.nupkg`: it names id and version better than the file name does (`calamari.md` 10.1).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::{Error, Result};

/// The most that is read of a manifest, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The package id.
    pub id: String,
    /// The version.
    pub version: String,
}

/// Reads the `.nuspec` at the top of a package.
///
/// # Errors
/// [`Error::Package`] when the archive is damaged or holds no manifest with id and version.
pub async fn read(package: &Path) -> Result<Manifest> {
    let path = package.to_owned();
    let wrong = |reason: String| Error::Package {
        name: package
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        reason,
    };
    let text = tokio::task::spawn_blocking(move || nuspec(&path))
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(wrong)?;
    parse(&text).ok_or_else(|| wrong("its manifest (.nuspec) does not tell id and version".into()))
}

fn nuspec(path: &Path) -> std::result::Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut archive =
        zip::ZipArchive::new(file).map_err(|error| format!("it is not a whole zip archive ({error})"))?;
    let name = archive
        .file_names()
        .filter_map(|name| name.ok().map(std::borrow::Cow::into_owned))
        .find(|name| name.to_ascii_lowercase().ends_with(".nuspec") && !name.contains(['/', '\\']))
        .ok_or("it holds no manifest (.nuspec) at its top")?;
    let entry = archive.by_name(&name).map_err(|error| error.to_string())?;
    let mut text = String::new();
    entry
        .take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| format!("its manifest is not text ({error})"))?;
    Ok(text)
}

/// Finds `package/metadata/id` and `…/version`, whatever the name space.
fn parse(text: &str) -> Option<Manifest> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut path, mut id, mut version) = (Vec::<String>::new(), None, None);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_ascii_lowercase());
                if path.len() > 64 {
                    return None;
                }
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(value) => {
                let value = value.trim().to_owned();
                match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                    ["package", "metadata", "id"] => id = Some(value),
                    ["package", "metadata", "version"] => version = Some(value),
                    _ => {}
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Some(Manifest {
        id: id.filter(|id| !id.is_empty())?,
        version: version.filter(|version| !version.is_empty())?,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const NUSPEC: &str = "\u{feff}<?xml version=\"1.0\"?><package xmlns=\"http://schemas.microsoft.com/packaging/2010/07/nuspec.xsd\">\
        <metadata><id>Acme.Web</id><version>1.2.3-beta</version><dependencies><id>Other</id></dependencies></metadata></package>";

    #[tokio::test]
    async fn the_manifest_names_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any.nupkg");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        archive
            .start_file("Acme.Web.nuspec", zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(NUSPEC.as_bytes()).unwrap();
        archive.finish().unwrap();
        let manifest = read(&path).await.unwrap();
        assert_eq!(
            (manifest.id.as_str(), manifest.version.as_str()),
            ("Acme.Web", "1.2.3-beta")
        );
    }

    #[tokio::test]
    async fn a_truncated_package_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.nupkg");
        std::fs::write(&path, b"PK\x03\x04half").unwrap();
        let error = read(&path).await.unwrap_err().to_string();
        assert!(
            error.contains("cut.nupkg") && error.contains("Pack it again"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[<>/a-z=\"&; ]{0,200}") {
            prop_assert!(parse(&text).is_none_or(|manifest| !manifest.id.is_empty()));
        }
    }
}
