//! The wall clock, as SigV4 writes it.

use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

const AMZ_DATE: &[FormatItem<'static>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// `20130524T000000Z`: the present moment, `ahead` seconds on.
#[must_use]
pub fn amz_date(ahead: i64) -> String {
    let moment = OffsetDateTime::now_utc() + time::Duration::seconds(ahead);
    moment.format(AMZ_DATE).unwrap_or_default()
}

/// The same of a moment, in seconds since 1970; empty for one that no calendar has.
#[must_use]
pub fn amz_date_at(unix_secs: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix_secs).ok();
    let text = moment.and_then(|moment| moment.format(AMZ_DATE).ok());
    text.unwrap_or_default()
}

/// `2026-11-20`: the day of a moment, in UTC.
#[must_use]
pub fn day(moment: std::time::SystemTime) -> String {
    OffsetDateTime::from(moment).date().to_string()
}

/// Nanoseconds since 1970: a name that no earlier run has used.
#[must_use]
pub fn nanoseconds() -> i128 {
    OffsetDateTime::now_utc().unix_timestamp_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_utc() {
        let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * 366 - 1);
        assert_eq!(day(moment), "1971-01-01");
    }

    #[test]
    fn has_sixteen_characters_and_moves() {
        let now = amz_date(0);
        assert_eq!(now.len(), 16);
        assert!(now.ends_with('Z') && now.contains('T'));
        assert!(amz_date(-3_600) < now && now < amz_date(3_600));
    }
}
