//! Versions and their order (`calamari.md` 10.4, `observed.md` 39 to 42).

use std::cmp::Ordering;
use std::fmt;

use crate::maven;

/// The longest text that is taken as a version, in bytes.
pub const LONGEST_VERSION: usize = 512;

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {format} version. {expected}")]
pub struct NotAVersion {
    text: String,
    format: Format,
    expected: &'static str,
}

/// How versions are written and ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// One to four numbers, labels after `-`, metadata after `+`; also NuGet's.
    Semver,
    /// Up to four numbers and almost any text.
    Octopus,
    /// Tags of images.
    Docker,
    /// Any text, by Maven's rules.
    Maven,
    /// Any word; numbers in it count by value.
    Lexicographic,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Semver => "SemVer",
            Self::Octopus => "Octopus",
            Self::Docker => "Docker",
            Self::Maven => "Maven",
            Self::Lexicographic => "lexicographic",
        })
    }
}

impl Format {
    fn expected(self) -> &'static str {
        match self {
            Self::Semver => {
                "Write one to four numbers below 2147483648, such as 1.2.3 or 1.2.3-beta.1+build."
            }
            Self::Octopus => {
                "Write numbers below 2147483648, then letters, digits and . - _, such as 1.2.3-beta.1."
            }
            Self::Docker => "Write a tag of letters, digits and . - _, such as 8.0-alpine.",
            Self::Maven => "Its numbers must be below 2147483648.",
            Self::Lexicographic => "Write letters, digits and . - _ without blanks.",
        }
    }
}

/// How much of two versions is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The numbers.
    Numbers,
    /// The numbers and the pre-release.
    Release,
    /// Everything that counts in the format.
    Whole,
}

/// A version of a package or a release.
#[derive(Debug, Clone)]
pub struct Version {
    format: Format,
    text: String,
    prefix: String,
    numbers: [u32; 4],
    count: usize,
    release: String,
    metadata: String,
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    /// When the text is none in this format, or longer than [`LONGEST_VERSION`].
    pub fn parse(format: Format, text: &str) -> Result<Self, NotAVersion> {
        let parsed = if text.len() > LONGEST_VERSION {
            None
        } else {
            match format {
                Format::Semver => semver(text),
                Format::Octopus | Format::Docker => octopus(format, text),
                Format::Maven => maven::parse(text),
                Format::Lexicographic => lexicographic(text),
            }
        };
        parsed.ok_or_else(|| NotAVersion {
            text: text.chars().take(80).collect(),
            format,
            expected: format.expected(),
        })
    }

    pub(crate) fn new(format: Format, text: String) -> Self {
        let (prefix, release, metadata) = Default::default();
        Self {
            format,
            text,
            prefix,
            numbers: [0; 4],
            count: 0,
            release,
            metadata,
        }
    }

    pub(crate) fn with(mut self, numbers: &[u32], release: &str, metadata: &str) -> Self {
        self.numbers[..numbers.len()].copy_from_slice(numbers);
        self.count = numbers.len();
        self.release = release.into();
        self.metadata = metadata.into();
        self
    }

    pub(crate) fn set_revision(&mut self, revision: u32) {
        self.numbers[3] = revision;
    }

