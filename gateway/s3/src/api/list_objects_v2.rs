//! `GET /bucket?list-type=2`

use super::reply;
use super::{ContinuationToken, Entry, ListRequest, Response};
use crate::error::S3Error;
use crate::head::Head;
use crate::xml::write;

/// Input of `ListObjectsV2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListObjectsV2 {
    /// Prefix, delimiter, size of the page.
    pub request: ListRequest,
    /// Where the page before ended; takes precedence over `start_after`.
    pub continuation: Option<ContinuationToken>,
    /// The token as the client sent it, also when empty.
    pub continuation_text: Option<String>,
    /// List keys behind this one.
    pub start_after: Option<String>,
    /// Whether entries show their owner.
    pub fetch_owner: bool,
}

impl ListObjectsV2 {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let query = head.query();
        let fetch_owner = match query.non_empty("fetch-owner") {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => {
                let message = "Argument fetch-owner must be true or false";
                return Err(S3Error::argument("fetch-owner", text, message));
            }
        };
        Ok(Self {
            request: ListRequest::from_query(query, "max-keys")?,
            continuation: ContinuationToken::from_query(query)?,
            continuation_text: query.get("continuation-token").map(str::to_owned),
            start_after: query.get("start-after").map(str::to_owned),
            fetch_owner,
        })
    }
}

/// Output of `ListObjectsV2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListObjectsV2Output {
    /// The bucket's name.
    pub bucket: String,
    /// What was asked.
    pub input: ListObjectsV2,
    /// In order of their keys; owners filled in if `fetch_owner`.
    pub contents: Vec<Entry>,
    /// In order.
    pub common_prefixes: Vec<String>,
    /// There is more behind this.
    pub next: Option<ContinuationToken>,
}

impl ListObjectsV2Output {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let request = &self.input.request;
        let count = self.contents.len() + self.common_prefixes.len();
        reply::xml(write::document("ListBucketResult", |xml| {
            xml.text("Name", &self.bucket);
            xml.text("Prefix", &request.shown(&request.prefix));
            xml.optional("ContinuationToken", self.input.continuation_text.as_deref());
            let next = self.next.as_ref().map(ContinuationToken::to_text);
            xml.optional("NextContinuationToken", next.as_deref());
            if let Some(start) = &self.input.start_after {
                xml.text("StartAfter", &request.shown(start));
            }
            xml.number("KeyCount", count as u64);
            xml.number("MaxKeys", u64::from(request.max_keys));
            request.write_delimiter(xml);
            request.write_encoding(xml);
            xml.flag("IsTruncated", self.next.is_some());
            Entry::reserve(self.contents.len(), xml);
            for entry in &self.contents {
                entry.write("Contents", request, xml, |_| {});
            }
            request.write_common_prefixes(&self.common_prefixes, xml);
        }))
    }
}
