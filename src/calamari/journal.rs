//! What was deployed on this machine: an XML file that the agent's scripts and retention read (8).

use crate::calendar;
use crate::failure::Failure;
use crate::log::Log;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The journal of one agent.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

/// One deployment of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Which entry; empty for one without an id, and then a new one is made when it is written.
    pub id: String,
    /// Which environment.
    pub environment_id: String,
    /// Which tenant, or empty.
    pub tenant_id: String,
    /// Which project.
    pub project_id: String,
    /// `yyyy-MM-dd HH:mm:ss` in UTC.
    pub installed_on: String,
    /// Deployments that retention counts together.
    pub retention_policy_set: String,
    /// The folder of the application.
    pub extracted_to: String,
    /// The folder that it was copied to, or the same.
    pub custom_installation_directory: String,
    /// Whether it succeeded.
    pub was_successful: bool,
    /// The packages in it.
    pub packages: Vec<Package>,
}

/// A package of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// Which package.
    pub id: String,
    /// Which version.
    pub version: String,
    /// Where its file lay, or empty.
    pub deployed_from: String,
}

/// The file, read.
struct Parsed {
    entries: Vec<Entry>,
    /// Where each entry stands in the text of the root element.
    places: Vec<Range<usize>>,
    /// The text of the root element.
    root: String,
    /// How long its end tag is.
    end_tag: usize,
}

impl Default for Parsed {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            places: Vec::new(),
            root: format!("<Deployments>\n{ROOT_END}"),
            end_tag: ROOT_END.len(),
        }
    }
}

const HEADER: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
const ROOT_END: &str = "</Deployments>";

impl Journal {
    /// The journal in this file, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// All entries, the oldest first. A damaged journal is set aside, with a warning, and a new one begins.
    ///
    /// # Errors
    /// The file exists and cannot be read or set aside.
    pub fn entries(&self, log: &Log) -> Result<Vec<Entry>, Failure> {
        let _lock = self.lock()?;
        Ok(self.read(log)?.entries)
    }

    /// Removes the entries with these ids, and writes the journal anew, also when there is none yet.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn remove(&self, ids: &HashSet<String>, log: &Log) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let Parsed {
            entries,
            places,
            root,
            end_tag: _,
        } = self.read(log)?;
        let mut text = String::with_capacity(root.len());
        let mut position = 0;
        for (_, place) in entries
            .iter()
            .zip(places)
            .filter(|(entry, _)| ids.contains(&entry.id))
        {
            text.push_str(root[position..place.start].trim_end());
            position = place.end;
        }
        text.push_str(&root[position..]);
        self.write(&text)
    }

    /// Appends an entry: into a new file, synced, then renamed.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn append(&self, entry: &Entry, log: &Log) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let Parsed { root, end_tag, .. } = self.read(log)?;
        let entry = entry.to_xml();
        log.verbose(&format!("Adding journal entry:\n{entry}"));
        let before = root[..root.len() - end_tag].trim_end();
        let indented = entry.replace('\n', "\n  ");
        self.write(&format!("{before}\n  {indented}\n{ROOT_END}"))
    }

    /// A new file with this root element, synced, then renamed.
    fn write(&self, root: &str) -> Result<(), Failure> {
        let written = format!("{HEADER}{root}");
        let temporary = self
            .path
            .with_extension(format!("xml.temp-{}.xml", uuid::Uuid::new_v4()));
        let write = || -> std::io::Result<()> {
            let mut file = File::create_new(&temporary)?;
            file.write_all(written.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.path)?;
            File::open(self.folder())?.sync_all()
        };
        write().map_err(|error| {
            std::fs::remove_file(&temporary).ok();
            Failure::at(&self.path, "write the deployment journal", &error)
        })
    }

    fn folder(&self) -> &Path {
        self.path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    /// Held until dropped; the kernel lets go of it when the process dies.
    fn lock(&self) -> Result<File, Failure> {
        let failed = |error: std::io::Error| Failure::at(&self.path, "lock the deployment journal", &error);
        std::fs::create_dir_all(self.folder()).map_err(failed)?;
        // The folder itself is what is locked: a lock file beside the journal would be one more thing to keep.
        let file = File::open(self.folder()).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// What the file holds; nothing when there is none.
    fn read(&self, log: &Log) -> Result<Parsed, Failure> {
        let empty = Parsed::default;
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(empty()),
            Err(error) => return Err(Failure::at(&self.path, "read the deployment journal", &error)),
        };
        if bytes.is_empty() {
            return Ok(empty());
        }
        let parsed = std::str::from_utf8(&bytes)
            .map_err(|error| error.to_string())
            .and_then(parse);
        match parsed {
            Ok(found) => Ok(found),
            Err(reason) => {
                let aside = self
                    .path
                    .with_extension(format!("damaged-{}.xml", uuid::Uuid::new_v4()));
                std::fs::rename(&self.path, &aside).map_err(|error| {
                    Failure::at(&self.path, "set aside the damaged deployment journal", &error)
                })?;
                log.warning(&format!(
                    "The deployment journal {} could not be read ({reason}); it is kept as {} and a new one begins",
                    self.path.display(),
                    aside.display()
                ));
                Ok(empty())
            }
        }
    }
}

