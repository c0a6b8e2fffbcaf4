//! `PUT /bucket`

use http::StatusCode;
use serde::Deserialize;

use super::Response;
use super::reply;
use crate::error::S3Error;
use crate::xml::read;

/// Input of `CreateBucket`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateBucket {
    /// The region asked for; none means the one the request was sent to.
    pub location: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBucketConfiguration {
    #[serde(rename = "@xmlns")]
    _xmlns: Option<String>,
    #[serde(rename = "LocationConstraint")]
    location: Option<String>,
}

impl CreateBucket {
    /// Reads the document, which may be empty.
    ///
    /// # Errors
    /// `MalformedXML`; also for the elements of directory buckets and tags, which are not known here.
    pub fn from_document(body: &[u8]) -> Result<Self, S3Error> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let document: CreateBucketConfiguration =
            read::document(body, "CreateBucketConfiguration")?;
        Ok(Self {
            location: document.location.filter(|location| !location.is_empty()),
        })
    }
}

/// Output of `CreateBucket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateBucketOutput {
    /// The bucket's name.
    pub bucket: String,
}

impl CreateBucketOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::empty(StatusCode::OK);
        reply::set(
            response.headers_mut(),
            "location",
            &format!("/{}", self.bucket),
        );
        response
    }
}
