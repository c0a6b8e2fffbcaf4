//! `PUT /bucket/key?partNumber&uploadId` with `x-amz-copy-source`. Its output is
//! [`CopyOutput::into_part_response`](super::copy_object::CopyOutput::into_part_response).

use super::upload_part::UploadPart;
use crate::conditions::ReadConditions;
use crate::copy_source::{CopySource, copy_range};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::range::{ByteRange, Span};

/// Input of `UploadPartCopy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPartCopy {
    /// The upload, and the part's number.
    pub part: UploadPart,
    /// What is copied.
    pub source: CopySource,
    /// When the source may be read. Not modified is a failure here too.
    pub source_conditions: ReadConditions,
    /// The account that must own the source's bucket.
    pub source_owner: Option<String>,
    /// First and last byte to copy; all if absent.
    pub range: Option<(u64, u64)>,
}

impl UploadPartCopy {
    /// Reads the head.
    ///
    /// # Errors
    /// What [`UploadPart::from_head`], [`CopySource::from_head`] and [`copy_range`] refuse.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let owner = head.header("x-amz-source-expected-bucket-owner")?;
        Ok(Self {
            part: UploadPart::from_head(head)?,
            source: CopySource::from_head(head)?,
            source_conditions: ReadConditions::of_copy_source(head)?,
            source_owner: owner.map(str::to_owned),
            range: head
                .header("x-amz-copy-source-range")?
                .map(copy_range)
                .transpose()?,
        })
    }

    /// The bytes to copy of a source of `total` bytes; `None` for all of them. Unlike a read, a
    /// copy never cuts a range short.
    ///
    /// # Errors
    /// `InvalidRange` if any of them is not there.
    pub fn span(&self, total: u64) -> Result<Option<Span>, S3Error> {
        let Some((first, last)) = self.range else {
            return Ok(None);
        };
        if last >= total {
            return Err(S3Error::new(Code::InvalidRange)
                .with("RangeRequested", format!("bytes={first}-{last}"))
                .with("ActualObjectSize", total.to_string()));
        }
        ByteRange::FromTo(first, last).resolve(total).map(Some)
    }
}
