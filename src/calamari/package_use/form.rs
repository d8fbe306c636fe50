//! The form of the journal as a file: read as people and other programs wrote it, written in one way.

use super::PackageIdentity;
use crate::calendar;
use crate::package_cache::format_name;
use serde_json::{Map, Value, json};
use std::time::SystemTime;
use versioning::{Format, Version};

/// Everything in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Packages, in the order in which they came.
    pub(crate) entries: Vec<Entry>,
    /// Grows by one with each use of any package.
    pub(crate) cache_age: i64,
}

/// A package and who used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) version: String,
    /// The name of the version's format, as written.
    format: String,
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) usages: Vec<Use>,
    pub(crate) locks: Vec<Use>,
}

/// When a task used a package, or began to hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) cache_age: i64,
    /// `yyyy-MM-ddTHH:mm:ss[.fraction][Z|+hh:mm]`
    pub(crate) when: String,
    pub(crate) task: Option<String>,
}

impl Content {
    /// Reads a file; an empty one holds nothing.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let root: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let root = object(&root, "the file")?;
        let entries = match member(root, "JournalEntries") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => entries.iter().map(Entry::parse).collect::<Result<_, _>>()?,
            Some(_) => return Err("JournalEntries is no list".to_owned()),
        };
        let cache_age = match member(root, "Cache") {
            None | Some(Value::Null) => 0,
            Some(cache) => age(object(cache, "Cache")?, "CacheAge")?,
        };
        Ok(Self { entries, cache_age })
    }

    /// One line of JSON behind a byte order mark.
    pub(crate) fn to_text(&self) -> String {
        let entries: Vec<Value> = self.entries.iter().map(Entry::to_json).collect();
        let root = json!({"JournalEntries": entries, "Cache": {"CacheAge": {"Value": self.cache_age}}});
        format!("\u{feff}{root}")
    }
}

impl Entry {
    /// A package that nobody used yet, of this many bytes.
    pub(crate) fn new(package: &PackageIdentity, size: u64) -> Self {
        Self {
            id: package.id.clone(),
            version: package.version.to_string(),
            format: format_name(package.version.format()).to_owned(),
            path: package.path.display().to_string(),
            size,
            usages: Vec::new(),
            locks: Vec::new(),
        }
    }

    /// Whether it is about this package.
    pub(crate) fn is(&self, package: &PackageIdentity) -> bool {
        octostache::fold(&self.id) == octostache::fold(&package.id)
            && self.format == format_name(package.version.format())
            && self.parsed_version() == Some(package.version.clone())
            && std::path::Path::new(&self.path) == package.path
    }

    /// The version, when it is one of its format.
    pub(crate) fn parsed_version(&self) -> Option<Version> {
        let formats = [
            Format::Semver,
            Format::Maven,
            Format::Docker,
            Format::Octopus,
            Format::Lexicographic,
        ];
        let format = formats
            .into_iter()
            .find(|format| format_name(*format) == self.format)?;
        Version::parse(format, &self.version).ok()
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let entry = object(value, "an entry")?;
        let package = object(member(entry, "Package").unwrap_or(&Value::Null), "Package")?;
        let version = object(member(package, "Version").unwrap_or(&Value::Null), "Version")?;
        let size = match member(entry, "FileSizeBytes") {
            None | Some(Value::Null) => 0,
            Some(size) => size
                .as_u64()
                .ok_or_else(|| "FileSizeBytes is no size".to_owned())?,
        };
        Ok(Self {
            id: identity(package, "PackageId")?,
            version: text(version, "Version")?,
            format: text(version, "Format")?,
            path: identity(package, "Path")?,
            size,
            usages: uses(entry, "usages")?,
            locks: uses(entry, "locks")?,
        })
    }

    fn to_json(&self) -> Value {
        let uses = |uses: &[Use]| -> Vec<Value> { uses.iter().map(Use::to_json).collect() };
        json!({
            "usages": uses(&self.usages),
            "locks": uses(&self.locks),
            "Package": {
                "PackageId": {"Value": self.id},
                "Version": {"Version": self.version, "Format": self.format},
                "Path": {"Value": self.path},
            },
            "FileSizeBytes": self.size,
        })
    }
}

impl Use {
    /// Seconds since 1970; a time without zone is taken as UTC.
    pub(crate) fn seconds(&self) -> i64 {
        Time::parse(&self.when).map_or(0, |time| time.seconds)
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let members = object(value, "a use")?;
        let when = text(members, "DateTime")?;
        let when = Time::parse(&when)
            .ok_or_else(|| format!("'{when}' is no time"))?
            .text(&when);
        let task = match member(members, "DeploymentTaskId") {
            None | Some(Value::Null) => None,
            Some(_) => Some(identity(members, "DeploymentTaskId")?),
        };
        Ok(Self {
            cache_age: age(members, "CacheAgeAtUsage")?,
            when,
            task,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "CacheAgeAtUsage": {"Value": self.cache_age},
            "DateTime": self.when,
            "DeploymentTaskId": self.task,
        })
    }
}

