//! `GET /bucket?location`

use super::Response;
use super::reply;
use crate::xml::write;

/// The region whose constraint is written as nothing.
const UNNAMED_REGION: &str = "us-east-1";

/// Output of `GetBucketLocation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetBucketLocationOutput {
    /// The location constraint the bucket was created with, or the server's region.
    pub location: String,
}

impl GetBucketLocationOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        reply::xml(write::document("LocationConstraint", |xml| {
            if self.location != UNNAMED_REGION {
                xml.bare(&self.location);
            }
        }))
    }
}
