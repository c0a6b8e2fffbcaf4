//! `PUT /bucket/key`

use http::StatusCode;

use super::Response;
use super::reply;
use crate::conditions::WriteConditions;
use crate::digest::ObjectChecksum;
use crate::error::S3Error;
use crate::head::Head;
use crate::object_headers::ObjectHeaders;

/// Input of `PutObject`, beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutObject {
    /// What is stored with the object.
    pub headers: ObjectHeaders,
    /// When it may be written.
    pub conditions: WriteConditions,
}

impl PutObject {
    /// Reads the head.
    ///
    /// # Errors
    /// `MetadataTooLarge`, `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Ok(Self {
            headers: ObjectHeaders::from_head(head)?,
            conditions: WriteConditions::from_head(head)?,
        })
    }
}

/// Output of `PutObject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutObjectOutput {
    /// Without quotes.
    pub etag: String,
    /// The stored checksum.
    pub checksum: Option<ObjectChecksum>,
    /// In a bucket with versions.
    pub version_id: Option<String>,
}

impl PutObjectOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::empty(StatusCode::OK);
        let headers = response.headers_mut();
        reply::set_etag(headers, &self.etag);
        if let Some(checksum) = &self.checksum {
            reply::set_checksum(headers, checksum);
        }
        if let Some(version) = &self.version_id {
            reply::set(headers, "x-amz-version-id", version);
        }
        response
    }
}
