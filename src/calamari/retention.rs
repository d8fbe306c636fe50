//! Which deployments are old enough to be removed (9). Only thinking; the command `clean` does it.

use crate::calendar;
use crate::journal::Entry;

/// What is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// What was installed in the last days of 24 hours each.
    Days(u64),
    /// The current deployment and this many successful ones before it.
    Releases(usize),
}

/// The entries of one policy set, and why each is kept or that it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Entries that are kept, with the reason.
    pub kept: Vec<(Entry, String)>,
    /// Entries that go, in the order in which they are removed.
    pub gone: Vec<Entry>,
}

impl Retention {
    /// Decides about the entries of a policy set, the oldest first. `now` is seconds since 1970.
    pub fn decide(self, entries: Vec<Entry>, now: i64) -> Decision {
        match self {
            Self::Days(days) => by_days(days, entries, now),
            Self::Releases(releases) => by_releases(releases, entries),
        }
    }
}

fn by_days(days: u64, entries: Vec<Entry>, now: i64) -> Decision {
    let longest = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(86_400);
    let mut decision = Decision::default();
    for entry in entries {
        let age = calendar::parse(&entry.installed_on).map(|installed| now.saturating_sub(installed));
        match age {
            Some(age) if age > longest => decision.gone.push(entry),
            Some(age) => {
                let reason = format!(
                    "it was installed {} days and {} hours ago",
                    age / 86_400,
                    age % 86_400 / 3600
                );
                decision.kept.push((entry, reason));
            }
            None => decision
                .kept
                .push((entry, "it does not say when it was installed".to_owned())),
        }
    }
    decision
}

fn by_releases(releases: usize, mut entries: Vec<Entry>) -> Decision {
    let mut decision = Decision::default();
    let successful = entries.iter().filter(|entry| entry.was_successful).count();
    let surplus = successful > releases;
    // The newest first; what was written at the same second stays in the order of the file.
    entries.sort_by(|one, other| other.installed_on.cmp(&one.installed_on));
    for entry in entries {
        if entry.was_successful && decision.kept.len() <= releases {
            let reason = format!(
                "it is the {}most recent successful release",
                ordinal(decision.kept.len() + 1)
            );
            decision.kept.push((entry, reason));
        } else if surplus {
            decision.gone.push(entry);
        }
    }
    decision
}

/// `2nd `, `3rd `; nothing for the first.
fn ordinal(number: usize) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    match number {
        1 => String::new(),
        _ => format!("{number}{ending} "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn entry(id: &str, days_ago: i64, was_successful: bool) -> Entry {
        Entry {
            id: id.to_owned(),
            installed_on: Entry::stamp(NOW - days_ago * 86_400),
            was_successful,
            ..Entry::default()
        }
    }

    fn gone(retention: Retention, entries: &[(&str, i64, bool)]) -> String {
        let entries = entries
            .iter()
            .map(|(id, days, good)| entry(id, *days, *good))
            .collect();
        let gone = retention.decide(entries, NOW).gone;
        gone.iter()
            .map(|entry| entry.id.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    const HISTORY: [(&str, i64, bool); 5] = [
        ("a", 40, true),
        ("b", 20, true),
        ("c", 10, false),
        ("d", 5, true),
        ("e", 1, false),
    ];

    #[test]
    fn days_count_from_now_and_the_last_second_still_counts() {
        assert_eq!(gone(Retention::Days(20), &HISTORY), "a");
        assert_eq!(gone(Retention::Days(19), &HISTORY), "a b");
        assert_eq!(gone(Retention::Days(u64::MAX), &HISTORY), "");
        assert_eq!(gone(Retention::Days(1), &[("future", -3, true)]), "");
    }

    #[test]
    fn the_current_release_and_those_before_it_stay_and_failed_ones_go() {
        assert_eq!(gone(Retention::Releases(1), &HISTORY), "e c a");
        assert_eq!(gone(Retention::Releases(2), &HISTORY), "e c");
        assert_eq!(
            gone(Retention::Releases(3), &HISTORY),
            "",
            "there are no more than three"
        );
        assert_eq!(
            gone(Retention::Releases(1), &[("x", 3, false), ("y", 1, false)]),
            ""
        );
    }

    #[test]
    fn an_entry_without_a_date_is_kept_by_days() {
        let undated = Entry {
            installed_on: String::new(),
            ..entry("x", 0, true)
        };
        assert_eq!(Retention::Days(1).decide(vec![undated], NOW).kept.len(), 1);
    }

    #[test]
    fn ordinals_read_well() {
        let words: Vec<String> = [1, 2, 3, 4, 11, 12, 21, 112].map(ordinal).into();
        assert_eq!(
            words,
            ["", "2nd ", "3rd ", "4th ", "11th ", "12th ", "21st ", "112th "]
        );
    }
}
