//! Maven's version ranges (`observed.md` 42): `[1.0,2.0)`, `(,1.0],[1.2,)`.

use std::fmt;
use std::str::FromStr;

use crate::{Format, Version};

/// The longest text that is read as a range, in bytes.
const LONGEST_RANGE: usize = 2048;

/// A text that is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a Maven version range: {why}. Write for example [1.0], [1.0,2.0) or (,1.0],[1.2,).")]
pub struct NotAMavenRange {
    text: String,
    why: String,
}

#[derive(Debug, Clone)]
struct Bound {
    version: Version,
    inclusive: bool,
}

#[derive(Debug, Clone)]
struct Restriction {
    from: Option<Bound>,
    to: Option<Bound>,
}

/// Which versions of a Maven feed are let through.
#[derive(Debug, Clone)]
pub struct MavenRange {
    /// A version without brackets is only a recommendation: everything is inside.
    recommended: Option<String>,
    restrictions: Vec<Restriction>,
}

impl MavenRange {
    /// Whether a version is inside; versions of other formats are read as Maven's.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        self.recommended.is_some()
            || self
                .restrictions
                .iter()
                .any(|restriction| restriction.contains(version))
    }

    /// The highest version inside; of equal ones the first.
    pub fn highest<'a>(&self, versions: impl IntoIterator<Item = &'a Version>) -> Option<&'a Version> {
        let inside = versions.into_iter().filter(|version| self.contains(version));
        inside.reduce(|highest, version| if version > highest { version } else { highest })
    }
}

impl Restriction {
    fn contains(&self, version: &Version) -> bool {
        let order = |bound: &Bound| version.compare_as(Format::Maven, &bound.version);
        let above = |bound: &Bound| order(bound).is_gt() || (bound.inclusive && order(bound).is_eq());
        let below = |bound: &Bound| order(bound).is_lt() || (bound.inclusive && order(bound).is_eq());
        self.from.as_ref().is_none_or(above) && self.to.as_ref().is_none_or(below)
    }

    /// Reads one pair of brackets.
    fn read(text: &str) -> Result<Self, String> {
        let (opens, closes) = (text.starts_with('['), text.ends_with(']'));
        let inner = text[1..text.len() - 1].trim();
        let bound = |part: &str, inclusive: bool| match Version::parse(Format::Maven, part) {
            Ok(version) => Ok(Bound { version, inclusive }),
            Err(why) => Err(why.to_string()),
        };
        let Some((from, to)) = inner.split_once(',') else {
            if !(opens && closes) {
                return Err("a single version stands in square brackets".into());
            }
            let exact = bound(inner, true)?;
            return Ok(Self {
                from: Some(exact.clone()),
                to: Some(exact),
            });
        };
        let (from, to) = (from.trim(), to.trim());
        if from == to {
            return Err("its bounds are identical".into());
        }
        let optional = |part: &str, inclusive| (!part.is_empty()).then(|| bound(part, inclusive)).transpose();
        let (from, to) = (optional(from, opens)?, optional(to, closes)?);
        if let (Some(from), Some(to)) = (&from, &to)
            && to.version < from.version
        {
            return Err("its lower bound is above its upper bound".into());
        }
        Ok(Self { from, to })
    }
}

impl FromStr for MavenRange {
    type Err = NotAMavenRange;

    fn from_str(text: &str) -> Result<Self, NotAMavenRange> {
        let fail = |why: String| NotAMavenRange {
            text: text.chars().take(80).collect(),
            why,
        };
        if text.len() > LONGEST_RANGE {
            return Err(fail(format!("it is longer than {LONGEST_RANGE} bytes")));
        }
        let mut restrictions: Vec<Restriction> = Vec::new();
        let mut rest = text;
        while rest.starts_with(['[', '(']) {
            let end = rest
                .find([']', ')'])
                .ok_or_else(|| fail("a bracket is not closed".into()))?;
            let restriction = Restriction::read(&rest[..=end]).map_err(fail)?;
            if let Some(Restriction { to: Some(before), .. }) = restrictions.last()
                && restriction
                    .from
                    .as_ref()
                    .is_none_or(|from| from.version < before.version)
            {
                return Err(fail("its parts overlap or are not in order".into()));
            }
            restrictions.push(restriction);
            rest = rest[end + 1..].trim();
            rest = rest.strip_prefix(',').map_or(rest, str::trim);
        }
        let recommended = match rest {
            "" => None,
            _ if !restrictions.is_empty() => {
                return Err(fail(format!("'{rest}' has no brackets and the rest has")));
            }
            _ => Some(
                Version::parse(Format::Maven, rest)
                    .map_err(|why| fail(why.to_string()))?
                    .to_string(),
            ),
        };
        Ok(Self {
            recommended,
            restrictions,
        })
    }
}

impl fmt::Display for MavenRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(recommended) = &self.recommended {
            return formatter.write_str(recommended);
        }
        for (position, Restriction { from, to }) in self.restrictions.iter().enumerate() {
            let inclusive = |bound: &Option<Bound>| bound.as_ref().is_some_and(|bound| bound.inclusive);
            formatter.write_str(if position > 0 { "," } else { "" })?;
            formatter.write_str(if inclusive(from) { "[" } else { "(" })?;
            if let Some(from) = from {
                write!(formatter, "{}", from.version)?;
            }
            formatter.write_str(",")?;
            if let Some(to) = to {
                write!(formatter, "{}", to.version)?;
            }
            formatter.write_str(if inclusive(to) { "]" } else { ")" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admits(range: &str, version: &str) -> bool {
        let version = Version::parse(Format::Maven, version).unwrap();
        range.parse::<MavenRange>().unwrap().contains(&version)
    }

    #[test]
    fn several_parts_may_leave_a_version_out() {
        assert!(admits("(,1.0],[1.2,)", "0.9"));
        assert!(!admits("(,1.0],[1.2,)", "1.1"));
        assert!(admits("(,1.0],[1.2,)", "1.2"));
        assert!(!admits("(,1.1),(1.1,)", "1.1.0"));
    }

    #[test]
    fn the_order_is_mavens() {
        assert!(admits("[1.0,2.0)", "2.0-SNAPSHOT"));
        assert!(admits("[1.0]", "1.0.0"));
        assert!(!admits("[1.0,)", "1.0-rc1"));
    }

    #[test]
    fn a_bare_version_is_a_recommendation() {
        assert!(admits("1.0", "0.1"));
        assert!(admits(" [1.0]", "7"));
        assert!(!admits("", "1.0"));
    }

    #[test]
    fn refusals_say_why() {
        for (text, why) in [
            ("(1.0)", "square brackets"),
            ("[1,1]", "identical"),
            ("[2,1]", "above"),
            ("[1,2", "not closed"),
            ("[1,3],[2,4]", "overlap"),
            ("[1,2],3", "no brackets"),
            ("[99999999999]", "2147483648"),
        ] {
            let refused = text.parse::<MavenRange>().unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(text in "[\\[(][0-3]?(\\.[0-3])?,[4-9]?[\\])](,[\\[(]9\\.1,[\\])])?") {
            if let Ok(range) = text.parse::<MavenRange>() {
                prop_assert_eq!(range.to_string().parse::<MavenRange>().unwrap().to_string(), range.to_string());
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\](), a0-9.-]{0,30}|.{0,30}") {
            let _ = text.parse::<MavenRange>();
        }
    }
}
