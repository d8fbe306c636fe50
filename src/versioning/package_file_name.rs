//! Names of package files (`calamari.md` 10.1, `observed.md` 8).

use std::fmt::Write;

use crate::{Format, Version};

/// The longest file name that is taken, in bytes.
const LONGEST_NAME: usize = 1024;

/// The extensions of packages that can be unpacked (`calamari.md` 10.2).
pub const KNOWN_EXTENSIONS: &[&str] = &[
    ".nupkg", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.Z", ".tar.bz2", ".tar.bz", ".tbz", ".tbz2", ".tar.xz",
    ".tar.zst", ".whl", ".jar", ".war", ".ear", ".rar",
];

/// A file name that does not say which package and version it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Unexpected file format in {0}. Name the file <PackageId>.<Version>.<Extension>, for example \
     Acme.Web.1.2.3.zip, or as a package cache does: <PackageId>@<Version>@<CacheBuster>.<Extension>."
)]
pub struct NotAPackageName(String);

/// What a file name says of the package in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFileName {
    /// Which package.
    pub package_id: String,
    /// Which version.
    pub version: Version,
    /// With its dot, for example `.tar.gz`.
    pub extension: String,
}

impl PackageFileName {
    /// Reads a file name; folders before it do not count.
    ///
    /// # Errors
    /// When neither form fits.
    pub fn parse(path: &str) -> Result<Self, NotAPackageName> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let found = if name.len() > LONGEST_NAME {
            None
        } else if name.contains('@') {
            cached(name)
        } else {
            plain(name)
        };
        found.ok_or_else(|| NotAPackageName(path.chars().take(200).collect()))
    }

    /// Whether the extension is that of a package. When it is not, the name was probably read in another way than
    /// it was meant (`Acme.2.Web.1.0.0.zip` is `Acme` 2, a `.Web.1.0.0.zip`).
    #[must_use]
    pub fn has_known_extension(&self) -> bool {
        KNOWN_EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&self.extension))
    }

    /// The name for a package cache. `random` is 32 upper-case hex digits.
    #[must_use]
    pub fn cache_name(&self, random: &str) -> String {
        format!("{}{random}{}", self.cache_prefix(), self.extension)
    }

    /// The pattern that finds this package and version in a cache, when it has the extension: `Acme@S1.0.0@*.zip`.
    #[must_use]
    pub fn search_pattern(&self, extension: &str) -> String {
        format!("{}*{extension}", self.cache_prefix())
    }

    /// What every cache name of this package and version begins with.
    #[must_use]
    pub fn cache_prefix(&self) -> String {
        let version = escape(&self.version.to_string());
        format!(
            "{}@{}{version}@",
            escape(&self.package_id),
            letter(self.version.format())
        )
    }
}

