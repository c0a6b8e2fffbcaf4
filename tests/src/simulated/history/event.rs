//! What happened to what, as the clients saw it.

use std::fmt;

use crate::linear::Value;

/// Something that holds one thing at a time. All are absent when a run begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Register {
    /// An object's key in a bucket that stays.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A bucket that comes and goes, and its one key: absent, empty (ETag `""`) or the object.
    Bucket(String),
    /// A multipart upload: there until it is completed or aborted.
    Upload {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What the answer to its creation named it.
        id: String,
    },
    /// One part of an upload; gone when the upload is.
    Part {
        /// The upload.
        id: String,
        /// The part's number.
        number: u32,
    },
}

impl Register {
    /// An object's key.
    #[must_use]
    pub fn object(bucket: &str, key: &str) -> Self {
        Self::Object {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, key } => write!(out, "{bucket}/{key}"),
            Self::Bucket(name) => write!(out, "bucket {name}"),
            Self::Upload { bucket, key, id } => write!(out, "upload {id} of {bucket}/{key}"),
            Self::Part { id, number } => write!(out, "part {number} of upload {id}"),
        }
    }
}

/// What can be told of a thing by looking. What is not said may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Like {
    /// `x-amz-meta-value`.
    pub label: Option<u64>,
    /// One of these ETags, without quotes.
    pub etags: Option<Vec<String>>,
    /// Another ETag than this.
    pub not_etag: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
}

impl Like {
    /// Anything with this ETag, without quotes.
    #[must_use]
    pub fn etag(etag: &str) -> Self {
        Self {
            etags: Some(vec![etag.to_owned()]),
            ..Self::default()
        }
    }

    /// Anything with another ETag.
    #[must_use]
    pub fn not_etag(etag: &str) -> Self {
        Self {
            not_etag: Some(etag.to_owned()),
            ..Self::default()
        }
    }

    /// Whether a thing may be what was seen.
    #[must_use]
    pub fn fits(&self, thing: &Thing) -> bool {
        let etags = self.etags.as_ref();
        self.label.is_none_or(|label| thing.label == Some(label))
            && etags.is_none_or(|etags| etags.contains(&thing.etag))
            && self
                .not_etag
                .as_ref()
                .is_none_or(|etag| *etag != thing.etag)
            && self.size.is_none_or(|size| thing.size == size)
    }
}

/// A stored thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// `x-amz-meta-value`; unique to the call that wrote it, but for copies of it.
    pub label: Option<u64>,
    /// Without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// Absence, presence of something, or either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// Nothing is there.
    Absent,
    /// Something like this is there.
    Present(Like),
    /// Nothing, or something like this.
    AbsentOr(Like),
}

/// What a write leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// This.
    Thing(Thing),
    /// Nobody knows.
    Anything,
    /// What the source held, under the label if there is one, with the ETag if it was answered.
    Copy {
        /// The source.
        source: Register,
        /// The copy's own; else the source's goes along.
        label: Option<u64>,
        /// Without quotes.
        etag: Option<String>,
    },
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was made.
    Done,
    /// It was acknowledged, which says that it was made if its condition was met.
    IfMet,
    /// Nobody knows.
    Unknown,
}

/// What happened to a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Something was stored.
    Write {
        /// No other write has it.
        id: Value,
        /// What.
        made: Made,
        /// Only if this was there.
        only_if: Option<Sight>,
        /// How it ended.
        ended: Ended,
        /// The multipart upload whose completion it was.
        upload: Option<String>,
    },
    /// What was there was removed.
    Remove {
        /// Only if this was there.
        only_if: Option<Sight>,
        /// How it ended.
        ended: Ended,
    },
    /// Somebody looked.
    Read(Sight),
}

/// When, in ticks of one counter for all clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Who asked.
    pub client: u64,
    /// When it was asked.
    pub called: u64,
    /// When the answer was there, or was given up.
    pub answered: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Time,
    /// What.
    pub what: What,
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Time {
            client,
            called,
            answered,
        } = self.time;
        write!(out, "client {client} [{called}..{answered}] ")?;
        match &self.what {
            What::Read(sight) => write!(out, "saw {sight:?}"),
            What::Remove { only_if, ended } => {
                write!(out, "removed, {ended:?}")?;
                only_if
                    .iter()
                    .try_for_each(|sight| write!(out, ", if {sight:?}"))
            }
            What::Write {
                id,
                made,
                only_if,
                ended,
                upload,
            } => {
                write!(out, "wrote {id}: {made:?}, {ended:?}")?;
                only_if
                    .iter()
                    .try_for_each(|sight| write!(out, ", if {sight:?}"))?;
                upload
                    .iter()
                    .try_for_each(|id| write!(out, ", by upload {id}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_may_be_anything() {
        let thing = Thing {
            label: Some(7),
            etag: "e".into(),
            size: 3,
        };
        assert!(Like::default().fits(&thing));
        assert!(Like::etag("e").fits(&thing) && !Like::etag("f").fits(&thing));
        assert!(Like::not_etag("f").fits(&thing) && !Like::not_etag("e").fits(&thing));
        let label = |label| Like {
            label: Some(label),
            ..Like::default()
        };
        assert!(label(7).fits(&thing) && !label(8).fits(&thing));
        let size = |size| Like {
            size: Some(size),
            ..Like::default()
        };
        assert!(size(3).fits(&thing) && !size(4).fits(&thing));
    }
}
