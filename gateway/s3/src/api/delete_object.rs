//! `DELETE /bucket/key`

use http::StatusCode;

use super::Response;
use super::reply;
use crate::conditions::DeleteConditions;
use crate::error::S3Error;
use crate::head::Head;
use crate::query;

/// Input of `DeleteObject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteObject {
    /// The version to delete; absent: the current one, or a delete marker.
    pub version_id: Option<String>,
    /// When it may be deleted.
    pub conditions: DeleteConditions,
}

impl DeleteObject {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Ok(Self {
            version_id: query::version_id(head.query())?,
            conditions: DeleteConditions::from_head(head)?,
        })
    }
}

/// Output of `DeleteObject`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteObjectOutput {
    /// Whether a delete marker was made or deleted.
    pub delete_marker: bool,
    /// The version deleted or made.
    pub version_id: Option<String>,
}

impl DeleteObjectOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        if self.delete_marker {
            reply::set(headers, "x-amz-delete-marker", "true");
        }
        if let Some(version) = &self.version_id {
            reply::set(headers, "x-amz-version-id", version);
        }
        response
    }
}
