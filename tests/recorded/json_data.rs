//! JSON texts as data: blanks, comments, quotes, the order of members and the spelling of numbers aside.

use std::collections::BTreeMap;

use calamari::lenient_json::Json;

use crate::difference::same;

/// A value.
#[derive(Debug, PartialEq)]
enum Data {
    Null,
    Boolean(bool),
    Whole(i64),
    Number(String),
    Text(String),
    Array(Vec<Data>),
    Object(BTreeMap<String, Data>),
}

/// Compares two texts; an empty one counts as `{}`.
///
/// # Errors
/// When they say different things, or one is no JSON.
pub fn same_data(ours: &str, recorded: &str) -> Result<(), String> {
    same("JSON", data(ours)?, data(recorded)?)
}

fn data(text: &str) -> Result<Data, String> {
    if text.is_empty() {
        return Ok(Data::Object(BTreeMap::new()));
    }
    Ok(of(Json::read(text)?))
}

fn of(json: Json) -> Data {
    match json {
        Json::Null => Data::Null,
        Json::Boolean(flag) => Data::Boolean(flag),
        Json::Number(text) => number(&text),
        Json::Text(text) => Data::Text(text),
        Json::Array(items) => Data::Array(items.into_iter().map(of).collect()),
        // Of a repeated member the last counts.
        Json::Object(members) => Data::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, of(value)))
                .collect(),
        ),
    }
}

fn number(text: &str) -> Data {
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).map(Data::Whole);
    let lower = text.to_ascii_lowercase();
    if let Some(Ok(data)) = lower.strip_prefix("0x").map(|digits| radix(digits, 16)) {
        return data;
    }
    if lower.len() > 1
        && lower.starts_with('0')
        && let Ok(data) = radix(&lower, 8)
    {
        return data;
    }
    if let Ok(whole) = lower.parse() {
        return Data::Whole(whole);
    }
    match lower.parse::<f64>() {
        // The spelling that leads back to the same number.
        Ok(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
            radix(&format!("{value:.0}"), 10).unwrap_or(Data::Number(lower))
        }
        Ok(value) => Data::Number(format!("{value:e}")),
        Err(_) => Data::Number(lower),
    }
}
