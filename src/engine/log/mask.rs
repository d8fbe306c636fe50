//! Hides secrets once more on the Server, whatever an agent sent (`security.md` 3.4). The runner, which alone sees the
//! output as it is written, masks first.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use security::masking::Masker;

/// What must not be seen in one task's log. Secrets can be added at any time; once added they stay.
#[derive(Default)]
pub struct Mask {
    known: RwLock<Masker>,
}

impl Mask {
    /// Hides these values from now on.
    pub fn add<'a>(&self, values: impl IntoIterator<Item = &'a str>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.add(values);
    }

    /// The text with every known secret replaced.
    #[must_use]
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.mask_text(text)
    }

    /// Whether a text was left out since the last call because it could not be searched.
    pub(super) fn take_failure(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.take_failure()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use security::masking::MASK;

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
