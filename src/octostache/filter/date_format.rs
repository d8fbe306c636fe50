//! .NET date formats, invariant culture.

use super::date::{Date, Zone};
use super::date_reading::{MONTHS, WEEKDAYS};
use std::fmt::Write;

/// Whether a date knows its offset always (DateTimeOffset) or only sometimes (DateTime): some letters differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Date,
    WithOffset,
}

/// The date in a format, standard or custom; none when the format is bad.
pub(super) fn format(date: Date, kind: Kind, format: &str) -> Option<String> {
    let mut letters = format.chars();
    match (letters.next(), letters.next()) {
        (None, _) => {
            let default = match kind {
                Kind::Date => "MM/dd/yyyy HH:mm:ss",
                Kind::WithOffset => "MM/dd/yyyy HH:mm:ss zzz",
            };
            custom(date, default)
        }
        (Some(letter), None) => standard(date, kind, letter),
        _ => custom(date, format),
    }
}

fn standard(date: Date, kind: Kind, letter: char) -> Option<String> {
    let in_utc = || match kind {
        Kind::Date => Some(date),
        Kind::WithOffset => date.utc(),
    };
    match letter {
        'd' => custom(date, "MM/dd/yyyy"),
        'D' => custom(date, "dddd, dd MMMM yyyy"),
        'f' => custom(date, "dddd, dd MMMM yyyy HH:mm"),
        'F' => custom(date, "dddd, dd MMMM yyyy HH:mm:ss"),
        'g' => custom(date, "MM/dd/yyyy HH:mm"),
        'G' => custom(date, "MM/dd/yyyy HH:mm:ss"),
        'm' | 'M' => custom(date, "MMMM dd"),
        'o' | 'O' => custom(date, "yyyy-MM-ddTHH:mm:ss.fffffffK"),
        'r' | 'R' => custom(in_utc()?, "ddd, dd MMM yyyy HH:mm:ss 'GMT'"),
        's' => custom(date, "yyyy-MM-ddTHH:mm:ss"),
        't' => custom(date, "HH:mm"),
        'T' => custom(date, "HH:mm:ss"),
        'u' => custom(in_utc()?, "yyyy-MM-dd HH:mm:ss'Z'"),
        'U' if kind == Kind::Date => custom(date.utc()?, "dddd, dd MMMM yyyy HH:mm:ss"),
        'y' | 'Y' => custom(date, "yyyy MMMM"),
        _ => None,
    }
}

fn custom(date: Date, format: &str) -> Option<String> {
    let civil = date.civil();
    let mut output = String::new();
    let mut rest = format;
    while let Some(letter) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches(letter).len();
        let count = run / letter.len_utf8();
        let number = |output: &mut String, value: i64, width: usize| {
            // Writing to a String cannot fail.
            let _ = write!(output, "{value:0width$}");
        };
        let mut taken = run;
        match letter {
            'd' => match count {
                1 | 2 => number(&mut output, civil.day, count),
                3 => output.push_str(&WEEKDAYS[date.weekday()][..3]),
                _ => output.push_str(WEEKDAYS[date.weekday()]),
            },
            'M' => {
                let name = MONTHS[usize::try_from(civil.month - 1).unwrap_or_default()];
                match count {
                    1 | 2 => number(&mut output, civil.month, count),
                    3 => output.push_str(&name[..3]),
                    _ => output.push_str(name),
                }
            }
            'y' => match count {
                1 | 2 => number(&mut output, civil.year % 100, count),
                _ => number(&mut output, civil.year, count),
            },
            'g' => output.push_str("A.D."),
            'h' => number(&mut output, (civil.hour + 11) % 12 + 1, count.min(2)),
            'H' => number(&mut output, civil.hour, count.min(2)),
            'm' => number(&mut output, civil.minute, count.min(2)),
            's' => number(&mut output, civil.second, count.min(2)),
            'f' | 'F' if count > 7 => return None,
            'f' => output.push_str(&format!("{:07}", civil.fraction)[..count]),
            'F' => {
                let digits = format!("{:07}", civil.fraction);
                let digits = digits[..count].trim_end_matches('0');
                if digits.is_empty() && output.ends_with('.') {
                    output.pop();
                }
                output.push_str(digits);
            }
            't' => {
                let half = if civil.hour < 12 { "AM" } else { "PM" };
                output.push_str(&half[..count.min(2)]);
            }
            'z' => offset(&mut output, date.minutes(), count),
            'K' => {
                taken = 1;
                match date.zone {
                    Zone::Unknown => {}
                    Zone::Utc => output.push('Z'),
                    Zone::Offset(minutes) | Zone::Local(minutes) => offset(&mut output, minutes, 3),
                }
            }
            '\'' | '"' => taken = quoted(rest, letter, &mut output)?,
            '\\' => {
                let escaped = rest[1..].chars().next()?;
                output.push(escaped);
                taken = 1 + escaped.len_utf8();
            }
            '%' => {
                // A single letter as a custom format.
                let single = rest[1..].chars().next().filter(|letter| *letter != '%')?;
                output.push_str(&custom(date, single.encode_utf8(&mut [0; 4]))?);
                taken = 1 + single.len_utf8();
            }
            _ => {
                output.push(letter);
                taken = letter.len_utf8();
            }
        }
        rest = &rest[taken..];
    }
    Some(output)
}

fn offset(output: &mut String, minutes: i32, count: usize) {
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    output.push_str(&match count {
        1 => format!("{sign}{hours}"),
        2 => format!("{sign}{hours:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    });
}

/// Copies what stands between quotes; how many bytes that took, or none when the end is missing.
fn quoted(text: &str, quote: char, output: &mut String) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    loop {
        match characters.next()? {
            (_, '\\') => output.push(characters.next()?.1),
            (position, character) if character == quote => return Some(position + 1),
            (_, character) => output.push(character),
        }
    }
}