/// Makes a text a part of a file name: each of `% < > : " / \ | ? @` as `%hh`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '%' | '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '@' => {
                write!(escaped, "%{:02X}", u32::from(character)).expect("a String takes everything");
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Undoes [`escape`], and decodes any other `%hh`; what is no such thing stays.
#[must_use]
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |position: usize| {
        bytes
            .get(position)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while position < bytes.len() {
        match (bytes[position], digit(position + 1), digit(position + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two hex digits are a byte"));
                position += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                position += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn letter(format: Format) -> char {
    match format {
        Format::Semver => 'S',
        Format::Maven => 'M',
        Format::Octopus | Format::Docker => 'O',
        Format::Lexicographic => 'L',
    }
}

fn cached(name: &str) -> Option<PackageFileName> {
    let [id, version, tail] = name.split('@').collect::<Vec<_>>()[..] else {
        return None;
    };
    let format = match version.chars().next()? {
        'S' => Format::Semver,
        'M' => Format::Maven,
        'O' => Format::Octopus,
        'L' => Format::Lexicographic,
        _ => return None,
    };
    let version = Version::parse(format, unescape(&version[1..]).trim()).ok()?;
    let extension = tail.find('.').map_or("", |dot| &tail[dot..]);
    Some(PackageFileName {
        package_id: unescape(id),
        version,
        extension: extension.into(),
    })
}

fn plain(name: &str) -> Option<PackageFileName> {
    let (stem, tar) = match tar_extension(name) {
        Some(start) => (&name[..start], Some(&name[start..])),
        None => (name, None),
    };
    let (id, version) = split(stem, tar.is_none())?;
    Some(PackageFileName {
        package_id: stem[..id].into(),
        version: Version::parse(Format::Semver, &stem[id + 1..version]).ok()?,
        extension: tar.unwrap_or(&stem[version..]).into(),
    })
}

/// Where `.tar`, or `.tar` and one more word, begins at the end of a name.
fn tar_extension(name: &str) -> Option<usize> {
    let start = name.rfind(".tar")?;
    match name[start + 4..].strip_prefix('.') {
        None => (start + 4 == name.len()).then_some(start),
        Some(word) => (!word.is_empty() && word.chars().all(is_word)).then_some(start),
    }
}

/// Finds the end of the shortest id that lets the rest be a version and, when asked for, an extension;
/// gives the ends of id and version.
fn split(stem: &str, with_extension: bool) -> Option<(usize, usize)> {
    let bytes = stem.as_bytes();
    let extension_begins = extension_starts(stem, with_extension);
    let mut word_before = false;
    for (position, character) in stem.char_indices() {
        if character == '.' && word_before {
            let ends = number_ends(stem, position + 1);
            if let Some(end) = ends
                .iter()
                .rev()
                .find_map(|end| version_end(bytes, *end, &extension_begins))
            {
                return Some((position, end));
            }
        }
        match character {
            '.' | '-' if word_before => word_before = false,
            _ if is_word(character) => word_before = true,
            _ => return None,
        }
    }
    None
}

/// For each position whether the rest from there is one or more `.word`; without extensions whether it is the end.
fn extension_starts(stem: &str, with_extension: bool) -> Vec<bool> {
    let bytes = stem.as_bytes();
    let mut starts = vec![false; bytes.len() + 1];
    if !with_extension {
        starts[bytes.len()] = true;
        return starts;
    }
    let mut word_end_is_fine = true;
    let mut length = 0;
    for position in (0..bytes.len()).rev() {
        match bytes[position] {
            b'.' if length > 0 && word_end_is_fine => {
                starts[position] = true;
                length = 0;
            }
            byte if byte.is_ascii_alphanumeric() => length += 1,
            _ => word_end_is_fine = false,
        }
    }
    starts
}

/// Where one, two, three, four numbers from here on end.
fn number_ends(stem: &str, start: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut position = start;
    while ends.len() < 4 {
        let rest = &stem[position..];
        let length = rest
            .find(|character: char| !character.is_numeric())
            .unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        ends.push(position + length);
        if !stem[position + length..].starts_with('.') {
            break;
        }
        position += length + 1;
    }
    ends
}

/// Where a version ends whose numbers end at `numbers`: with the longest pre-release and metadata after which
/// an extension begins.
fn version_end(bytes: &[u8], numbers: usize, extension_begins: &[bool]) -> Option<usize> {
    let releases = label_ends(bytes, numbers, b'-');
    let after_release = releases.iter().rev().copied().chain([numbers]);
    after_release
        .flat_map(|release| {
            let metadata = label_ends(bytes, release, b'+');
            metadata.into_iter().rev().chain([release])
        })
        .find(|end| extension_begins[*end])
}

/// Where labels after a separator can end: before a dot, a plus, or at the end.
fn label_ends(bytes: &[u8], start: usize, separator: u8) -> Vec<usize> {
    let mut ends = Vec::new();
    if bytes.get(start) != Some(&separator) {
        return ends;
    }
    let mut length = 0;
    for position in start + 1..=bytes.len() {
        match bytes.get(position) {
            Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'-' => length += 1,
            other => {
                if length == 0 {
                    break;
                }
                ends.push(position);
                length = 0;
                if other != Some(&b'.') {
                    break;
                }
            }
        }
    }
    ends
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unknown_extension_betrays_a_name_that_is_read_otherwise_than_meant() {
        let known = |name: &str| PackageFileName::parse(name).unwrap().has_known_extension();
        assert!(known("Acme.1.0.0.TAR.GZ") && known("swagger-ui-dist.5.1.0.tgz"));
        assert!(!known("Acme.2.Web.1.0.0.zip") && !known("Acme.1.2.3.exe"));
    }

    proptest! {
        #[test]
        fn any_name_is_read_or_refused(name in "[a-zA-Z0-9.@+%_é-]{0,60}") {
            let _ = PackageFileName::parse(&name).is_ok();
        }

        #[test]
        fn a_cache_name_reads_back(id in "[A-Za-z./:@%]{1,20}", version in "[0-9]{1,3}\\.[0-9]{1,3}(-[a-z]{1,3})?") {
            let version = Version::parse(Format::Semver, &version).unwrap();
            let name = PackageFileName { package_id: id, version, extension: ".tar.gz".into() };
            prop_assert_eq!(PackageFileName::parse(&name.cache_name(&"0F".repeat(16))).unwrap(), name);
        }

        #[test]
        fn a_plain_name_reads_back(id in "[A-Z][a-z]{0,8}(\\.[A-Z][a-z]{0,8}){0,2}", version in "[0-9]{1,3}\\.[0-9]{1,3}(-[a-z]{1,3})?") {
            let name = PackageFileName::parse(&format!("{id}.{version}.zip")).unwrap();
            prop_assert_eq!(name.package_id, id);
            prop_assert_eq!(name.version.to_string(), version);
        }
    }
}
