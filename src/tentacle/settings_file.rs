//! The settings file of an instance (`observed.md` 10.13): XML that the original agent reads and writes, too.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::durable_file;
use crate::failure::Failure;

const BYTE_ORDER_MARK: char = '\u{feff}';
const HEAD: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
    <octopus-settings xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
    xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n";
const TAIL: &str = "</octopus-settings>";
/// A settings file holds a certificate and a handful of lines.
const LARGEST: u64 = 4 << 20;

/// Keys and values; keys are compared without case and keep their spelling, unknown ones stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsFile {
    path: PathBuf,
    entries: Vec<(String, Option<String>)>,
}

impl SettingsFile {
    /// A file without settings, not written yet.
    pub fn empty(path: &Path) -> SettingsFile {
        SettingsFile {
            path: path.to_owned(),
            entries: Vec::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no settings file.
    pub fn load(path: &Path) -> Result<SettingsFile, Failure> {
        let failed = |error: &std::io::Error| Failure::of_file("read the settings file", path, error);
        let size = fs::metadata(path).map_err(|error| failed(&error))?.len();
        if size > LARGEST {
            return Err(broken(path, "it is too large to be a settings file"));
        }
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        let entries = parse(&text).map_err(|reason| broken(path, &reason))?;
        Ok(SettingsFile {
            path: path.to_owned(),
            entries,
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a key; a null is no value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(key))
            .and_then(|(_, value)| value.as_deref())
    }

    /// Sets a key, or its value to null.
    pub fn set(&mut self, key: &str, value: Option<String>) {
        match self
            .entries
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(key))
        {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    /// Writes the file, whole and synced.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self) -> Result<(), Failure> {
        durable_file::write(&self.path, self.text().as_bytes())
            .map_err(|error| Failure::of_file("write the settings file", &self.path, &error))
    }

    /// The text of the file.
    fn text(&self) -> String {
        let mut sorted: Vec<_> = self.entries.iter().collect();
        sorted.sort_by(|left, right| left.0.cmp(&right.0));
        let mut text = HEAD.to_owned();
        for (key, value) in sorted {
            let key = escape(key).replace('"', "&quot;");
            match value.as_deref() {
                Some(value) if !value.is_empty() => {
                    writeln!(text, "  <set key=\"{key}\">{}</set>", escape(value))
                }
                Some(_) => writeln!(text, "  <set key=\"{key}\"></set>"),
                None => writeln!(text, "  <set key=\"{key}\" />"),
            }
            .expect("writing to a string cannot fail");
        }
        text + TAIL
    }
}

fn escape(text: &str) -> String {
    let allowed = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    let text: String = text.chars().filter(allowed).collect();
    quick_xml::escape::partial_escape(text.as_str()).replace('\r', "&#xD;")
}

fn broken(path: &Path, reason: &str) -> Failure {
    Failure::controlled(format!(
        "The settings file '{}' cannot be read: {reason}. Mend it, or delete it and run create-instance.",
        path.display()
    ))
}

fn parse(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut reader = Reader::from_str(text.trim_start_matches(BYTE_ORDER_MARK));
    let mut entries: Vec<(String, Option<String>)> = Vec::new();
    let mut current: Option<(String, String)> = None;
    let mut depth = 0_u32;
    let mut has_root = false;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => {
                depth += 1;
                match depth {
                    1 => has_root = is_root(&element)?,
                    2 => current = Some((key_of(&element)?, String::new())),
                    _ => return Err("an element stands inside a setting".to_owned()),
                }
            }
            Event::Empty(element) => match depth {
                0 => has_root = is_root(&element)?,
                1 => entries.push((key_of(&element)?, None)),
                _ => return Err("an element stands inside a setting".to_owned()),
            },
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if let Some((key, value)) = current.take() {
                    entries.push((key, Some(value)));
                }
            }
            Event::Text(text) => append(&mut current, &text.xml10_content()),
            Event::CData(text) => append(&mut current, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let whole = format!("&{};", &*reference);
                let meant = quick_xml::escape::unescape(&whole).map_err(|error| error.to_string())?;
                append(&mut current, &meant);
            }
            Event::DocType(_) => return Err("it has a document type".to_owned()),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    if !has_root || depth != 0 {
        return Err("it does not hold one octopus-settings element".to_owned());
    }
    Ok(entries)
}

fn append(current: &mut Option<(String, String)>, text: &str) {
    if let Some((_, value)) = current {
        value.push_str(text);
    }
}

fn is_root(element: &BytesStart<'_>) -> Result<bool, String> {
    if element.name().as_ref() == "octopus-settings" {
        return Ok(true);
    }
    Err("its first element is not octopus-settings".to_owned())
}

fn key_of(element: &BytesStart<'_>) -> Result<String, String> {
    let attribute = element
        .try_get_attribute("key")
        .map_err(|error| error.to_string())?
        .filter(|_| element.name().as_ref() == "set")
        .ok_or("it has an element that is not a setting with a key")?;
    quick_xml::escape::unescape(&attribute.value)
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORDED: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<octopus-settings xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n  <set key=\"Octopus.Home\">/etc/octopus</set>\n  <set key=\"Octopus.Proxy.ProxyHost\" />\n  <set key=\"Tentacle.Services.PortNumber\">13</set>\n</octopus-settings>";

    #[test]
    fn the_original_text_is_read_and_written_alike() {
        let mut file = SettingsFile {
            path: PathBuf::new(),
            entries: parse(RECORDED).unwrap(),
        };
        assert_eq!(file.get("octopus.home"), Some("/etc/octopus"));
        assert_eq!(file.get("Octopus.Proxy.ProxyHost"), None);
        assert_eq!(file.text(), RECORDED);
        file.set("TENTACLE.services.portnumber", Some("14".to_owned()));
        assert!(
            file.text()
                .contains("<set key=\"Tentacle.Services.PortNumber\">14</set>")
        );
    }

    #[test]
    fn the_bare_file_of_a_moved_instance_is_read() {
        assert_eq!(
            parse("<?xml version='1.0' encoding='UTF-8' ?><octopus-settings></octopus-settings>"),
            Ok(Vec::new())
        );
    }

    #[test]
    fn what_is_no_settings_file_is_refused() {
        for text in [
            "",
            "<broken",
            "<other/>",
            "<octopus-settings><set>1</set></octopus-settings>",
            "<!DOCTYPE x [<!ENTITY e 'v'>]><octopus-settings/>",
            "<octopus-settings><set key='a'><b/></set></octopus-settings>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back(key in "[A-Za-z.&<\"']{1,20}", value in "[ -~äöü\\r\\n\\t]{1,60}") {
            let mut file = SettingsFile::empty(Path::new("x"));
            file.set(&key, Some(value.clone()));
            prop_assert_eq!(parse(&file.text()).unwrap(), vec![(key, Some(value))]);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[<>/a-z \"'=&;!-]{0,80}") {
            parse(&text).ok();
        }
    }
}