    /// How it was read.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The first number; absent = 0.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.numbers[0]
    }

    /// The second number; absent = 0.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.numbers[1]
    }

    /// The third number; absent = 0.
    #[must_use]
    pub fn patch(&self) -> u32 {
        self.numbers[2]
    }

    /// The fourth number; absent = 0. Of Maven versions the build number.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.numbers[3]
    }

    /// How many numbers are written.
    #[must_use]
    pub fn number_count(&self) -> usize {
        self.count
    }

    /// The text between numbers and metadata, without its separator; may be empty.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The text after `+`; may be empty.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// `v` or `V`, if it begins so.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it comes before the version of its numbers.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        match self.format {
            Format::Maven => maven::is_prerelease(&self.release),
            Format::Lexicographic => false,
            _ => !self.release.is_empty(),
        }
    }

    /// Of the pre-release text the part before its first separator (`octostache.md` 8, `VersionPreReleasePrefix`).
    #[must_use]
    pub fn release_prefix(&self) -> &str {
        self.release.split(is_separator).next().unwrap_or_default()
    }

    /// Of the pre-release text the part after its first separator.
    #[must_use]
    pub fn release_counter(&self) -> &str {
        self.release
            .split_once(is_separator)
            .map_or("", |(_, counter)| counter)
    }

    /// The parts that the pre-release text has in SemVer; in Maven it is one. Other formats have no labels.
    #[must_use]
    pub fn labels(&self) -> Vec<&str> {
        match self.format {
            Format::Semver if !self.release.is_empty() => self.release.split('.').collect(),
            Format::Maven if self.count == 0 || !self.release.is_empty() => vec![&self.release],
            _ => Vec::new(),
        }
    }

    /// Three numbers, the fourth when it is not 0, and the rest.
    #[must_use]
    pub fn normalized(&self) -> String {
        let [major, minor, patch, revision] = self.numbers;
        let mut text = format!("{major}.{minor}.{patch}");
        if revision > 0 {
            text.push_str(&format!(".{revision}"));
        }
        for (separator, part) in [('-', &self.release), ('+', &self.metadata)] {
            if !part.is_empty() {
                text.push(separator);
                text.push_str(part);
            }
        }
        text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Version {
    /// Compares by the rules of one format, whatever the formats of the two are.
    #[must_use]
    pub fn compare_as(&self, format: Format, other: &Self) -> Ordering {
        match format {
            Format::Maven => maven::compare(&self.text, &other.text),
            Format::Lexicographic => compare_labels(words(&self.release), words(&other.release)),
            Format::Semver => self
                .compare_to(other, Depth::Release)
                .then_with(|| compare_words(&self.metadata, &other.metadata)),
            Format::Octopus | Format::Docker => self.compare_numbers_and_presence(other).then_with(|| {
                compare_labels(
                    self.release.split(is_separator),
                    other.release.split(is_separator),
                )
            }),
        }
    }

    /// Compares as the original does, by the rules of the left one's format. It is no order: of a SemVer and an Octopus
    /// version each can be above the other. Sort by `Ord` instead.
    #[must_use]
    pub fn compare_by_left(&self, other: &Self) -> Ordering {
        match self.format {
            Format::Semver if other.format != Format::Semver => Ordering::Greater,
            Format::Docker if other.format != Format::Docker => Ordering::Less,
            format => self.compare_as(format, other),
        }
    }

    /// Compares two SemVer versions as deeply as asked.
    #[must_use]
    pub fn compare_to(&self, other: &Self, depth: Depth) -> Ordering {
        match depth {
            Depth::Numbers => self.numbers.cmp(&other.numbers),
            Depth::Release => self
                .compare_numbers_and_presence(other)
                .then_with(|| compare_labels(self.release.split('.'), other.release.split('.'))),
            Depth::Whole => self.compare_as(Format::Semver, other),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let formats = self.format.cmp(&other.format);
        formats.then_with(|| self.compare_as(self.format, other))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Equal in order; the texts may differ (`1.0` and `1.0.0`).
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl Version {
    fn compare_numbers_and_presence(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.release.is_empty(), other.release.is_empty()) {
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ => Ordering::Equal,
            }
        })
    }
}

/// A number as versions have it: ASCII digits, below 2³¹.
pub(crate) fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| text.parse::<u32>().ok())
        .flatten()
        .filter(|number| i32::try_from(*number).is_ok())
}

pub(crate) fn is_separator(character: char) -> bool {
    matches!(character, '.' | '-' | '_' | '\\')
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric())
}