impl Entry {
    /// The date and time of now, as an entry has it.
    pub fn stamp(seconds: i64) -> String {
        calendar::format(seconds)
    }

    fn to_xml(&self) -> String {
        let id = match self.id.as_str() {
            "" => uuid::Uuid::new_v4().to_string(),
            id => id.to_owned(),
        };
        let attributes: String = [
            ("Id", id),
            ("EnvironmentId", self.environment_id.clone()),
            ("TenantId", self.tenant_id.clone()),
            ("ProjectId", self.project_id.clone()),
            ("InstalledOn", self.installed_on.clone()),
            ("RetentionPolicySet", self.retention_policy_set.clone()),
            ("ExtractedTo", self.extracted_to.clone()),
            (
                "CustomInstallationDirectory",
                self.custom_installation_directory.clone(),
            ),
            (
                "WasSuccessful",
                if self.was_successful { "True" } else { "False" }.to_owned(),
            ),
        ]
        .iter()
        .map(|(name, value)| format!(" {name}=\"{}\"", escape(value)))
        .collect();
        let mut text = format!("<Deployment{attributes}>\n");
        for package in &self.packages {
            let from = if package.deployed_from.is_empty() {
                String::new()
            } else {
                format!(" DeployedFrom=\"{}\"", escape(&package.deployed_from))
            };
            let (id, version) = (escape(&package.id), escape(&package.version));
            text.push_str(&format!(
                "  <Package PackageId=\"{id}\" PackageVersion=\"{version}\"{from} />\n"
            ));
        }
        text.push_str("</Deployment>");
        text
    }
}

