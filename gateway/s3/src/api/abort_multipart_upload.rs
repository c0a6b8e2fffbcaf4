//! `DELETE /bucket/key?uploadId`

use http::StatusCode;

use super::Response;
use super::reply;
use super::upload_part::upload_id;
use crate::error::S3Error;
use crate::head::Head;

/// Input of `AbortMultipartUpload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbortMultipartUpload {
    /// The upload.
    pub upload_id: String,
}

impl AbortMultipartUpload {
    /// Reads the head.
    ///
    /// # Errors
    /// `NoSuchUpload` for an empty id.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Ok(Self {
            upload_id: upload_id(head)?,
        })
    }
}

/// Output of `AbortMultipartUpload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortMultipartUploadOutput;

impl AbortMultipartUploadOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        reply::empty(StatusCode::NO_CONTENT)
    }
}
