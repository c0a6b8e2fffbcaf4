//! `DELETE /bucket`

use http::StatusCode;

use super::Response;
use super::reply;

/// Output of `DeleteBucket`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteBucketOutput;

impl DeleteBucketOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        reply::empty(StatusCode::NO_CONTENT)
    }
}
