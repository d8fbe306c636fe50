//! Values as truths, numbers as texts and the other way round.

use super::evaluation::Item;

/// Whether a value counts as true.
pub(super) fn is_true(value: &[Item]) -> bool {
    match value.first() {
        None => false,
        Some(Item::Node(_)) => true,
        Some(Item::Boolean(truth)) => *truth,
        Some(Item::Number(number)) => *number != 0.0 && !number.is_nan(),
        Some(Item::Text(text)) => !text.is_empty(),
    }
}

/// The number that a text is: digits with a point and a sign, else not a number.
pub(super) fn read_number(text: &str) -> f64 {
    let text = text.trim_matches(crate::xml::is_blank);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits
        .chars()
        .all(|character| character.is_ascii_digit() || character == '.');
    if plain {
        text.parse().unwrap_or(f64::NAN)
    } else {
        f64::NAN
    }
}

/// A number as XPath writes it.
pub(super) fn show_number(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    number.to_string()
}
