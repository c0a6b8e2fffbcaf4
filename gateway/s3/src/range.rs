//! The `Range` header: one run of bytes. Anything else (several ranges, another unit, nonsense) is
//! no range, and the whole object is sent, as HTTP allows and AWS does.

use http::header::{CONTENT_RANGE, HeaderValue};

use crate::error::{Code, S3Error};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-`
    From(u64),
    /// `bytes=first-last`, both included.
    FromTo(u64, u64),
    /// `bytes=-count`
    Last(u64),
}

/// A run of bytes that is there: never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub first: u64,
    /// Last byte, included.
    pub last: u64,
    /// Length of the whole object.
    pub total: u64,
}

impl ByteRange {
    /// Reads the header.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.trim().split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", count) => Some(Self::Last(position(count)?)),
            (first, "") => Some(Self::From(position(first)?)),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }

    /// The bytes meant, in an object of `total` bytes.
    ///
    /// # Errors
    /// `InvalidRange` if none of them is there.
    pub fn resolve(self, total: u64) -> Result<Span, S3Error> {
        let end = total.checked_sub(1);
        let span = match (self, end) {
            (Self::From(first), Some(end)) if first <= end => Some((first, end)),
            (Self::FromTo(first, last), Some(end)) if first <= end => Some((first, last.min(end))),
            (Self::Last(count), Some(end)) if count > 0 => Some((total.saturating_sub(count), end)),
            _ => None,
        };
        let (first, last) = span.ok_or_else(|| self.unsatisfiable(total))?;
        Ok(Span { first, last, total })
    }

    fn unsatisfiable(self, total: u64) -> S3Error {
        let error = S3Error::new(Code::InvalidRange)
            .with("RangeRequested", self.to_string())
            .with("ActualObjectSize", total.to_string());
        match HeaderValue::try_from(format!("bytes */{total}")) {
            Ok(value) => error.header(CONTENT_RANGE, value),
            Err(_) => error,
        }
    }
}

impl std::fmt::Display for ByteRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::FromTo(first, last) => write!(f, "bytes={first}-{last}"),
            Self::Last(count) => write!(f, "bytes=-{count}"),
        }
    }
}

impl Span {
    /// Number of bytes, at least 1.
    #[must_use]
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of `Content-Range`.
    #[must_use]
    pub fn content_range(self) -> String {
        format!("bytes {}-{}/{}", self.first, self.last, self.total)
    }
}

/// A number beyond u64 is beyond every object.
fn position(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_forms_are_read() {
        assert_eq!(ByteRange::parse("bytes=5-"), Some(ByteRange::From(5)));
        assert_eq!(ByteRange::parse("bytes=5-9"), Some(ByteRange::FromTo(5, 9)));
        assert_eq!(ByteRange::parse("Bytes = -7"), Some(ByteRange::Last(7)));
        let huge = "bytes=99999999999999999999-";
        assert_eq!(ByteRange::parse(huge), Some(ByteRange::From(u64::MAX)));
    }

    #[test]
    fn everything_else_is_no_range() {
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=9-5",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=+1-2",
            "bytes=1-2-3",
            "1-2",
        ] {
            assert_eq!(ByteRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_are_cut_at_the_end() {
        let span = ByteRange::FromTo(4, 100).resolve(11).unwrap();
        assert_eq!((span.first, span.last, span.length()), (4, 10, 7));
        assert_eq!(span.content_range(), "bytes 4-10/11");
        let span = ByteRange::Last(100).resolve(11).unwrap();
        assert_eq!((span.first, span.length()), (0, 11));
    }

    #[test]
    fn what_is_not_there_is_416_with_the_size() {
        for (range, total) in [
            (ByteRange::FromTo(40, 50), 11),
            (ByteRange::From(11), 11),
            (ByteRange::Last(0), 11),
            (ByteRange::From(0), 0),
            (ByteRange::Last(5), 0),
        ] {
            let error = range.resolve(total).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRange, "{range}");
            assert_eq!(error.status().as_u16(), 416);
            assert_eq!(
                error.field("ActualObjectSize"),
                Some(total.to_string().as_str())
            );
        }
    }

    proptest! {
        #[test]
        fn a_span_lies_inside(text in "bytes=[0-9]{0,21}-[0-9]{0,21}", total: u64) {
            let Some(range) = ByteRange::parse(&text) else { return Ok(()) };
            prop_assert_eq!(ByteRange::parse(&range.to_string()), Some(range));
            if let Ok(span) = range.resolve(total) {
                prop_assert!(span.first <= span.last && span.last < total);
                prop_assert!(span.length() <= total);
            }
        }
    }
}
