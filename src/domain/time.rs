//! Points in time and spans as the wire writes them (`rest-api.md` 1.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not a time or a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {expected}.")]
pub struct NotATime {
    text: String,
    expected: &'static str,
}

/// Milliseconds since 1970-01-01 00:00 UTC; written `2024-05-01T10:00:00.000+00:00`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        self.0
    }
}

impl From<i64> for Timestamp {
    fn from(milliseconds: i64) -> Self {
        Self(milliseconds)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(formatter, "{}", time.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00"))
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        text.trim()
            .parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_millisecond()))
            .map_err(|_| NotATime {
                text: text.chars().take(60).collect(),
                expected: "a time such as 2024-05-01T10:00:00.000+00:00",
            })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A span in milliseconds; written `[d.]hh:mm:ss[.fffffff]`, for example `1.00:00:00`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(pub i64);

impl TimeSpan {
    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds * 1000)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.unsigned_abs();
        let (days, rest) = (total / 86_400_000, total % 86_400_000);
        if self.0 < 0 {
            formatter.write_str("-")?;
        }
        if days > 0 {
            write!(formatter, "{days}.")?;
        }
        write!(
            formatter,
            "{:02}:{:02}:{:02}",
            rest / 3_600_000,
            rest / 60_000 % 60,
            rest / 1000 % 60
        )?;
        if rest % 1000 > 0 {
            write!(formatter, ".{:03}0000", rest % 1000)
        } else {
            Ok(())
        }
    }
}

impl FromStr for TimeSpan {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        span(text.trim()).map(Self).ok_or_else(|| NotATime {
            text: text.chars().take(60).collect(),
            expected: "a span such as 01:00:00 or 1.00:00:00",
        })
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

fn span(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let digits = |part: &str, most: usize| -> Option<i64> {
        let plain = !part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse().ok()).flatten()
    };
    let mut parts = text.split(':');
    let (head, minutes, tail) = (parts.next()?, parts.next()?, parts.next()?);
    let (days, hours) = match head.split_once('.') {
        Some((days, hours)) => (digits(days, 8)?, digits(hours, 2)?),
        None => (0, digits(head, 2)?),
    };
    let (seconds, fraction) = match tail.split_once('.') {
        Some((seconds, fraction)) => {
            digits(fraction, 7)?;
            (digits(seconds, 2)?, digits(&format!("{fraction:0<3}")[..3], 3)?)
        }
        None => (digits(tail, 2)?, 0),
    };
    let minutes = digits(minutes, 2)?;
    let in_range = hours < 24 && minutes < 60 && seconds < 60 && parts.next().is_none();
    in_range.then_some(sign * ((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + fraction))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_written_with_its_offset() {
        assert_eq!(
            Timestamp(1_714_557_600_000).to_string(),
            "2024-05-01T10:00:00.000+00:00"
        );
        assert_eq!(
            "2024-05-01T12:00:00+02:00".parse(),
            Ok(Timestamp(1_714_557_600_000))
        );
        assert_eq!("2024-05-01T10:00:00Z".parse(), Ok(Timestamp(1_714_557_600_000)));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_span_is_written_as_the_clients_read_it() {
        assert_eq!(TimeSpan::seconds(3600).to_string(), "01:00:00");
        assert_eq!(TimeSpan::seconds(86_400).to_string(), "1.00:00:00");
        assert_eq!("00:00:01.5000000".parse(), Ok(TimeSpan(1500)));
        for wrong in [
            "",
            "1",
            "25:00:00",
            "00:61:00",
            "00:00:00:00",
            "a:b:c",
            "00:00:00.",
        ] {
            assert!(wrong.parse::<TimeSpan>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn spans_and_times_come_back(span in -1_000_000_000_000_i64..1_000_000_000_000, time in 0_i64..4_000_000_000_000) {
            prop_assert_eq!(TimeSpan(span).to_string().parse(), Ok(TimeSpan(span)));
            prop_assert_eq!(Timestamp(time).to_string().parse(), Ok(Timestamp(time)));
        }

        #[test]
        fn no_text_breaks_the_readers(text in ".{0,30}") {
            let _ = text.parse::<TimeSpan>().is_ok();
            let _ = text.parse::<Timestamp>().is_ok();
        }
    }
}
