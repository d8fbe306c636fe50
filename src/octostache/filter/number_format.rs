//! .NET number formats, invariant culture: standard (`C D E F G N P R X B`) and custom (`0 # . , % ‰ E0 ;`).

use crate::number;

/// More decimals than this are refused; they could fill the memory.
const MOST_DIGITS: usize = 100_000;
/// A custom format shows so many digits of a floating-point number.
const CUSTOM_DIGITS: usize = 15;
/// The most digits that a floating-point number needs to be read back.
const ROUND_TRIP_DIGITS: usize = 17;

/// What is formatted.
#[derive(Debug, Clone)]
pub(super) enum Number {
    Integer(i32),
    Double(f64),
    /// A decimal with its digits as written, trailing zeros included.
    Decimal(Digits),
}

/// Decimal digits without leading zeros, and how many of them stand before the point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Digits {
    negative: bool,
    digits: Vec<u8>,
    scale: i32,
    /// Minus zero exists, and the digits are rounded already.
    floating: bool,
}

impl Number {
    /// A decimal: surrounding blanks, a sign before or after, thousands commas, a point; at most 28 or 29 digits.
    pub(super) fn decimal(text: &str) -> Option<Self> {
        let text = number::trimmed(text);
        let (mut negative, mut plain) = match text.strip_prefix('-') {
            Some(plain) => (true, plain),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if plain.len() == text.len()
            && let Some(before) = plain.strip_suffix(['-', '+'])
        {
            negative = plain.ends_with('-');
            plain = number::trimmed(before);
        }
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits_only(&whole.replace(',', "")) || whole.starts_with(',') || !digits_only(fraction) {
            return None;
        }
        let whole: Vec<u8> = whole.bytes().filter(u8::is_ascii_digit).collect();
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits: Vec<u8> = whole.iter().copied().chain(fraction.bytes()).collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        let scale = i32::try_from(digits.len()).ok()? - i32::try_from(fraction.len()).ok()?;
        let mut number = Digits {
            negative,
            digits,
            scale,
            floating: false,
        };
        // 96 bits hold 28 digits, and 29 when they are small enough; 28 of them at most after the point.
        let largest = "79228162514264337593543950335";
        let after_point = 28 + scale.min(28);
        let mut most = 29.min(usize::try_from(after_point).unwrap_or_default());
        if most == 29 && number.digits.len() >= 29 && &number.digits[..29] > largest.as_bytes() {
            most = 28;
        }
        if number.digits.len() > most {
            number.round(i32::try_from(most).ok()?);
        }
        let too_large =
            number.scale > 29 || (number.scale == 29 && number.digits.as_slice() > largest.as_bytes());
        (!too_large).then_some(Self::Decimal(number))
    }
}

/// A number in a format; none when the format is bad for its type.
pub(super) fn format(number: &Number, format: &str) -> Option<String> {
    if let Number::Double(value) = number
        && !value.is_finite()
    {
        return Some(number::print(*value));
    }
    let mut rest = format.chars();
    match rest.next() {
        None => standard(number, 'G', None),
        Some(letter) if letter.is_ascii_alphabetic() && rest.clone().all(|digit| digit.is_ascii_digit()) => {
            let digits = rest.as_str();
            let precision = match digits {
                "" => None,
                _ => Some(
                    digits
                        .parse()
                        .ok()
                        .filter(|precision| *precision <= MOST_DIGITS)?,
                ),
            };
            standard(number, letter, precision)
        }
        Some(_) => Some(custom(
            number.digits(Rounding::Significant(CUSTOM_DIGITS)),
            format,
        )),
    }
}

/// How the digits of a floating-point number are cut.
enum Rounding {
    Shortest,
    Significant(usize),
    Decimals(usize),
}

fn standard(number: &Number, letter: char, precision: Option<usize>) -> Option<String> {
    let decimals = precision.unwrap_or(2);
    let fixed = |decimals: usize| {
        let mut digits = number.digits(Rounding::Decimals(decimals));
        digits.round_to_decimals(decimals);
        digits
    };
    match (letter.to_ascii_uppercase(), number) {
        ('C', _) => {
            let digits = fixed(decimals);
            let text = format!("¤{}", digits.fixed(decimals, true));
            Some(if digits.negative {
                format!("({text})")
            } else {
                text
            })
        }
        ('D', Number::Integer(value)) => {
            let width = precision.unwrap_or(0);
            let sign = if *value < 0 { "-" } else { "" };
            Some(format!("{sign}{:0width$}", value.unsigned_abs()))
        }
        ('X', Number::Integer(value)) => {
            let width = precision.unwrap_or(0);
            Some(if letter == 'X' {
                format!("{value:0width$X}")
            } else {
                format!("{value:0width$x}")
            })
        }
        ('B', Number::Integer(value)) => Some(format!("{value:0width$b}", width = precision.unwrap_or(0))),
        ('E', _) => {
            let decimals = precision.unwrap_or(6);
            let mut digits = number.digits(Rounding::Significant(decimals + 1));
            digits.round(i32::try_from(decimals + 1).ok()?);
            Some(digits.sign() + &digits.scientific(decimals, letter))
        }
        ('F', _) => {
            let digits = fixed(decimals);
            Some(digits.sign() + &digits.fixed(decimals, false))
        }
        ('N', _) => {
            let digits = fixed(decimals);
            Some(digits.sign() + &digits.fixed(decimals, true))
        }
        ('P', _) => {
            let mut digits = number.digits(Rounding::Decimals(decimals + 2));
            if !digits.digits.is_empty() {
                digits.scale += 2;
            }
            digits.round_to_decimals(decimals);
            Some(format!("{}{} %", digits.sign(), digits.fixed(decimals, true)))
        }
        ('G' | 'R', _) => {
            let exponent = if letter.is_ascii_uppercase() { 'E' } else { 'e' };
            let precision = precision.filter(|_| letter.eq_ignore_ascii_case(&'G'));
            // `G0` means as many digits as there are; a decimal loses only the zeros at its end.
            let precision = match (precision, number) {
                (Some(0), Number::Decimal(digits)) => Some(digits.digits.len().max(29)),
                (precision, _) => precision.filter(|precision| *precision > 0),
            };
            Some(general(number, precision, exponent))
        }
        _ => None,
    }
}

fn general(number: &Number, precision: Option<usize>, exponent: char) -> String {
    let Some(precision) = precision else {
        let digits = number.digits(Rounding::Shortest);
        let most = match number {
            Number::Double(_) => Some(digits.digits.len().max(ROUND_TRIP_DIGITS)),
            _ => None,
        };
        // Zero as a decimal has no sign, but its decimals.
        let sign = if digits.digits.is_empty() && !digits.floating {
            String::new()
        } else {
            digits.sign()
        };
        return sign + &digits.general(most, exponent);
    };
    let mut digits = number.digits(Rounding::Significant(precision));
    digits.round(i32::try_from(precision).unwrap_or(i32::MAX));
    digits.sign() + &digits.general(Some(precision), exponent)
}

impl Number {
    fn digits(&self, rounding: Rounding) -> Digits {
        match self {
            Self::Decimal(digits) => digits.clone(),
            Self::Integer(value) => Digits::of(*value < 0, &value.unsigned_abs().to_string(), 0, false),
            Self::Double(value) => {
                let size = value.abs();
                let negative = value.is_sign_negative();
                let written = match rounding {
                    Rounding::Shortest => format!("{size:e}"),
                    Rounding::Significant(count) => format!("{size:.*e}", count.max(1) - 1),
                    Rounding::Decimals(count) => {
                        let written = format!("{size:.count$}");
                        let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
                        let decimals = i32::try_from(fraction.len()).unwrap_or_default();
                        return Digits::of(negative, &format!("{whole}{fraction}"), -decimals, true);
                    }
                };
                let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
                let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
                let decimals = i32::try_from(fraction.len()).unwrap_or_default();
                let exponent: i32 = exponent.parse().unwrap_or_default();
                Digits::of(negative, &format!("{whole}{fraction}"), exponent - decimals, true)
            }
        }
    }
}

impl Digits {
    /// Digits times a power of ten.
    fn of(negative: bool, digits: &str, exponent: i32, floating: bool) -> Self {
        let trimmed = digits.trim_start_matches('0');
        let scale = i32::try_from(trimmed.len()).unwrap_or_default() + exponent;
        let kept = trimmed.trim_end_matches('0');
        Self {
            negative,
            digits: kept.as_bytes().to_vec(),
            scale: if kept.is_empty() { 0 } else { scale },
            floating,
        }
    }