/// A time as the journal has it, in UTC.
pub(crate) fn time_text(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let date = calendar::format(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)).replace(' ', "T");
    format!("{date}.{:07}+00:00", since.subsec_nanos() / 100)
}

struct Time<'a> {
    seconds: i64,
    fraction: &'a str,
    has_offset: bool,
}

impl<'a> Time<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            let digits = text.get(range)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
            digits.parse().ok()
        };
        let separators = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
        if separators
            .iter()
            .any(|(place, separator)| text.get(*place..place + 1) != Some(separator))
        {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let rest = text.get(19..)?;
        let digits = rest.strip_prefix('.').map_or(0, |fraction| {
            1 + fraction.bytes().take_while(u8::is_ascii_digit).count()
        });
        let (fraction, zone) = rest.split_at(digits);
        let offset = match zone.as_bytes() {
            [] | b"Z" => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let start = text.len() - 5;
                let minutes = number(start..start + 2)? * 60 + number(start + 3..start + 5)?;
                if *sign == b'+' { minutes } else { -minutes }
            }
            _ => return None,
        };
        let seconds = calendar::days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Self {
            seconds: seconds - offset * 60,
            fraction,
            has_offset: zone.len() > 1,
        })
    }

    /// The same moment in UTC; without an offset as it was written.
    fn text(&self, written: &str) -> String {
        if !self.has_offset {
            return written.to_owned();
        }
        let date = calendar::format(self.seconds).replace(' ', "T");
        format!("{date}{}+00:00", self.fraction)
    }
}

/// A member by its name without case.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} is no object"))
}

fn text(object: &Map<String, Value>, name: &str) -> Result<String, String> {
    member(object, name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| format!("{name} is no text"))
}

/// A text, or an object with one `Value`.
fn identity(members: &Map<String, Value>, name: &str) -> Result<String, String> {
    match member(members, name) {
        Some(Value::Object(wrapped)) => text(wrapped, "Value"),
        _ => text(members, name),
    }
}

/// An object with one `Value`.
fn age(members: &Map<String, Value>, name: &str) -> Result<i64, String> {
    member(members, name)
        .and_then(Value::as_object)
        .and_then(|wrapped| member(wrapped, "Value"))
        .and_then(Value::as_i64)
        .ok_or_else(|| format!("{name} is no age"))
}

fn uses(entry: &Map<String, Value>, name: &str) -> Result<Vec<Use>, String> {
    match member(entry, name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(uses)) => uses.iter().map(Use::parse).collect(),
        Some(_) => Err(format!("{name} is no list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = r#"{"JournalEntries":[{"usages":[{"CacheAgeAtUsage":{"Value":3},"DateTime":"2024-01-02T10:00:00.123+02:00","DeploymentTaskId":"T-3"}],
        "Locks":[{"CacheAgeAtUsage":{"Value":3},"DateTime":"2024-01-02T10:00:00","DeploymentTaskId":null}],
        "Package":{"PackageId":"Acme","Version":{"Version":"1.0","Format":"Semver"},"Path":{"Value":"/x"}},"FileSizeBytes":10}],"Cache":{"CacheAge":{"Value":9}}}"#;

    #[test]
    fn times_are_written_in_utc_and_ids_are_read_in_both_forms() {
        let content = Content::parse(FILE.as_bytes()).expect("read");
        let entry = &content.entries[0];
        assert_eq!((entry.id.as_str(), entry.path.as_str()), ("Acme", "/x"));
        assert_eq!(entry.usages[0].when, "2024-01-02T08:00:00.123+00:00");
        assert_eq!(entry.locks[0].when, "2024-01-02T10:00:00");
        assert_eq!(Content::parse(content.to_text().as_bytes()), Ok(content));
        assert_eq!(Content::parse(b" "), Ok(Content::default()));
    }

    #[test]
    fn what_is_no_journal_is_named() {
        for (damaged, named) in [
            ("{\"JournalEntries\": [ oops", "line 1"),
            ("[]", "the file"),
            (&FILE.replace("{\"Value\":9}", "9"), "CacheAge"),
            (&FILE.replace("T10:00:00.123", " 10:00"), "no time"),
        ] {
            let reason = Content::parse(damaged.as_bytes()).expect_err("damaged");
            assert!(reason.contains(named), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(cut in 0..FILE.len(), byte in any::<u8>()) {
            let mut bytes = FILE.as_bytes().to_vec();
            bytes[cut] = byte;
            if let Ok(content) = Content::parse(&bytes) {
                prop_assert_eq!(Content::parse(content.to_text().as_bytes()), Ok(content));
            }
            prop_assert!(Content::parse(&FILE.as_bytes()[..cut]).is_err() || cut == 0);
        }

        #[test]
        fn any_time_is_read_or_refused(text in "[0-9TZ:.+-]{0,40}") {
            Time::parse(&text);
        }
    }
}
