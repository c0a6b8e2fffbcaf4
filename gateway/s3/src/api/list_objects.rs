//! `GET /bucket`

use super::reply;
use super::{Entry, ListRequest, Response};
use crate::error::S3Error;
use crate::head::Head;
use crate::xml::write;

/// Input of `ListObjects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListObjects {
    /// Prefix, delimiter, size of the page.
    pub request: ListRequest,
    /// List what sorts behind this key or common prefix; empty for the beginning.
    pub marker: String,
}

impl ListObjects {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Ok(Self {
            request: ListRequest::from_query(head.query(), "max-keys")?,
            marker: head.query().get("marker").unwrap_or("").to_owned(),
        })
    }
}

/// Output of `ListObjects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListObjectsOutput {
    /// The bucket's name.
    pub bucket: String,
    /// What was asked.
    pub input: ListObjects,
    /// In order of their keys, owners filled in.
    pub contents: Vec<Entry>,
    /// In order.
    pub common_prefixes: Vec<String>,
    /// There is more behind this, the last key or common prefix of the page.
    pub next_marker: Option<String>,
}

impl ListObjectsOutput {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let request = &self.input.request;
        reply::xml(write::document("ListBucketResult", |xml| {
            xml.text("Name", &self.bucket);
            // The one text that clients of this version do not decode: AWS leaves it as it came.
            xml.text("Prefix", &request.plain_or_shown(&request.prefix));
            xml.text("Marker", &request.shown(&self.input.marker));
            // AWS gives it only with a delimiter: without one it is the last key.
            if let Some(next) = self
                .next_marker
                .as_ref()
                .filter(|_| request.delimiter.is_some())
            {
                xml.text("NextMarker", &request.shown(next));
            }
            xml.number("MaxKeys", u64::from(request.max_keys));
            request.write_delimiter(xml);
            request.write_encoding(xml);
            xml.flag("IsTruncated", self.next_marker.is_some());
            Entry::reserve(self.contents.len(), xml);
            for entry in &self.contents {
                entry.write("Contents", request, xml, |_| {});
            }
            request.write_common_prefixes(&self.common_prefixes, xml);
        }))
    }
}