    fn sign(&self) -> String {
        if self.negative { "-" } else { "" }.to_owned()
    }

    fn round_to_decimals(&mut self, decimals: usize) {
        self.round(
            self.scale
                .saturating_add(i32::try_from(decimals).unwrap_or(i32::MAX)),
        );
    }

    /// Keeps so many digits; half rounds away from zero, unless the digits are rounded already.
    fn round(&mut self, count: i32) {
        let count = usize::try_from(count).map_or(0, |count| count);
        let negative_count = self.digits.is_empty();
        if count < self.digits.len() {
            let up = !self.floating && self.digits[count] >= b'5';
            self.digits.truncate(count);
            if up {
                while self.digits.last() == Some(&b'9') {
                    self.digits.pop();
                }
                match self.digits.last_mut() {
                    Some(last) => *last += 1,
                    None => {
                        self.digits.push(b'1');
                        self.scale += 1;
                    }
                }
            }
        }
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.negative &= self.floating;
            if !negative_count {
                self.scale = 0;
            }
        }
    }

    fn digit(&self, position: i32) -> char {
        usize::try_from(position)
            .ok()
            .and_then(|position| self.digits.get(position))
            .map_or('0', |digit| char::from(*digit))
    }

    /// The part before the point, in groups of three when wanted, and so many decimals.
    fn fixed(&self, decimals: usize, groups: bool) -> String {
        let mut text = String::new();
        for position in 0..self.scale.max(1) {
            let before_point = self.scale.max(1) - position;
            if groups && position > 0 && before_point % 3 == 0 {
                text.push(',');
            }
            text.push(if self.scale > 0 { self.digit(position) } else { '0' });
        }
        if decimals > 0 {
            text.push('.');
            let decimals = i32::try_from(decimals).unwrap_or_default();
            text.extend((0..decimals).map(|position| self.digit(self.scale + position)));
        }
        text
    }

