//! Points in time: TOML dates and date-times, as Unix time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use toml::value::{Datetime, Offset};

/// Text in one of TOML's (RFC 3339's) forms. A date alone is its first moment; without an offset it is UTC.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let moment: Datetime = text.parse().ok()?;
    let date = moment.date?;
    let time = moment.time.map_or(0, |time| {
        let second = u64::from(time.second.unwrap_or(0));
        u64::from(time.hour) * 3600 + u64::from(time.minute) * 60 + second
    });
    let offset = match moment.offset {
        Some(Offset::Custom { minutes }) => i64::from(minutes) * 60,
        Some(Offset::Z) | None => 0,
    };
    let days = days_since_epoch(
        i64::from(date.year),
        i64::from(date.month),
        i64::from(date.day),
    );
    let seconds = days * 86_400 + i64::try_from(time).ok()? - offset;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, after Howard Hinnant's `days_from_civil`.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> Option<u64> {
        Some(parse(text)?.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    #[test]
    fn dates_and_offsets_are_unix_time() {
        assert_eq!(unix("1970-01-01"), Some(0));
        assert_eq!(unix("2000-03-01"), Some(951_868_800));
        assert_eq!(unix("2026-12-31T23:59:59Z"), Some(1_798_761_599));
        assert_eq!(unix("2027-01-01T01:59:59+02:00"), Some(1_798_761_599));
        assert_eq!(unix("12:00:00"), None);
        assert_eq!(unix("soon"), None);
    }
}
