//! `HEAD /bucket`

use http::StatusCode;

use super::Response;
use super::reply;

/// Output of `HeadBucket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadBucketOutput {
    /// The bucket's region.
    pub region: String,
}

impl HeadBucketOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::empty(StatusCode::OK);
        reply::set(response.headers_mut(), "x-amz-bucket-region", &self.region);
        reply::set(response.headers_mut(), "x-amz-access-point-alias", "false");
        response
    }
}
