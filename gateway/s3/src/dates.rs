//! Points in time as S3 writes and reads them.
//!
//! | form | example | used in |
//! |---|---|---|
//! | HTTP date | `Sun, 06 Nov 1994 08:49:37 GMT` | `Last-Modified`, `If-*`, `Date` |
//! | ISO 8601 | `2009-10-12T17:50:30.000Z` | XML documents |
//! | basic ISO 8601 | `20130524T000000Z` | `x-amz-date` |
//!
//! HTTP dates are also read in their two obsolete forms (RFC 850 and asctime).

use time::{Date, Month, OffsetDateTime, Time, UtcDateTime};

/// Milliseconds since the Unix epoch, UTC: the wall clock's unit. Always before the year 10000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59.999Z.
const LAST_MILLIS: u64 = 253_402_300_799_999;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A date as it is written. Every answer has two and a listing one for each key: `format!` took a sixth of
/// the time of a listing.
struct Digits(String);

impl Digits {
    fn with_capacity(length: usize) -> Self {
        Self(String::with_capacity(length))
    }

    fn put(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    /// The last `places` decimal places of a number.
    fn number(&mut self, number: u32, places: u32) -> &mut Self {
        for place in (0..places).rev() {
            let digit = number / 10_u32.pow(place) % 10;
            self.0.push(char::from_digit(digit, 10).unwrap_or('0'));
        }
        self
    }

    fn two(&mut self, number: u8) -> &mut Self {
        self.number(number.into(), 2)
    }

    /// From 1970 to 9999.
    fn year(&mut self, year: i32) -> &mut Self {
        self.number(year.unsigned_abs(), 4)
    }
}

impl Timestamp {
    /// From the wall clock; later than the year 9999 counts as its end.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(LAST_MILLIS))
    }

    #[cfg(test)]
    pub(crate) const fn from_test_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch: the precision of every HTTP date.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    #[must_use]
    pub fn to_http_date(self) -> String {
        let at = self.calendar();
        let mut text = Digits::with_capacity(29);
        text.put(named(&DAYS, at.weekday().number_days_from_monday()));
        text.put(", ").two(at.day()).put(" ");
        text.put(named(&MONTHS, u8::from(at.month()) - 1));
        text.put(" ").year(at.year()).put(" ");
        text.two(at.hour()).put(":").two(at.minute());
        text.put(":").two(at.second()).put(" GMT");
        text.0
    }

    /// `2009-10-12T17:50:30.000Z`.
    #[must_use]
    pub fn to_iso8601(self) -> String {
        let at = self.calendar();
        let mut text = Digits::with_capacity(24);
        text.year(at.year()).put("-").two(u8::from(at.month()));
        text.put("-").two(at.day()).put("T");
        text.two(at.hour()).put(":").two(at.minute());
        text.put(":").two(at.second()).put(".");
        text.number(at.millisecond().into(), 3).put("Z");
        text.0
    }

    /// `20130524T000000Z`; its first eight characters are the date of a credential scope.
    #[must_use]
    pub fn to_basic(self) -> String {
        let at = self.calendar();
        let mut text = Digits::with_capacity(16);
        text.year(at.year()).two(u8::from(at.month())).two(at.day());
        text.put("T").two(at.hour()).two(at.minute());
        text.two(at.second()).put("Z");
        text.0
    }

