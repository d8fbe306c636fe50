//! Version ranges in NuGet's notation (`deployments.md` 5.1).

use std::fmt;
use std::str::FromStr;

use crate::{Format, Version};

/// A text that is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a version range: {why}. Write for example 1.0, [1.0,2.0) or (,1.0].")]
pub struct NotARange {
    text: String,
    why: String,
}

#[derive(Debug, Clone)]
struct Bound {
    version: Version,
    inclusive: bool,
}

/// Which versions are let through. Metadata does not count.
#[derive(Debug, Clone)]
pub struct VersionRange {
    text: String,
    from: Option<Bound>,
    to: Option<Bound>,
}

impl VersionRange {
    /// Whether a SemVer version is inside.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        let Ok(version) = plain(&version.to_string()) else {
            return false;
        };
        let above = self
            .from
            .as_ref()
            .is_none_or(|from| version > from.version || (from.inclusive && version == from.version));
        let below = self
            .to
            .as_ref()
            .is_none_or(|to| version < to.version || (to.inclusive && version == to.version));
        above && below
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for VersionRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let fail = |why: &str| NotARange {
            text: text.chars().take(80).collect(),
            why: why.into(),
        };
        let trimmed = text.trim();
        let bound = |part: &str, inclusive: bool| -> Result<Option<Bound>, NotARange> {
            let part = part.trim();
            if part.is_empty() {
                return Ok(None);
            }
            let version = plain(part).map_err(|_| fail(&format!("'{part}' is not a version")))?;
            Ok(Some(Bound { version, inclusive }))
        };
        let made = |from, to| Self {
            text: trimmed.into(),
            from,
            to,
        };
        let Some(inner) = trimmed.strip_prefix(['[', '(']) else {
            let from = bound(trimmed, true)?.ok_or_else(|| fail("it is empty"))?;
            return Ok(made(Some(from), None));
        };
        let inner = inner
            .strip_suffix([']', ')'])
            .ok_or_else(|| fail("its last character is not ] or )"))?;
        let (opens, closes) = (trimmed.starts_with('['), trimmed.ends_with(']'));
        match inner.split(',').collect::<Vec<_>>()[..] {
            [only] => {
                let exact = bound(only, true)?.ok_or_else(|| fail("it names no version"))?;
                if !(opens && closes) {
                    return Err(fail("a single version stands in square brackets"));
                }
                Ok(made(Some(exact.clone()), Some(exact)))
            }
            [from, to] => {
                let (from, to) = (bound(from, opens)?, bound(to, closes)?);
                match (&from, &to) {
                    (None, None) => Err(fail("it has no bound")),
                    (Some(low), Some(high)) if low.version > high.version => {
                        Err(fail("its lower bound is above its upper bound"))
                    }
                    (Some(low), Some(high))
                        if low.version == high.version && !(low.inclusive && high.inclusive) =>
                    {
                        Err(fail("no version can be in it"))
                    }
                    _ => Ok(made(from, to)),
                }
            }
            _ => Err(fail("it has more than two bounds")),
        }
    }
}

fn plain(text: &str) -> Result<Version, crate::NotAVersion> {
    Version::parse(Format::Semver, text.split('+').next().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(range: &str, version: &str) -> bool {
        range
            .parse::<VersionRange>()
            .unwrap()
            .contains(&Version::parse(Format::Semver, version).unwrap())
    }

    #[test]
    fn brackets_say_whether_the_bound_is_inside() {
        for (range, inside, outside) in [
            ("1.0", "1.0", "0.9"),
            ("[1.0]", "1.0.0", "1.0.1"),
            ("(1.0,)", "1.0.1", "1.0"),
            ("(,1.0]", "1.0", "1.1"),
            ("[1.0,2.0]", "2.0", "2.0.1"),
            ("[1.0,2.0)", "1.9.9", "2.0"),
            ("(1.0,2.0)", "1.5", "1.0"),
        ] {
            assert!(admits(range, inside), "{inside} in {range}");
            assert!(!admits(range, outside), "{outside} not in {range}");
        }
    }

    #[test]
    fn the_order_is_that_of_semver_and_metadata_does_not_count() {
        assert!(admits("[1.0,2.0)", "2.0.0-beta"));
        assert!(!admits("[1.0,2.0.0-0)", "2.0.0-beta"));
        assert!(admits("[2.0.0-alpha.1,2.0.0)", "2.0.0-alpha.2"));
        assert!(admits("[1.0]", "1.0+build"));
    }

    #[test]
    fn what_admits_nothing_is_refused() {
        for wrong in [
            "(1.0)",
            "[2,1]",
            "(1.0,1.0]",
            "[,]",
            "[]",
            "[1.0",
            "1.0]",
            "",
            "[1,2,3]",
            "abc",
        ] {
            assert!(wrong.parse::<VersionRange>().is_err(), "{wrong}");
        }
    }
}
