//! The `.nuspec` inside a NuGet package: it says which package it is (10.1).

use crate::failure::Failure;
use crate::package::zip_archive;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::fs::File;
use std::path::Path;

/// Larger manifests are not read.
const LARGEST: u64 = 4 << 20;

/// Id and version of the manifest at the top of the package; none when there is no readable one.
///
/// # Errors
/// The package cannot be opened or is damaged.
pub fn read(package: &Path) -> Result<Option<(String, String)>, Failure> {
    let failed = |error: crate::package::ArchiveError| {
        Failure::unexpected(format!(
            "Could not read the package {}: {error}",
            package.display()
        ))
    };
    let file = File::open(package).map_err(|error| Failure::at(package, "open the package", &error))?;
    let length = file
        .metadata()
        .map_err(|error| Failure::at(package, "open the package", &error))?
        .len();
    let wanted = |name: &str| !name.contains('/') && name.to_ascii_lowercase().ends_with(".nuspec");
    let text = zip_archive::read_first(&file, length, wanted, LARGEST).map_err(failed)?;
    Ok(text.and_then(|text| id_and_version(&String::from_utf8_lossy(&text))))
}

fn id_and_version(text: &str) -> Option<(String, String)> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut path: Vec<String> = Vec::new();
    let (mut id, mut version) = (None, None);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => path.push(element.local_name().as_ref().to_ascii_lowercase()),
            Event::End(_) => {
                path.pop();
            }
            Event::Text(content) => {
                let place: Vec<&str> = path.iter().map(String::as_str).collect();
                let content = content.trim().to_owned();
                match place.as_slice() {
                    ["package", "metadata", "id"] => id = Some(content),
                    ["package", "metadata", "version"] => version = Some(content),
                    _ => {}
                }
            }
            Event::Eof => {
                return id
                    .zip(version)
                    .filter(|(id, version)| !id.is_empty() && !version.is_empty());
            }
            _ => {}
        }
    }
}
