//! The object a copy reads: found, allowed, judged by the conditions on it, and read.
//!
//! ```text
//!   attempt:  read the row ── conditions ── (bytes) ── propose, naming the row's version or chunks
//!      ^                                        │                │
//!      └──── the source changed meanwhile <─────┴────────────────┘     at most `COPY_TRIES` times
//! ```
//!
//! So the conditions hold for the very bytes that were copied.

use std::ops::Range;

use bytes::Bytes;
use cairn_model::{DomainId, limits};
use cairn_s3::conditions::{self, ReadConditions, ReadOutcome};
use cairn_s3::copy_source::CopySource;
use cairn_s3::digest::Algorithm;
use cairn_s3::{Code, S3Error, Timestamp};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;

use super::copy_body::CopyBody;
use super::get_object;
use crate::data::layout::Layout;
use crate::data::reader::Reader;
use crate::data::session::Entered;
use crate::error;
use crate::metadata::CommitError;
use crate::pipeline::Call;

/// What a copy asks of its source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) source: &'a CopySource,
    pub(super) conditions: &'a ReadConditions,
    /// The account that must own the source's bucket.
    pub(super) owner: Option<&'a str>,
}

/// One version of an object that may be copied.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) bucket: wire::Bucket,
    pub(super) object: wire::Object,
}

/// Why an attempt at a copy came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// The source is no longer what was read of it.
    Changed,
    /// Its bytes could not be had, and nothing was committed. They may have gone with a change.
    Bytes(S3Error),
    /// For good.
    Told(S3Error),
}

impl From<CommitError> for Failed {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused {
                refusal: Refusal::SourceChanged | Refusal::NoSuchChunk,
                ..
            } => Self::Changed,
            other => Self::Told(error::of_commit(other)),
        }
    }
}

impl From<S3Error> for Failed {
    fn from(error: S3Error) -> Self {
        Self::Told(error)
    }
}

impl Failed {
    /// Whether to try again: only where the source has changed.
    ///
    /// # Errors
    /// What to tell the client where not.
    pub(super) async fn again(self, call: &Call, source: &Source) -> Result<(), S3Error> {
        match self {
            Self::Changed => Ok(()),
            Self::Told(error) => Err(error),
            Self::Bytes(error) => {
                let now = row(call, source.bucket.id, &source.object.key).await?;
                match now {
                    Some(now) if now.version == source.object.version => Err(error),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What a client is told whose source changed in every attempt.
pub(super) fn never_stood_still() -> S3Error {
    let message = "The source of the copy is being changed. Please try again.";
    S3Error::because(Code::ServiceUnavailable, message)
}

/// The current row of a key.
async fn row(call: &Call, bucket: u64, key: &Bytes) -> Result<Option<wire::Object>, S3Error> {
    let query = wire::GetObject {
        bucket,
        key: key.clone(),
    };
    let answer = call.gateway.path.metadata.object(query).await;
    Ok(answer.map_err(error::of_query)?.object)
}

impl Source {
    /// Finds the source. The session must have been entered before.
    ///
    /// # Errors
    /// `NoSuchBucket`, `AccessDenied`, `NoSuchVersion`, `NoSuchKey`, `PreconditionFailed`.
    pub(super) async fn find(call: &Call, asked: Asked<'_>) -> Result<Self, S3Error> {
        let bucket = bucket(call, asked).await?;
        get_object::check_version(asked.source.version_id.as_deref())?;
        let name = asked.source.key.as_str();
        let key = Bytes::copy_from_slice(name.as_bytes());
        let object = row(call, bucket.id, &key).await?;
        let object = object.ok_or_else(|| S3Error::new(Code::NoSuchKey).with("Key", name))?;
        let source = Self { bucket, object };
        let modified = Timestamp::from_millis(source.object.modified_ms);
        let etag = source.attributes().etag;
        match asked.conditions.evaluate(&etag, modified) {
            ReadOutcome::Proceed => Ok(source),
            ReadOutcome::Failed(condition) => Err(conditions::failed(condition)),
            // A copy has no 304.
            ReadOutcome::NotModified => Err(S3Error::new(Code::PreconditionFailed)),
        }
    }

    pub(super) fn attributes(&self) -> wire::Attributes {
        self.object.attributes.clone().unwrap_or_default()
    }

    /// Whether its chunks are counted where the copy's are, so that both may hold the same ones.
    ///
    /// # Errors
    /// As [`Call::bucket`].
    pub(super) fn is_near(&self, call: &Call) -> Result<bool, S3Error> {
        Ok(self.bucket.domain == call.bucket()?.domain)
    }

    /// Where a range of its bytes lies.
    pub(super) fn layout(&self, call: &Call, range: Range<u64>) -> Layout {
        let metadata = call.gateway.path.metadata.clone();
        Layout::new(metadata, DomainId(self.bucket.domain), &self.object, range)
    }

    /// A range of its bytes, with MD5 and the checksum of `algorithm`.
    pub(super) fn body(
        &self,
        call: &Call,
        session: &Entered,
        range: Range<u64>,
        algorithm: Algorithm,
    ) -> CopyBody {
        let length = range.end - range.start;
        let domain = DomainId(self.bucket.domain);
        let path = &call.gateway.path;
        let reader = Reader::new(path, session.clone(), domain, &self.object, range);
        CopyBody::new(reader, length, algorithm)
    }
}

/// The source's bucket: its owner's, and root's; to others it is closed.
async fn bucket(call: &Call, asked: Asked<'_>) -> Result<wire::Bucket, S3Error> {
    let name = &asked.source.bucket;
    let missing = || S3Error::new(Code::NoSuchBucket).with("BucketName", name.as_str());
    let bucket = call.gateway.bucket(name).await?.ok_or_else(missing)?;
    let mine = call.user.root || bucket.owner == call.user.id;
    if !mine || asked.owner.is_some_and(|owner| owner != bucket.owner) {
        return Err(S3Error::new(Code::AccessDenied));
    }
    Ok(bucket)
}

/// Refuses to copy more at once than can be put at once.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn check_length(length: u64) -> Result<(), S3Error> {
    if length <= limits::PUT_LEN_MAX {
        return Ok(());
    }
    let message = format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {}",
        limits::PUT_LEN_MAX
    );
    Err(S3Error::because(Code::InvalidRequest, message))
}