/// Numbers by value and below words, words without case, fewer labels first.
fn compare_labels<T: AsRef<str>>(
    mut one: impl Iterator<Item = T>,
    mut other: impl Iterator<Item = T>,
) -> Ordering {
    loop {
        let (a, b) = match (one.next(), other.next()) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let (a, b) = (a.as_ref(), b.as_ref());
        let order = match (number(a), number(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => compare_words(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn compare_words(one: &str, other: &str) -> Ordering {
    let upper = |text: &str| text.to_ascii_uppercase();
    upper(one).cmp(&upper(other))
}

fn labels_are_valid(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

fn semver(text: &str) -> Option<Version> {
    let text = text.trim();
    let (prefix, rest) = text.strip_prefix('v').map_or(("", text), |rest| ("v", rest));
    let (rest, metadata) = rest
        .split_once('+')
        .map_or((rest, None), |(rest, metadata)| (rest, Some(metadata)));
    let (core, release) = rest
        .split_once('-')
        .map_or((rest, None), |(core, release)| (core, Some(release)));
    let parts: Vec<&str> = core.split('.').map(str::trim).collect();
    let numbers: Vec<u32> = parts.iter().map(|part| number(part)).collect::<Option<_>>()?;
    let valid = |part: Option<&str>| part.is_none_or(labels_are_valid);
    if numbers.len() > 4 || !valid(release) || !valid(metadata) {
        return None;
    }
    let plain = !text.contains(char::is_whitespace);
    let written = if plain {
        text.to_owned()
    } else {
        let tail = |separator: &str, part: Option<&str>| {
            part.map_or(String::new(), |part| format!("{separator}{part}"))
        };
        format!("{}{}{}", parts.join("."), tail("-", release), tail("+", metadata))
    };
    let mut version = Version::new(Format::Semver, written);
    if plain {
        version.prefix = prefix.into();
    }
    Some(version.with(
        &numbers,
        release.unwrap_or_default(),
        metadata.unwrap_or_default(),
    ))
}

fn octopus(format: Format, text: &str) -> Option<Version> {
    let written: String = text.chars().filter(|character| *character != ' ').collect();
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return None;
    }
    let digit_follows = |text: &str| {
        text.trim_start()
            .starts_with(|character: char| character.is_ascii_digit())
    };
    let (prefix, mut rest) = match trimmed.strip_prefix(['v', 'V']) {
        Some(rest) if digit_follows(rest) => (&trimmed[..1], rest.trim_start()),
        _ => ("", trimmed),
    };
    let mut numbers = Vec::new();
    while numbers.len() < 4 {
        let candidate = if numbers.is_empty() {
            Some(rest)
        } else {
            rest.trim_start().strip_prefix('.')
        };
        let Some(candidate) = candidate.filter(|candidate| digit_follows(candidate)) else {
            break;
        };
        let candidate = candidate.trim_start();
        let end = candidate
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(candidate.len());
        numbers.push(number(&candidate[..end])?);
        rest = &candidate[end..];
    }
    let rest = rest.trim_start();
    let (rest, metadata) = rest.split_once('+').unwrap_or((rest, ""));
    let release = if numbers.is_empty() && !rest.starts_with(is_separator) {
        rest
    } else {
        rest.strip_prefix(is_separator).unwrap_or(rest)
    };
    let allowed = |character: char| character.is_ascii_alphanumeric() || is_separator(character);
    if !release.chars().all(allowed)
        || !metadata
            .chars()
            .all(|character| allowed(character) || character == '+')
    {
        return None;
    }
    let mut version = Version::new(format, written).with(&numbers, release, metadata);
    version.prefix = prefix.into();
    Some(version)
}

fn lexicographic(text: &str) -> Option<Version> {
    let text = text.trim_end();
    let (release, metadata) = text.split_once('+').unwrap_or((text, ""));
    let allowed = |character: char| character.is_ascii_alphanumeric() || is_separator(character);
    let valid = release.chars().all(allowed)
        && metadata
            .chars()
            .all(|character| allowed(character) || character == '+');
    (valid && !text.is_empty())
        .then(|| Version::new(Format::Lexicographic, text.into()).with(&[], release, metadata))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_format() -> impl Strategy<Value = Format> {
        prop::sample::select(vec![
            Format::Semver,
            Format::Octopus,
            Format::Docker,
            Format::Maven,
            Format::Lexicographic,
        ])
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(format in any_format(), text in ".{0,40}") {
            if let Ok(version) = Version::parse(format, &text) {
                prop_assert!(version == version.clone());
            }
        }

        #[test]
        fn the_order_is_an_order(
            format in any_format(),
            texts in prop::collection::vec("[0-9]{1,2}(\\.[0-9]{1,2}){0,3}(-[a-c0-9]{1,2}(\\.[a-c0-9]{1,2})?)?", 3),
        ) {
            let versions: Vec<Version> =
                texts.iter().map(|text| Version::parse(format, text).unwrap()).collect();
            let [a, b, c] = [&versions[0], &versions[1], &versions[2]];
            prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c, "{} {} {}", a, b, c);
            }
        }

        #[test]
        fn a_printed_version_reads_the_same(text in "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-[a-z0-9]{1,3})?(\\+[a-z]{1,3})?") {
            for format in [Format::Semver, Format::Octopus] {
                let version = Version::parse(format, &text).unwrap();
                prop_assert_eq!(version.to_string(), text.clone());
                prop_assert_eq!(Version::parse(format, &version.to_string()).unwrap(), version);
            }
        }
    }
}
