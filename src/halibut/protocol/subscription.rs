//! The name under which a polling agent takes its requests.

use std::fmt;

/// `poll://<id>/`: scheme and host in lower case, an absent path as `/` (`tentacle-protocol.md` 2.3).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscription(String);

/// A text that names no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a subscription; it looks like poll://abcdefghjklmnpqrstuv/")]
pub struct SubscriptionError(String);

const SCHEME: &str = "poll://";

impl Subscription {
    /// Reads and canonicalises. At most 300 characters of printable ASCII.
    pub fn parse(text: &str) -> Result<Self, SubscriptionError> {
        let wrong = || SubscriptionError(text.chars().take(80).collect());
        if text.len() > 300 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong());
        }
        let scheme = text
            .get(..SCHEME.len())
            .filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
        let rest = scheme.map(|_| &text[SCHEME.len()..]).ok_or_else(wrong)?;
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let host_is_plain = host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if host.is_empty() || !host_is_plain {
            return Err(wrong());
        }
        Ok(Self(format!("{SCHEME}{}{path}", host.to_ascii_lowercase())))
    }

    /// The canonical URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_subscription_are_equal() {
        let canonical = Subscription::parse("poll://abcdefghjklmnpqrstuv/").expect("canonical");
        for spelling in ["poll://ABCDEFGHJKLMNPQRSTUV", "POLL://abcdefghjklmnpqrstuv/"] {
            assert_eq!(Subscription::parse(spelling).expect(spelling), canonical);
        }
        for wrong in [
            "",
            "poll://",
            "https://abc/",
            "poll://a b/",
            "poll://ab\u{e9}/",
            "poll:/abc/",
        ] {
            assert!(Subscription::parse(wrong).is_err(), "{wrong}");
        }
    }
}