    /// Reads an HTTP date in any of its three forms; `None` for everything else and for times
    /// before 1970.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        match *words.as_slice() {
            [weekday, day, month, year, clock, zone] => {
                is_weekday(weekday.strip_suffix(',')?)?;
                is_utc(zone)?;
                assemble(decimal(year, 4)?, month, day_of_month(day)?, clock)
            }
            [weekday, date, clock, zone] => {
                is_weekday(weekday.strip_suffix(',')?)?;
                is_utc(zone)?;
                let mut fields = date.split('-');
                let (day, month, year) = (fields.next()?, fields.next()?, fields.next()?);
                if fields.next().is_some() {
                    return None;
                }
                // RFC 9110: two digits are read as the nearest past; none of ours is before 1970.
                let short = decimal(year, 2)?;
                let year = if short < 70 {
                    2_000 + short
                } else {
                    1_900 + short
                };
                assemble(year, month, day_of_month(day)?, clock)
            }
            [weekday, month, day, clock, year] => {
                is_weekday(weekday)?;
                assemble(decimal(year, 4)?, month, day_of_month(day)?, clock)
            }
            _ => None,
        }
    }

    /// Reads `2009-10-12T17:50:30Z`, with or without a fraction of a second; UTC only.
    #[must_use]
    pub fn from_iso8601(text: &str) -> Option<Self> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let mut fields = date.split('-');
        let (year, month, day) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        if fraction.is_empty() || fraction.len() > 9 || !all_digits(fraction) {
            return None;
        }
        let millis = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let month = Month::try_from(u8::try_from(decimal(month, 2)?).ok()?).ok()?;
        let day = u8::try_from(decimal(day, 2)?).ok()?;
        from_parts(decimal(year, 4)?, month, day, time_of_day(clock)?, millis)
    }

    /// Reads `20130524T000000Z`.
    #[must_use]
    pub fn from_basic(text: &str) -> Option<Self> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        if date.len() != 8 || clock.len() != 6 || !all_digits(date) || !all_digits(clock) {
            return None;
        }
        let two = |text: &str, at: usize| -> Option<u8> { text.get(at..at + 2)?.parse().ok() };
        let month = Month::try_from(two(date, 4)?).ok()?;
        let clock = Time::from_hms(two(clock, 0)?, two(clock, 2)?, two(clock, 4)?).ok()?;
        from_parts(decimal(date.get(..4)?, 4)?, month, two(date, 6)?, clock, 0)
    }

    fn calendar(self) -> OffsetDateTime {
        // The bound of the type keeps this in range; the epoch stands in for the impossible.
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// The calendar keeps `index` within the table.
fn named(table: &[&'static str], index: u8) -> &'static str {
    table.get(usize::from(index)).copied().unwrap_or_default()
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn decimal(text: &str, digits: usize) -> Option<i32> {
    (text.len() == digits && all_digits(text)).then(|| text.parse().ok())?
}

fn day_of_month(text: &str) -> Option<u8> {
    (text.len() <= 2 && all_digits(text)).then(|| text.parse().ok())?
}

fn is_weekday(text: &str) -> Option<()> {
    let short = text.get(..3)?;
    DAYS.iter()
        .any(|day| day.eq_ignore_ascii_case(short))
        .then_some(())
}

fn is_utc(zone: &str) -> Option<()> {
    matches!(zone, "GMT" | "UTC" | "+0000" | "-0000").then_some(())
}

fn time_of_day(clock: &str) -> Option<Time> {
    let mut fields = clock.split(':').map(|field| decimal(field, 2));
    let (hour, minute, second) = (fields.next()??, fields.next()??, fields.next()??);
    if fields.next().is_some() {
        return None;
    }
    let small = |field: i32| u8::try_from(field).ok();
    Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()
}

fn assemble(year: i32, month: &str, day: u8, clock: &str) -> Option<Timestamp> {
    let index = MONTHS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(month))?;
    let month = Month::try_from(u8::try_from(index + 1).ok()?).ok()?;
    from_parts(year, month, day, time_of_day(clock)?, 0)
}

fn from_parts(year: i32, month: Month, day: u8, clock: Time, millis: u64) -> Option<Timestamp> {
    let date = Date::from_calendar_date(year, month, day).ok()?;
    let seconds = u64::try_from(UtcDateTime::new(date, clock).unix_timestamp()).ok()?;
    Some(Timestamp(seconds * 1_000 + millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 1994-11-06T08:49:37Z, the example of RFC 9110.
    const RFC: Timestamp = Timestamp(784_111_777_000);

    #[test]
    fn the_three_http_forms_are_one_time() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 +0000",
        ] {
            assert_eq!(Timestamp::from_http_date(text), Some(RFC), "{text}");
        }
        assert_eq!(RFC.to_http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(RFC.to_iso8601(), "1994-11-06T08:49:37.000Z");
        assert_eq!(RFC.to_basic(), "19941106T084937Z");
    }

    #[test]
    fn two_digit_years_turn_at_the_epoch() {
        let year = |text: &str| Timestamp::from_http_date(text).unwrap().to_iso8601();
        assert!(year("Thursday, 01-Jan-70 00:00:00 GMT").starts_with("1970"));
        assert!(year("Friday, 01-Jan-69 00:00:00 GMT").starts_with("2069"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "Bad Date",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1950 08:49:37 GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06-Nov-94-1 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(Timestamp::from_http_date(text), None, "{text}");
        }
        for text in [
            "",
            "20130524T000000",
            "20130524 000000Z",
            "2013052T000000Z",
            "20131324T000000Z",
            "20130524T240000Z",
            "20130524T0000+0Z",
        ] {
            assert_eq!(Timestamp::from_basic(text), None, "{text}");
        }
        for text in [
            "2013-05-24",
            "2013-05-24T00:00:00",
            "2013-05-24T00:00:00.Z",
            "2013-5-24T00:00:00Z",
            "2013-05-24T00:00:00+01:00",
            "2013-05-24-1T00:00:00Z",
        ] {
            assert_eq!(Timestamp::from_iso8601(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_are_cut_to_milliseconds() {
        let millis = |text: &str| Timestamp::from_iso8601(text).unwrap().millis() % 1_000;
        assert_eq!(millis("2013-05-24T00:00:00Z"), 0);
        assert_eq!(millis("2013-05-24T00:00:00.5Z"), 500);
        assert_eq!(millis("2013-05-24T00:00:00.123456789Z"), 123);
    }

    #[test]
    fn time_ends_with_the_year_9999() {
        assert_eq!(
            Timestamp::from_millis(u64::MAX).to_iso8601(),
            "9999-12-31T23:59:59.999Z"
        );
    }

    proptest! {
        #[test]
        fn every_form_comes_back(millis in 0..=LAST_MILLIS) {
            let at = Timestamp::from_millis(millis);
            let second = Timestamp(at.seconds() * 1_000);
            prop_assert_eq!(Timestamp::from_http_date(&at.to_http_date()), Some(second));
            prop_assert_eq!(Timestamp::from_basic(&at.to_basic()), Some(second));
            prop_assert_eq!(Timestamp::from_iso8601(&at.to_iso8601()), Some(at));
        }

        #[test]
        fn reading_never_panics(text: String) {
            let _ = Timestamp::from_http_date(&text);
            let _ = Timestamp::from_basic(&text);
            let _ = Timestamp::from_iso8601(&text);
        }
    }
}