fn parse(text: &str) -> Result<Parsed, String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut depth = 0;
    // Where it begins, where its end tag begins, where it ends.
    let mut root: Option<(usize, usize, usize)> = None;
    loop {
        let position =
            |reader: &Reader<&[u8]>| usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let before = position(&reader);
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let (element, closed) = match &event {
            Event::Start(element) => (element, false),
            Event::Empty(element) => (element, true),
            Event::End(_) => {
                depth -= 1;
                if depth == 0 {
                    root = root.map(|(start, ..)| (start, before, position(&reader)));
                }
                if depth == 1
                    && let Some(place) = places.last_mut().filter(|place| place.end == 0)
                {
                    place.end = position(&reader);
                }
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        match depth {
            0 if root.is_some() => return Err("it has two roots".to_owned()),
            0 if element.name().as_ref() == "Deployments" => root = Some((before, 0, 0)),
            0 => return Err("its root is not Deployments".to_owned()),
            1 if element.name().as_ref() == "Deployment" => {
                entries.push(entry(element)?);
                places.push(before..if closed { position(&reader) } else { 0 });
            }
            2 if element.name().as_ref() == "Package" => {
                if let Some(entry) = entries.last_mut() {
                    entry.packages.push(package(element)?);
                }
            }
            _ => {}
        }
        if closed && depth == 0 {
            return Ok(Parsed::default());
        }
        if !closed {
            depth += 1;
        }
    }
    match root {
        Some((start, end_tag, end)) if depth == 0 && end > start => Ok(Parsed {
            entries,
            places: places
                .into_iter()
                .map(|place| place.start - start..place.end - start)
                .collect(),
            root: text[start..end].to_owned(),
            end_tag: end - end_tag,
        }),
        _ => Err("it is cut off".to_owned()),
    }
}

fn entry(element: &BytesStart<'_>) -> Result<Entry, String> {
    let mut entry = Entry {
        was_successful: true,
        ..Entry::default()
    };
    let mut older = Package::default();
    for (name, value) in attributes(element)? {
        match name.as_str() {
            "Id" => entry.id = value,
            "EnvironmentId" => entry.environment_id = value,
            "TenantId" => entry.tenant_id = value,
            "ProjectId" => entry.project_id = value,
            // The time may be written with dots.
            "InstalledOn" => entry.installed_on = value.replace('.', ":"),
            "RetentionPolicySet" => entry.retention_policy_set = value,
            "ExtractedTo" => entry.extracted_to = value,
            "CustomInstallationDirectory" => entry.custom_installation_directory = value,
            "WasSuccessful" => entry.was_successful = !value.eq_ignore_ascii_case("false"),
            "PackageId" => older.id = value,
            "PackageVersion" => older.version = value,
            "ExtractedFrom" => older.deployed_from = value,
            _ => {}
        }
    }
    if !older.id.is_empty() {
        entry.packages.push(older);
    }
    Ok(entry)
}

fn package(element: &BytesStart<'_>) -> Result<Package, String> {
    let mut package = Package::default();
    for (name, value) in attributes(element)? {
        match name.as_str() {
            "PackageId" => package.id = value,
            "PackageVersion" => package.version = value,
            "DeployedFrom" => package.deployed_from = value,
            _ => {}
        }
    }
    Ok(package)
}

fn attributes(element: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    element
        .attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.as_ref().to_owned();
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_err(|error| error.to_string())?
                .into_owned();
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        Log::new(std::io::sink(), std::io::sink())
    }

    #[test]
    fn entries_are_appended_and_read_again_and_unknown_ones_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("DeploymentJournal.xml");
        std::fs::write(&path, "<Deployments>\n  <Future x='1'/>\n  <Deployment PackageId='Old' PackageVersion='1' InstalledOn='2020-01-02 03.04.05'/>\n</Deployments>").expect("written");
        let journal = Journal::at(&path);
        let entry = Entry {
            environment_id: "Environments-1".to_owned(),
            installed_on: Entry::stamp(0),
            retention_policy_set: "a/<default>".to_owned(),
            extracted_to: "/apps/\"x\"".to_owned(),
            was_successful: false,
            packages: vec![Package {
                id: "A&B".to_owned(),
                version: "1.0".to_owned(),
                deployed_from: String::new(),
            }],
            ..Entry::default()
        };
        journal.append(&entry, &log()).expect("appended");
        journal.append(&entry, &log()).expect("appended");
        let entries = journal.entries(&log()).expect("read");
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0].installed_on, "2020-01-02 03:04:05");
        assert!(entries[0].was_successful);
        assert!(!entries[2].id.is_empty());
        let known = Entry {
            id: entries[2].id.clone(),
            ..entry
        };
        assert_eq!(entries[2], known);
        assert!(
            std::fs::read_to_string(&path)
                .expect("text")
                .contains("<Future x='1'/>")
        );
    }

    #[test]
    fn entries_are_removed_and_everything_else_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.xml");
        let journal = Journal::at(&path);
        journal.remove(&HashSet::new(), &log()).expect("made");
        assert_eq!(journal.entries(&log()).expect("read"), []);
        let text = "<Deployments>\n  <Deployment Id='a'><Package PackageId='p'/></Deployment>\n  <Other/>\n  <Deployment Id='b'/>\n  <Deployment InstalledOn=''/>\n</Deployments>";
        std::fs::write(&path, text).expect("written");
        let gone = ["a", "b"].map(str::to_owned).into();
        journal.remove(&gone, &log()).expect("removed");
        let left = std::fs::read_to_string(&path).expect("text");
        assert_eq!(
            left,
            format!("{HEADER}<Deployments>\n  <Other/>\n  <Deployment InstalledOn=''/>\n</Deployments>")
        );
    }

    #[test]
    fn the_end_tag_may_be_written_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.xml");
        std::fs::write(&path, "<Deployments><Deployment Id='a' /></Deployments\n>\n").expect("written");
        let journal = Journal::at(&path);
        journal.append(&Entry::default(), &log()).expect("appended");
        assert_eq!(journal.entries(&log()).expect("read").len(), 2);
    }

    #[test]
    fn a_journal_with_two_roots_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.xml");
        let text = "<Deployments><Deployment Id='a' /></Deployments><Deployments><Deployment Id='b' /></Deployments>";
        std::fs::write(&path, text).expect("written");
        let journal = Journal::at(&path);
        assert_eq!(journal.entries(&log()).expect("read"), []);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        assert!(!path.exists());
    }

    #[test]
    fn a_damaged_journal_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.xml");
        std::fs::write(&path, "<Deployments><Deployment").expect("written");
        let journal = Journal::at(&path);
        assert_eq!(journal.entries(&log()).expect("read"), []);
        journal.append(&Entry::default(), &log()).expect("appended");
        let kept = std::fs::read_dir(folder.path())
            .expect("a folder")
            .filter(|file| {
                file.as_ref()
                    .is_ok_and(|file| file.file_name().to_string_lossy().contains("damaged"))
            })
            .count();
        assert_eq!(kept, 1);
    }
}
