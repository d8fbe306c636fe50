//! Numbers of calculations: read from texts, printed in their shortest form (observed 1.18).

/// A text as a number: surrounding blanks, a leading sign, thousands commas, a fraction, an exponent.
pub(crate) fn read(text: &str) -> Option<f64> {
    let text = text.trim();
    match text {
        "NaN" => return Some(f64::NAN),
        "Infinity" | "+Infinity" => return Some(f64::INFINITY),
        "-Infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let plain = text.trim_start_matches(['+', '-']);
    let numeric = text.len() - plain.len() <= 1
        && plain.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && plain.chars().all(|character| {
            character.is_ascii_digit() || matches!(character, '.' | ',' | 'e' | 'E' | '+' | '-')
        });
    if !numeric {
        return None;
    }
    text.replace(',', "").parse().ok()
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