    fn scientific(&self, decimals: usize, letter: char) -> String {
        let mut text = String::from(self.digit(0));
        if decimals > 0 {
            text.push('.');
            let decimals = i32::try_from(decimals).unwrap_or_default();
            text.extend((1..=decimals).map(|position| self.digit(position)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.scale - 1 };
        text + &exponent_text(exponent, letter, 3, true)
    }

    /// As few digits as needed; with an exponent when more than `most` digits stand before the point or more than three
    /// zeros after it. None: never with an exponent.
    fn general(&self, most: Option<usize>, letter: char) -> String {
        let most = most.map(|most| i32::try_from(most).unwrap_or(i32::MAX));
        let scientific = most.is_some_and(|most| self.scale > most || self.scale < -3);
        let before_point = if scientific { 1 } else { self.scale };
        let mut text = String::new();
        if before_point > 0 {
            text.extend((0..before_point).map(|position| self.digit(position)));
        } else {
            text.push('0');
        }
        let count = i32::try_from(self.digits.len()).unwrap_or_default();
        if count > before_point.max(0) || before_point < 0 {
            text.push('.');
            text.extend((before_point..0).map(|_| '0'));
            text.extend((before_point.max(0)..count).map(|position| self.digit(position)));
        }
        if scientific {
            text += &exponent_text(self.scale - 1, letter, 2, true);
        }
        text
    }
}

fn exponent_text(exponent: i32, letter: char, width: usize, plus: bool) -> String {
    let sign = match exponent {
        ..0 => "-",
        _ if plus => "+",
        _ => "",
    };
    format!("{letter}{sign}{:0width$}", exponent.unsigned_abs())
}

/// One part of a custom format: the pattern up to a `;` outside of quotes.
fn sections(format: &str) -> Vec<Vec<char>> {
    let mut sections = vec![Vec::new()];
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        let last = sections.len() - 1;
        match character {
            ';' => {
                sections.push(Vec::new());
                continue;
            }
            '\\' => {
                sections[last].push(character);
                sections[last].extend(characters.next());
            }
            '\'' | '"' => {
                sections[last].push(character);
                for inside in characters.by_ref() {
                    sections[last].push(inside);
                    if inside == character {
                        break;
                    }
                }
            }
            _ => sections[last].push(character),
        }
    }
    sections
}

/// What a pattern asks for.
#[derive(Default)]
struct Layout {
    places: i32,
    point: Option<i32>,
    first_zero: Option<i32>,
    last_zero: i32,
    scientific: bool,
    groups: bool,
    shift: i32,
}

fn layout(pattern: &[char]) -> Layout {
    let mut layout = Layout::default();
    let mut comma: Option<(i32, i32)> = None;
    let mut position = 0;
    while let Some(character) = pattern.get(position) {
        position += 1;
        match character {
            '#' => layout.places += 1,
            '0' => {
                layout.first_zero.get_or_insert(layout.places);
                layout.places += 1;
                layout.last_zero = layout.places;
            }
            '.' => {
                layout.point.get_or_insert(layout.places);
            }
            ',' if layout.places > 0 && layout.point.is_none() => match &mut comma {
                Some((at, count)) if *at == layout.places => *count += 1,
                other => {
                    layout.groups |= other.is_some();
                    *other = Some((layout.places, 1));
                }
            },
            '%' => layout.shift += 2,
            '‰' => layout.shift += 3,
            '\'' | '"' => position += literal_length(&pattern[position..], *character),
            '\\' => position += 1,
            'E' | 'e' => {
                if let Some((zeros, signs)) = exponent_zeros(&pattern[position..]) {
                    position += zeros + signs;
                    layout.scientific = true;
                }
            }
            _ => {}
        }
    }
    let point = *layout.point.get_or_insert(layout.places);
    if let Some((at, count)) = comma {
        if at == point {
            layout.shift -= count * 3;
        } else {
            layout.groups = true;
        }
    }
    layout
}

/// How long a quoted literal is, with its closing quote.
fn literal_length(after_quote: &[char], quote: char) -> usize {
    after_quote
        .iter()
        .position(|character| *character == quote)
        .map_or(after_quote.len(), |end| end + 1)
}

/// After an `E`: how many zeros, and whether a sign stands before them.
fn exponent_zeros(after: &[char]) -> Option<(usize, usize)> {
    let signs = usize::from(matches!(after.first(), Some('+' | '-')));
    let zeros = after[signs..]
        .iter()
        .take_while(|character| **character == '0')
        .count();
    (zeros > 0).then_some((zeros, signs))
}

fn custom(mut digits: Digits, format: &str) -> String {
    let sections = sections(format);
    let chosen = |wanted: usize| {
        if sections.get(wanted).is_some_and(|section| !section.is_empty()) {
            wanted
        } else {
            0
        }
    };
    let mut section = if digits.digits.is_empty() {
        chosen(2)
    } else if digits.negative {
        chosen(1)
    } else {
        0
    };
    // A custom format rounds once more, whatever the digits come from.
    let floating = std::mem::replace(&mut digits.floating, false);
    let mut layout = layout(&sections[section]);
    if digits.digits.is_empty() {
        digits.negative &= floating;
        digits.scale = 0;
    } else {
        let negative = digits.negative;
        digits.scale += layout.shift;
        let point = layout.point.unwrap_or_default();
        digits.round(if layout.scientific {
            layout.places
        } else {
            digits.scale + layout.places - point
        });
        if digits.digits.is_empty() {
            digits.negative = negative && floating;
            if chosen(2) != section {
                section = chosen(2);
                layout = self::layout(&sections[section]);
            }
        }
    }
    let text = laid_out(&digits, &layout, &sections[section]);
    if digits.negative && section == 0 && !text.is_empty() {
        format!("-{text}")
    } else {
        text
    }
}

fn laid_out(digits: &Digits, layout: &Layout, pattern: &[char]) -> String {
    let point = layout.point.unwrap_or_default();
    let first_zero = layout.first_zero.map_or(0, |first| (point - first).max(0));
    let last_zero = (point - layout.last_zero).min(0);
    // The place of the next digit, counted from the point to the left; and digits that the pattern has no place for.
    let (mut place, mut surplus) = if layout.scientific {
        (point, 0)
    } else {
        (digits.scale.max(point), digits.scale - point)
    };
    let mut next = digits.digits.iter().copied().map(char::from).peekable();
    let mut output = String::new();
    let mut scientific = layout.scientific;
    let mut point_written = false;
    let grouped = |output: &mut String, place: i32| {
        if layout.groups && place > 1 && (place - 1) % 3 == 0 {
            output.push(',');
        }
    };
    let mut position = 0;
    while let Some(&character) = pattern.get(position) {
        position += 1;
        if matches!(character, '#' | '0' | '.') {
            while surplus > 0 {
                output.push(next.next().unwrap_or('0'));
                grouped(&mut output, place);
                place -= 1;
                surplus -= 1;
            }
        }
        match character {
            '#' | '0' => {
                let digit = if surplus < 0 {
                    surplus += 1;
                    (place <= first_zero).then_some('0')
                } else {
                    next.next().or((place > last_zero).then_some('0'))
                };
                if let Some(digit) = digit {
                    output.push(digit);
                    grouped(&mut output, place);
                }
                place -= 1;
            }
            '.' if place == 0 && !point_written => {
                if last_zero < 0 || (point < layout.places && next.peek().is_some()) {
                    output.push('.');
                    point_written = true;
                }
            }
            '.' | ',' => {}
            '\'' | '"' => {
                let length = literal_length(&pattern[position..], character);
                let literal = &pattern[position..position + length];
                output.extend(literal.iter().filter(|inside| **inside != character));
                position += length;
            }
            '\\' => {
                output.extend(pattern.get(position));
                position += 1;
            }
            'E' | 'e' => match exponent_zeros(&pattern[position..]) {
                Some((zeros, signs)) if scientific => {
                    let plus = pattern[position] == '+';
                    let exponent = if digits.digits.is_empty() {
                        0
                    } else {
                        digits.scale - point
                    };
                    output += &exponent_text(exponent, character, zeros.min(10), plus);
                    position += zeros + signs;
                    scientific = false;
                }
                _ => {
                    output.push(character);
                    if let Some(sign @ ('+' | '-')) = pattern.get(position) {
                        output.push(*sign);
                        position += 1;
                    }
                    while pattern.get(position) == Some(&'0') {
                        output.push('0');
                        position += 1;
                    }
                }
            },
            _ => output.push(character),
        }
    }
    output
}
