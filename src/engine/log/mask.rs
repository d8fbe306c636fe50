//! Hides secrets once more on the Server, whatever an agent sent (`security.md` 3.4). The runner, which alone sees the
//! output as it is written, masks first and in more forms.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::fault;

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// What stands in the place of a text that could not be masked.
pub const NOT_MASKED: &str = "[masked: internal error]";

/// Values shorter than this many characters would hide half the log.
const SHORTEST: usize = 4;

/// A line of a secret of several lines is hidden by itself from this length on.
const SHORTEST_LINE: usize = 8;

/// What must not be seen in one task's log. Secrets can be added at any time; once added they stay.
#[derive(Default)]
pub struct Mask {
    known: RwLock<Known>,
    has_failed: AtomicBool,
}

#[derive(Default)]
struct Known {
    patterns: Vec<String>,
    automaton: Option<AhoCorasick>,
}

impl Mask {
    /// Hides these values from now on.
    pub fn add<'a>(&self, values: impl IntoIterator<Item = &'a str>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.patterns.len();
        for form in values.into_iter().flat_map(forms) {
            if !known.patterns.contains(&form) {
                known.patterns.push(form);
            }
        }
        if known.patterns.len() > before {
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&known.patterns);
            known.automaton = Some(automaton.expect("patterns of less than 4 GiB make an automaton"));
        }
    }

    /// The text with every known secret replaced; [`NOT_MASKED`] when that fails: rather a line less than a secret more.
    #[must_use]
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        catch_unwind(AssertUnwindSafe(|| self.replaced(text))).unwrap_or_else(|_| {
            self.has_failed.store(true, Ordering::Relaxed);
            Cow::Borrowed(NOT_MASKED)
        })
    }

    /// Whether a text was left out because it could not be masked; forgets it.
    pub(super) fn take_failure(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed) && self.has_failed.swap(false, Ordering::Relaxed)
    }

    fn replaced<'a>(&self, text: &'a str) -> Cow<'a, str> {
        fault::mask(text);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match &known.automaton {
            Some(automaton) if automaton.is_match(text) => {
                let mut masked = String::with_capacity(text.len());
                automaton.replace_all_with(text, &mut masked, |_, _, into| {
                    into.push_str(MASK);
                    true
                });
                Cow::Owned(masked)
            }
            _ => Cow::Borrowed(text),
        }
    }
}

fn forms(value: &str) -> Vec<String> {
    let value = value.trim_end_matches(['\r', '\n']);
    if value.trim().chars().count() < SHORTEST {
        return Vec::new();
    }
    let mut forms = vec![value.to_owned()];
    if value.contains(['\r', '\n']) {
        let lines = value
            .lines()
            .map(str::trim)
            .filter(|line| line.chars().count() >= SHORTEST_LINE);
        forms.extend(lines.map(str::to_owned));
        forms.push(value.replace(['\r', '\n'], ""));
    }
    forms.extend([STANDARD_NO_PAD.encode(value), URL_SAFE_NO_PAD.encode(value)]);
    forms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_hidden_as_it_is_and_in_base64() {
        let mask = Mask::default();
        mask.add(["s3cret", "abc", "first line of a key\nsecond line of a key\n"]);
        assert_eq!(mask.apply("a s3cret and abc"), "a ******** and abc");
        assert_eq!(mask.apply("czNjcmV0"), MASK);
        assert_eq!(mask.apply("> second line of a key"), format!("> {MASK}"));
    }

    proptest! {
        #[test]
        fn no_added_value_is_left(values in proptest::collection::vec("[a-z]{4,8}", 1..5), text in "[a-z]{0,60}") {
            let mask = Mask::default();
            mask.add(values.iter().map(String::as_str));
            let text = format!("{text}{}{text}", values[0]);
            let masked = mask.apply(&text).into_owned();
            for value in &values {
                prop_assert!(!masked.contains(value.as_str()));
            }
        }
    }
}
