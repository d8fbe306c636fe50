//! A date with a time in ticks, as .NET counts them, and what it knows of its zone.

use jiff::civil;
use jiff::tz::TimeZone;

/// Ticks are tenths of a microsecond.
pub(super) const TICKS_IN_SECOND: i64 = 10_000_000;
pub(super) const TICKS_IN_HOUR: i64 = 3600 * TICKS_IN_SECOND;
const TICKS_IN_DAY: i64 = 24 * TICKS_IN_HOUR;
/// The first tick after the year 9999.
const END: i64 = 3_652_059 * TICKS_IN_DAY;

/// A moment on the clock of some zone, from the year 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    /// Ticks on that clock since the beginning of the year 1.
    pub ticks: i64,
    pub zone: Zone,
}

/// What is known of the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Unknown,
    Utc,
    /// Minutes east of Greenwich, as it was written.
    Offset(i32),
    /// Minutes east of Greenwich of the machine's own zone.
    Local(i32),
}

/// Year, month, day, hour, minute, second, and ticks within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub fraction: i64,
}

impl Civil {
    /// Ticks since the beginning of the year 1, when there is such a moment.
    pub(super) fn ticks(&self) -> Option<i64> {
        let valid = (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second);
        valid.then(|| {
            days_before(self.year, self.month, self.day) * TICKS_IN_DAY
                + (self.hour * 3600 + self.minute * 60 + self.second) * TICKS_IN_SECOND
                + self.fraction
        })
    }
}

impl Date {
    /// The moment now, on the machine's clock or that of Greenwich.
    pub(super) fn now(utc: bool) -> Self {
        let now = jiff::Timestamp::now();
        let ticks = unix_ticks(now) + UNIX_EPOCH;
        if utc {
            return Self {
                ticks,
                zone: Zone::Utc,
            };
        }
        let minutes = TimeZone::system().to_offset(now).seconds() / 60;
        Self {
            ticks: ticks + i64::from(minutes) * 60 * TICKS_IN_SECOND,
            zone: Zone::Unknown,
        }
    }

    /// Later by so many ticks; none outside the years 1 to 9999.
    pub(super) fn later(self, ticks: i64) -> Option<Self> {
        let moved = Self {
            ticks: self.ticks.checked_add(ticks)?,
            ..self
        };
        let utc = moved.ticks.checked_sub(moved.offset_ticks())?;
        ((0..END).contains(&moved.ticks) && (0..END).contains(&utc)).then_some(moved)
    }

    /// With an offset: what has none is taken as local.
    pub(super) fn with_offset(self) -> Option<Self> {
        let zone = match self.zone {
            Zone::Unknown => Zone::Offset(self.local_minutes()),
            Zone::Utc => Zone::Offset(0),
            Zone::Offset(minutes) | Zone::Local(minutes) => Zone::Offset(minutes),
        };
        let date = Self { zone, ..self };
        (0..END)
            .contains(&(date.ticks - date.offset_ticks()))
            .then_some(date)
    }

    /// On the machine's clock, when its offset is known.
    pub(super) fn local(self) -> Option<Self> {
        if self.zone == Zone::Unknown {
            return Some(self);
        }
        let utc = self.ticks - self.offset_ticks();
        let seconds = (utc - UNIX_EPOCH).div_euclid(TICKS_IN_SECOND);
        let moment = jiff::Timestamp::from_second(seconds).ok()?;
        let minutes = TimeZone::system().to_offset(moment).seconds() / 60;
        let ticks = utc + i64::from(minutes) * 60 * TICKS_IN_SECOND;
        (0..END).contains(&ticks).then_some(Self {
            ticks,
            zone: Zone::Local(minutes),
        })
    }

    /// On the clock of Greenwich; what has no offset is taken as local.
    pub(super) fn utc(self) -> Option<Self> {
        let known = match self.zone {
            Zone::Unknown => self.with_offset()?,
            _ => self,
        };
        let ticks = known.ticks - known.offset_ticks();
        (0..END).contains(&ticks).then_some(Self {
            ticks,
            zone: Zone::Utc,
        })
    }

    /// Minutes east of Greenwich; those of the machine's zone when nothing is known.
    pub(super) fn minutes(&self) -> i32 {
        match self.zone {
            Zone::Unknown => self.local_minutes(),
            Zone::Utc => 0,
            Zone::Offset(minutes) | Zone::Local(minutes) => minutes,
        }
    }

    pub(super) fn civil(&self) -> Civil {
        let days = self.ticks.div_euclid(TICKS_IN_DAY);
        let rest = self.ticks.rem_euclid(TICKS_IN_DAY);
        let seconds = rest / TICKS_IN_SECOND;
        // 400 years are 146,097 days; within them the year is found from above.
        let mut year = days / 366 + 1;
        while days_before(year + 1, 1, 1) <= days {
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days_before(year, month + 1, 1) <= days {
            month += 1;
        }
        Civil {
            year,
            month,
            day: days - days_before(year, month, 1) + 1,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            fraction: rest % TICKS_IN_SECOND,
        }
    }

    /// 0 = Sunday.
    pub(super) fn weekday(&self) -> usize {
        // The year 1 begins on a Monday.
        usize::try_from((self.ticks.div_euclid(TICKS_IN_DAY) + 1).rem_euclid(7)).unwrap_or_default()
    }

    fn offset_ticks(&self) -> i64 {
        match self.zone {
            Zone::Unknown | Zone::Utc => 0,
            Zone::Offset(minutes) | Zone::Local(minutes) => i64::from(minutes) * 60 * TICKS_IN_SECOND,
        }
    }

    fn local_minutes(&self) -> i32 {
        let civil = self.civil();
        let part = |number: i64| i8::try_from(number).unwrap_or_default();
        let year = i16::try_from(civil.year).unwrap_or_default();
        let Ok(moment) = civil::DateTime::new(
            year,
            part(civil.month),
            part(civil.day),
            part(civil.hour),
            part(civil.minute),
            part(civil.second),
            0,
        ) else {
            return 0;
        };
        // Of a moment that the clock skips or repeats, jiff takes the earlier offset, as .NET does for its standard time.
        TimeZone::system()
            .to_ambiguous_zoned(moment)
            .compatible()
            .map_or(0, |zoned| zoned.offset().seconds() / 60)
    }
}

const UNIX_EPOCH: i64 = 719_162 * TICKS_IN_DAY;

fn unix_ticks(moment: jiff::Timestamp) -> i64 {
    i64::try_from(moment.as_nanosecond().div_euclid(100)).unwrap_or_default()
}

pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    before * 365 + before / 4 - before / 100 + before / 400 + months + day - 1
}
