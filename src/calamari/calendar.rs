//! Dates of journal entries and archives: days of the Gregorian calendar to seconds since 1970, and back.

/// Days from 1970-01-01 to this day.
pub fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the odd day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// `yyyy-MM-dd HH:mm:ss` in UTC.
pub fn format(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Seconds since 1970 of `yyyy-MM-dd HH:mm:ss` in UTC; none when it is written otherwise.
pub fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.trim().split_once([' ', 'T'])?;
    let three = |text: &str, separator: char| -> Option<[i64; 3]> {
        let parts: Vec<i64> = text
            .split(separator)
            .map(|part| {
                part.bytes()
                    .all(|byte| byte.is_ascii_digit())
                    .then(|| part.parse().ok())?
            })
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(time, ':')?;
    let sound = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    sound.then(|| days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_texts_agree() {
        assert_eq!(days_before(1970, 1, 1), 0);
        assert_eq!(format(0), "1970-01-01 00:00:00");
        assert_eq!(format(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(format(951_782_400), "2000-02-29 00:00:00");
        for text in [
            "",
            "2000-02-29",
            "2000-13-01 00:00:00",
            "2000-02-29 24:00:00",
            "+200-02-29 00:00:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for day in [0, 58, 59, 60, 10_956, 11_015, 11_016, 47_540] {
            let text = format(day * 86_400);
            let parts: Vec<i64> = text[..10]
                .split('-')
                .map(|part| part.parse().expect("digits"))
                .collect();
            assert_eq!(days_before(parts[0], parts[1], parts[2]), day, "{text}");
            assert_eq!(parse(&text), Some(day * 86_400));
        }
    }
}
