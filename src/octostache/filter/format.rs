//! The filters `Format`, `NowDate`, `NowDateUtc`, `AddHours` and `AddDays`.

use super::Answer;
use super::date::{Date, Zone};
use super::date_format::{self, Kind};
use super::date_reading;
use super::number_format::{self, Number};
use crate::number::{int32, read, read_plain};

/// A number or date in a .NET format: the format alone, or a type and the format.
pub(super) fn format(input: &str, arguments: &[String]) -> Option<String> {
    match arguments {
        [format] => match Number::decimal(input) {
            Some(number) => number_format::format(&number, format),
            None => with_offset(input, format),
        },
        [kind, format] => match kind.to_ascii_lowercase().as_str() {
            "int" | "int32" => number_format::format(&Number::Integer(int32(input)?), format),
            "double" => number_format::format(&Number::Double(read(input)?), format),
            "decimal" => number_format::format(&Number::decimal(input)?, format),
            "date" | "datetime" => {
                date_format::format(date_reading::read(input)?.local()?, Kind::Date, format)
            }
            "datetimeoffset" => with_offset(input, format),
            _ => None,
        },
        _ => None,
    }
}

fn with_offset(input: &str, format: &str) -> Option<String> {
    let date = date_reading::read(input)?.with_offset()?;
    date_format::format(date, Kind::WithOffset, format)
}

/// The moment now; in the round-trip form unless a format is given.
pub(super) fn now(arguments: &[String], utc: bool) -> Answer {
    let format = match arguments {
        [] => "o",
        [format] => format,
        _ => return Ok(None),
    };
    match date_format::format(Date::now(utc), Kind::Date, format) {
        Some(text) => Ok(Some(text)),
        None => Err(format!("{format:?} is not a date format")),
    }
}

/// A date moved by a number of units of so many ticks, in the round-trip form.
pub(super) fn shifted(input: &str, arguments: &[String], unit: i64) -> Option<String> {
    let [amount] = arguments else { return None };
    let amount = read_plain(amount).filter(|amount| amount.abs() < 1e9)?;
    let date = date_reading::read(input)?;
    // Whole units and the rest apart, as the original does: the product of both would lose ticks.
    let whole = amount.trunc();
    let ticks = (whole as i64) * unit + ((amount - whole) * unit as f64) as i64;
    let moved = date.later(ticks)?;
    let zone = match moved.zone {
        Zone::Local(_) => Zone::Unknown,
        zone => zone,
    };
    date_format::format(Date { zone, ..moved }, Kind::Date, "o")
}
