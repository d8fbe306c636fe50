//! Numbers: read from texts as calculations, filters and typed reads take them, printed in their shortest form
//! (observed 1.18).

/// A text as a number: surrounding blanks, a leading sign, thousands commas before the point, a fraction, an exponent.
pub(crate) fn read(text: &str) -> Option<f64> {
    let text = trimmed(text);
    let plain = text.strip_prefix(['+', '-']).unwrap_or(text);
    if plain.eq_ignore_ascii_case("NaN") {
        return Some(f64::NAN);
    }
    if plain.eq_ignore_ascii_case("Infinity") {
        let negative = text.starts_with('-');
        return Some(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    if !plain.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let (whole, rest) = plain.split_at(plain.find(['.', 'e', 'E']).unwrap_or(plain.len()));
    let rest_is_numeric = rest
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !rest_is_numeric || !whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') {
        return None;
    }
    let sign = &text[..text.len() - plain.len()];
    format!("{sign}{}{rest}", whole.replace(',', "")).parse().ok()
}

/// A text as a number without thousands commas.
pub(crate) fn read_plain(text: &str) -> Option<f64> {
    if text.contains(',') { None } else { read(text) }
}

/// Without the blanks that numbers may have around them.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|character| matches!(character, '\t'..='\r' | ' '))
}

/// The shortest text that reads back as this number: with an exponent from 1E+17 up and below 1E-04.
pub(crate) fn print(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e17).contains(&size) {
        let scientific = format!("{number:E}");
        let (mantissa, exponent) = scientific.split_once('E').unwrap_or((&scientific, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}E{sign}{digits:0>2}");
    }
    format!("{number}")
}

/// A 32-bit integer as filters and reads take it: surrounding ASCII blanks and a sign are allowed.
pub(crate) fn int32(text: &str) -> Option<i32> {
    let text = trimmed(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
