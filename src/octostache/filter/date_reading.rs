//! Reads dates: ISO forms, `yyyy/MM/dd`, `MM/dd/yyyy`, names of months, RFC 1123; with or without time and offset
//! ("Variable templates" 9; observed 1.34).

use super::date::{Civil, Date, TICKS_IN_SECOND, Zone};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Reads a date; none when it is none.
pub(super) fn read(text: &str) -> Option<Date> {
    if text.len() > 200 {
        return None;
    }
    let mut reader = Reader {
        tokens: tokens(text)?,
        position: 0,
        weekday: None,
        day: None,
        time: None,
        zone: None,
    };
    reader.all()?;
    reader.date()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Number(&'a str),
    Word(&'a str),
    Sign(char),
    Blank,
}

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let end_of = |holds: fn(char) -> bool| rest.find(|character| !holds(character)).unwrap_or(rest.len());
        let (token, end) = if first.is_ascii_digit() {
            let end = end_of(|character| character.is_ascii_digit());
            (Token::Number(&rest[..end]), end)
        } else if first.is_ascii_alphabetic() {
            let end = end_of(|character| character.is_ascii_alphabetic());
            (Token::Word(&rest[..end]), end)
        } else if first.is_whitespace() {
            (Token::Blank, end_of(char::is_whitespace))
        } else if matches!(first, '-' | '/' | '.' | ',' | ':' | '+') {
            (Token::Sign(first), 1)
        } else {
            return None;
        };
        tokens.push(token);
        rest = &rest[end..];
    }
    Some(tokens)
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    position: usize,
    weekday: Option<usize>,
    day: Option<(i64, i64, i64)>,
    /// Hour, minute, second, ticks.
    time: Option<(i64, i64, i64, i64)>,
    zone: Option<Zone>,
}

impl<'a> Reader<'a> {
    fn all(&mut self) -> Option<()> {
        while self.position < self.tokens.len() {
            match self.tokens[self.position] {
                Token::Blank | Token::Sign(',') => self.position += 1,
                Token::Word(word) => self.word(word)?,
                Token::Number(_) => self.number()?,
                Token::Sign('+' | '-') if self.time.is_some() && self.zone.is_none() => self.offset()?,
                Token::Sign(_) => return None,
            }
        }
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.position += 1;
        if let Some(weekday) = named(&WEEKDAYS, word) {
            return self.weekday.replace(weekday).is_none().then_some(());
        }
        match word.to_ascii_uppercase().as_str() {
            "T" if self.day.is_some() && self.time.is_none() && self.number_at(0).is_some() => Some(()),
            "Z" | "GMT" if self.time.is_some() => self.zone.replace(Zone::Utc).is_none().then_some(()),
            half @ ("AM" | "PM" | "A" | "P") => self.half_of_day(half.starts_with('P')),
            _ => {
                let month = named(&MONTHS, word)? as i64 + 1;
                self.after_month(month)
            }
        }
    }

