//! Durations as they travel: `[d.]hh:mm:ss[.fffffff]` (`tentacle-protocol.md` 3.4).

use std::time::Duration;

/// "No timeout" on the wire: 2,147,483,647 ms.
const FOR_EVER: Duration = Duration::from_millis(i32::MAX as u64);

/// The longest duration that the original can read, in whole days.
const MOST_DAYS: u64 = 10_675_198;

pub(crate) fn format(duration: Duration) -> String {
    let whole = duration.as_secs().min(MOST_DAYS * 86_400);
    let (days, rest) = (whole / 86_400, whole % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    let ticks = duration.subsec_nanos() / 100;
    let clock = if ticks == 0 {
        clock
    } else {
        format!("{clock}.{ticks:07}")
    };
    if days == 0 {
        clock
    } else {
        format!("{days}.{clock}")
    }
}

pub(crate) fn format_timeout(timeout: Option<Duration>) -> String {
    format(timeout.unwrap_or(FOR_EVER))
}

/// Zero and the longest one mean that there is no timeout.
pub(crate) fn timeout_of(duration: Duration) -> Option<Duration> {
    (!duration.is_zero() && duration < FOR_EVER).then_some(duration)
}

/// None for anything else, negative durations included: no contract has a use for them.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (front, seconds) = text.rsplit_once(':')?;
    let (front, minutes) = front.rsplit_once(':')?;
    let (days, hours) = front.split_once('.').unwrap_or(("0", front));
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let (days, hours, minutes, seconds) = (digits(days)?, digits(hours)?, digits(minutes)?, digits(seconds)?);
    if days > MOST_DAYS || hours > 23 || minutes > 59 || seconds > 59 || fraction.len() > 7 {
        return None;
    }
    let ticks = digits(fraction)? * 10_u64.pow(7 - u32::try_from(fraction.len()).ok()?);
    let whole = days * 86_400 + hours * 3600 + minutes * 60 + seconds;
    Some(Duration::new(whole, u32::try_from(ticks * 100).ok()?))
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_the_recordings_are_read_and_written() {
        for (text, milliseconds) in [
            ("00:02:00", 120_000),
            ("00:00:05", 5_000),
            ("24.20:31:23.6470000", 2_147_483_647),
            ("00:00:00", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)));
            assert_eq!(format(Duration::from_millis(milliseconds)), text);
        }
        for wrong in [
            "",
            "5",
            "00:00",
            "-00:00:01",
            "00:00:60",
            "24:00:00",
            "a:b:c",
            "00:00:00.12345678",
            "+1:00:00",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ticks in 0..u64::MAX / 1_000_000) {
            let duration = Duration::from_nanos(ticks * 100);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[-+0-9:.]{0,30}") {
            let _ = parse(&text);
        }
    }
}
