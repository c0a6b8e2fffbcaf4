//! `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`.
//!
//! Reads are judged here, by AWS's precedence: a passed `If-Match` silences `If-Unmodified-Since`,
//! an `If-None-Match` silences `If-Modified-Since`. Writes are only parsed here; the state machine
//! judges them where no other write can come between, with [`WriteConditions::check`].

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};

use crate::dates::Timestamp;
use crate::error::{Code, S3Error};
use crate::head::Head;

/// `*`, or entity tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtagMatch {
    /// Whatever is there.
    Any,
    /// One of these, without quotes.
    OneOf(Vec<String>),
}

impl EtagMatch {
    /// Reads `*` or a list; quotes and `W/` do not matter. `None` for an empty text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let bare = |tag: &str| {
            let tag = tag.trim();
            tag.strip_prefix("W/")
                .unwrap_or(tag)
                .trim_matches('"')
                .to_owned()
        };
        let tags: Vec<String> = text
            .split(',')
            .map(bare)
            .filter(|tag| !tag.is_empty())
            .collect();
        (!tags.is_empty()).then_some(Self::OneOf(tags))
    }

    /// Whether an existing object with this ETag (without quotes) is meant.
    #[must_use]
    pub fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag == etag),
        }
    }
}

/// The conditions of a GET, HEAD or copy source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadConditions {
    if_match: Option<EtagMatch>,
    if_none_match: Option<EtagMatch>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Send the object.
    Proceed,
    /// 304, with the object's validators and no body.
    NotModified,
    /// 412 naming the header.
    Failed(&'static str),
}

impl ReadConditions {
    /// Reads a head. A date that is none is no condition, as in HTTP.
    ///
    /// # Errors
    /// `InvalidArgument` for a header given twice.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Self::named(
            head,
            [
                IF_MATCH.as_str(),
                IF_NONE_MATCH.as_str(),
                IF_MODIFIED_SINCE.as_str(),
                IF_UNMODIFIED_SINCE.as_str(),
            ],
        )
    }

    /// The same for the source of a copy.
    ///
    /// # Errors
    /// `InvalidArgument` for a header given twice.
    pub fn of_copy_source(head: &Head) -> Result<Self, S3Error> {
        Self::named(
            head,
            [
                "x-amz-copy-source-if-match",
                "x-amz-copy-source-if-none-match",
                "x-amz-copy-source-if-modified-since",
                "x-amz-copy-source-if-unmodified-since",
            ],
        )
    }

    fn named(head: &Head, names: [&str; 4]) -> Result<Self, S3Error> {
        let [matches, none_match, modified, unmodified] = names;
        let date = |name| {
            head.header(name)
                .map(|text| text.and_then(Timestamp::from_http_date))
        };
        Ok(Self {
            if_match: tags(head, matches)?,
            if_none_match: tags(head, none_match)?,
            if_modified_since: date(modified)?,
            if_unmodified_since: date(unmodified)?,
        })
    }

    /// Judges an object by its ETag (without quotes) and time.
    #[must_use]
    pub fn evaluate(&self, etag: &str, modified: Timestamp) -> ReadOutcome {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches(etag) => return ReadOutcome::Failed("If-Match"),
            (None, Some(date)) if modified.seconds() > date.seconds() => {
                return ReadOutcome::Failed("If-Unmodified-Since");
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.matches(etag) => ReadOutcome::NotModified,
            (None, Some(date)) if modified.seconds() <= date.seconds() => ReadOutcome::NotModified,
            _ => ReadOutcome::Proceed,
        }
    }
}

/// The conditions of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteConditions {
    /// The object must be there, and be one of these.
    pub if_match: Option<EtagMatch>,
    /// No such object may be there.
    pub if_none_match: Option<EtagMatch>,
}

impl WriteConditions {
    /// Reads a head.
    ///
    /// # Errors
    /// `InvalidArgument` for a header given twice.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Ok(Self {
            if_match: tags(head, IF_MATCH.as_str())?,
            if_none_match: tags(head, IF_NONE_MATCH.as_str())?,
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Judges them against the ETag (without quotes) of what is there now.
    ///
    /// # Errors
    /// `NoSuchKey` for `If-Match` on nothing, else `PreconditionFailed` naming the header.
    pub fn check(&self, current: Option<&str>) -> Result<(), S3Error> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(S3Error::new(Code::NoSuchKey)),
            (Some(tags), Some(etag)) if !tags.matches(etag) => return Err(failed("If-Match")),
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(tags), Some(etag)) if tags.matches(etag) => Err(failed("If-None-Match")),
            _ => Ok(()),
        }
    }
}

/// The conditions of a deletion. What is not there meets all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteConditions {
    /// By entity tag.
    pub etags: WriteConditions,
    /// The object must have been written in this second.
    pub modified: Option<Timestamp>,
    /// The object must have this length in bytes.
    pub size: Option<u64>,
}

impl DeleteConditions {
    /// Reads a head.
    ///
    /// # Errors
    /// `InvalidArgument` for a header given twice, a time or a size that is none.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        const MODIFIED: &str = "x-amz-if-match-last-modified-time";
        const SIZE: &str = "x-amz-if-match-size";
        let modified = head.header(MODIFIED)?.map(|text| time(MODIFIED, text));
        let size = head.header(SIZE)?.map(|text| length(SIZE, text));
        Ok(Self {
            etags: WriteConditions::from_head(head)?,
            modified: modified.transpose()?,
            size: size.transpose()?,
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A time in HTTP's form or in that of ISO 8601.
pub(crate) fn time(name: &'static str, text: &str) -> Result<Timestamp, S3Error> {
    Timestamp::from_http_date(text)
        .or_else(|| Timestamp::from_iso8601(text))
        .ok_or_else(|| S3Error::argument(name, text, "The time is not valid."))
}

/// A length in bytes.
pub(crate) fn length(name: &'static str, text: &str) -> Result<u64, S3Error> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let size = text.parse().ok().filter(|_| digits);
    size.ok_or_else(|| S3Error::argument(name, text, "The size is not a number of bytes."))
}

fn tags(head: &Head, name: &str) -> Result<Option<EtagMatch>, S3Error> {
    Ok(head.header(name)?.and_then(EtagMatch::parse))
}

/// `PreconditionFailed`, naming the header.
#[must_use]
pub fn failed(condition: &'static str) -> S3Error {
    S3Error::new(Code::PreconditionFailed).with("Condition", condition)
}

#[cfg(test)]
mod tests;