    /// `Jul 4, 2031`, `July 4`, `July 2031`.
    fn after_month(&mut self, month: i64) -> Option<()> {
        self.separators();
        let first = self.take_number()?;
        if first.len() > 2 {
            return self.set_day(year_of(first)?, month, 1);
        }
        let day = first.parse().ok()?;
        let kept = self.position;
        self.separators();
        match self.number_at(0) {
            Some(year) if !self.is_time() => {
                self.position += 1;
                self.set_day(year_of(year)?, month, day)
            }
            _ => {
                self.position = kept;
                self.set_day(this_year(), month, day)
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.is_time() || (self.day.is_some() && self.time.is_none()) {
            return self.clock();
        }
        let first = self.take_number()?;
        let separator = self.separators();
        if let Some(Token::Word(word)) = self.token(0) {
            // `4 July 2031`, `2031 July 4`
            let month = named(&MONTHS, word)? as i64 + 1;
            self.position += 1;
            if first.len() > 2 {
                self.separators();
                let day = self.take_number()?.parse().ok()?;
                return self.set_day(year_of(first)?, month, day);
            }
            let kept = self.position;
            self.separators();
            if self.number_at(0).is_some() && !self.is_time() {
                let year = self.take_number()?;
                return self.set_day(year_of(year)?, month, first.parse().ok()?);
            }
            self.position = kept;
            return self.set_day(this_year(), month, first.parse().ok()?);
        }
        separator?;
        let second = self.take_number()?;
        let kept = self.position;
        let third = match self.separators() {
            Some(again) if Some(again) == separator && self.number_at(0).is_some() && !self.is_time() => {
                self.take_number()
            }
            _ => {
                self.position = kept;
                None
            }
        };
        let of = |digits: &str| digits.parse::<i64>().ok();
        match third {
            Some(third) if first.len() > 2 => self.set_day(year_of(first)?, of(second)?, of(third)?),
            Some(third) => self.set_day(year_of(third)?, of(first)?, of(second)?),
            None if first.len() > 2 => self.set_day(year_of(first)?, of(second)?, 1),
            None if second.len() > 2 => self.set_day(year_of(second)?, of(first)?, 1),
            None => self.set_day(this_year(), of(first)?, of(second)?),
        }
    }

    /// `18:30`, `18:30:05.123`, `6 PM`.
    fn clock(&mut self) -> Option<()> {
        if self.time.is_some() {
            return None;
        }
        let hour = two_digits(self.take_number()?)?;
        let mut time = (hour, 0, 0, 0);
        if !self.take_sign(':') {
            self.time = Some(time);
            let kept = self.position;
            while self.token(0) == Some(Token::Blank) {
                self.position += 1;
            }
            // An hour alone is no time without its half of the day.
            let half = matches!(self.token(0), Some(Token::Word(word)) if matches!(word.to_ascii_uppercase().as_str(), "AM" | "PM" | "A" | "P"));
            self.position = kept;
            return half.then_some(());
        }
        time.1 = two_digits(self.take_number()?)?;
        if self.take_sign(':') {
            time.2 = two_digits(self.take_number()?)?;
            if self.take_sign('.') {
                time.3 = ticks_of_fraction(self.take_number()?)?;
            }
        }
        self.time = Some(time);
        Some(())
    }

    fn half_of_day(&mut self, afternoon: bool) -> Option<()> {
        let time = self.time.as_mut()?;
        time.0 = match (time.0, afternoon) {
            (12, false) => 0,
            (12, true) => 12,
            (hour @ 0..=11, true) => hour + 12,
            (hour @ 0..=11, false) => hour,
            _ => return None,
        };
        Some(())
    }

    /// `+02:00`, `-3`, `+0530`.
    fn offset(&mut self) -> Option<()> {
        let sign = if self.tokens[self.position] == Token::Sign('-') {
            -1
        } else {
            1
        };
        self.position += 1;
        let digits = self.take_number()?;
        let (hours, minutes) = if self.take_sign(':') {
            (two_digits(digits)?, two_digits(self.take_number()?)?)
        } else if digits.len() == 4 {
            (two_digits(&digits[..2])?, two_digits(&digits[2..])?)
        } else {
            (two_digits(digits)?, 0)
        };
        let minutes = i32::try_from(hours * 60 + minutes)
            .ok()
            .filter(|all| minutes < 60 && *all <= 14 * 60)?;
        self.zone = Some(Zone::Offset(sign * minutes));
        Some(())
    }

    fn date(&self) -> Option<Date> {
        let (year, month, day) = match self.day {
            Some(day) => day,
            None => {
                self.time?;
                let today = Date::now(false).civil();
                (today.year, today.month, today.day)
            }
        };
        let (hour, minute, second, fraction) = self.time.unwrap_or_default();
        let civil = Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            fraction,
        };
        let date = Date {
            ticks: civil.ticks()?,
            zone: self.zone.unwrap_or(Zone::Unknown),
        };
        (self.weekday.is_none_or(|weekday| weekday == date.weekday())).then_some(date)
    }

    fn set_day(&mut self, year: i64, month: i64, day: i64) -> Option<()> {
        self.day.replace((year, month, day)).is_none().then_some(())
    }

    fn is_time(&self) -> bool {
        matches!(self.token(0), Some(Token::Number(_))) && self.token(1) == Some(Token::Sign(':'))
    }

    /// Blanks, commas and one of `- / .`; the sign among them, or a blank.
    fn separators(&mut self) -> Option<char> {
        let mut found = None;
        loop {
            match self.token(0) {
                Some(Token::Blank | Token::Sign(',')) => found = found.or(Some(' ')),
                Some(Token::Sign(sign @ ('-' | '/' | '.'))) if found.is_none_or(|sign| sign == ' ') => {
                    found = Some(sign);
                }
                _ => return found,
            }
            self.position += 1;
        }
    }

    fn token(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.position + ahead).copied()
    }

    fn number_at(&self, ahead: usize) -> Option<&'a str> {
        match self.token(ahead) {
            Some(Token::Number(digits)) => Some(digits),
            _ => None,
        }
    }

    fn take_number(&mut self) -> Option<&'a str> {
        let digits = self.number_at(0)?;
        self.position += 1;
        Some(digits)
    }

    fn take_sign(&mut self, sign: char) -> bool {
        let there = self.token(0) == Some(Token::Sign(sign));
        if there {
            self.position += 1;
        }
        there
    }
}

/// The position of a name, whole or by its first three letters.
fn named(names: &[&str], word: &str) -> Option<usize> {
    names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(word) || name[..3].eq_ignore_ascii_case(word))
}

fn two_digits(digits: &str) -> Option<i64> {
    (digits.len() <= 2).then(|| digits.parse().ok())?
}

/// Years of two digits are those from 1950 to 2049.
fn year_of(digits: &str) -> Option<i64> {
    let year: i64 = digits.parse().ok()?;
    match digits.len() {
        1 | 2 if year < 50 => Some(2000 + year),
        1 | 2 => Some(1900 + year),
        3 | 4 => Some(year),
        _ => None,
    }
}

fn this_year() -> i64 {
    Date::now(false).civil().year
}

/// Digits after the point, rounded to ticks.
fn ticks_of_fraction(digits: &str) -> Option<i64> {
    let padded = format!("{digits:0<8}");
    let ticks: i64 = padded.get(..7)?.parse().ok()?;
    let up = padded.as_bytes().get(7).is_some_and(|digit| *digit >= b'5');
    Some((ticks + i64::from(up)).min(TICKS_IN_SECOND - 1))
}
