//! `GET /bucket/key` and `HEAD /bucket/key`: one input, one set of headers.

use cairn_model::limits::PARTS_MAX;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, LAST_MODIFIED, RANGE,
};
use http::{Response, StatusCode};

use super::reply;
use crate::conditions::ReadConditions;
use crate::dates::Timestamp;
use crate::digest::ObjectChecksum;
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::object_headers::{ObjectHeaders, Overrides};
use crate::query;
use crate::range::{ByteRange, Span};

/// Input of `GetObject` and `HeadObject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetObject {
    /// The version, the current one if absent.
    pub version_id: Option<String>,
    /// One part of a multipart object, 1 to 10,000. Never together with a range.
    pub part_number: Option<u32>,
    /// The bytes wanted.
    pub range: Option<ByteRange>,
    /// When to answer with the object.
    pub conditions: ReadConditions,
    /// Headers to send in place of the stored ones.
    pub overrides: Overrides,
    /// Whether the stored checksum is shown.
    pub checksum_mode: bool,
}

impl GetObject {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidRequest` for range and part together, `InvalidArgument`.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        let range = head.header(RANGE.as_str())?.and_then(ByteRange::parse);
        let part_number = part_number(head)?;
        if part_number.is_some() && range.is_some() {
            let message = "Cannot specify both Range header and partNumber query parameter";
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        let mode = head.header("x-amz-checksum-mode")?;
        Ok(Self {
            version_id: query::version_id(head.query())?,
            part_number,
            range,
            conditions: ReadConditions::from_head(head)?,
            overrides: Overrides::from_query(head.query())?,
            checksum_mode: mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED")),
        })
    }
}

fn part_number(head: &Head) -> Result<Option<u32>, S3Error> {
    let Some(text) = head.query().get("partNumber") else {
        return Ok(None);
    };
    let number = head.query().integer("partNumber").ok().flatten();
    let number = number.filter(|number| (1..=PARTS_MAX).contains(number));
    let message = "Part number must be an integer between 1 and 10000, inclusive";
    number
        .map(Some)
        .ok_or_else(|| S3Error::argument("partNumber", text, message))
}

/// Everything a response says about an object but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectOutput {
    /// Stored headers.
    pub headers: ObjectHeaders,
    /// Requested overrides.
    pub overrides: Overrides,
    /// Without quotes.
    pub etag: String,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Length of the whole object.
    pub size: u64,
    /// The bytes sent, if not all: makes it 206.
    pub span: Option<Span>,
    /// The checksum, if it is to be shown.
    pub checksum: Option<ObjectChecksum>,
    /// Number of parts, where a part was asked for of a multipart object.
    pub parts_count: Option<u32>,
    /// In a bucket with versions.
    pub version_id: Option<String>,
}

impl ObjectOutput {
    /// Bytes the body will have.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.span.map_or(self.size, Span::length)
    }

    /// 200 or 206 with all headers; the caller puts the body in.
    #[must_use]
    pub fn into_head(self) -> Response<()> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        self.headers.write(&self.overrides, headers);
        self.write_validators(headers);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.content_length()));
        if let Some(checksum) = &self.checksum {
            reply::set_checksum(headers, checksum);
        }
        if let Some(count) = self.parts_count {
            reply::set(headers, "x-amz-mp-parts-count", &count.to_string());
        }
        if let Some(span) = self.span {
            reply::set(headers, CONTENT_RANGE.as_str(), &span.content_range());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }

    /// 304: validators only.
    #[must_use]
    pub fn into_not_modified(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        self.write_validators(response.headers_mut());
        response
    }

    fn write_validators(&self, headers: &mut HeaderMap) {
        reply::set_etag(headers, &self.etag);
        reply::set(
            headers,
            LAST_MODIFIED.as_str(),
            &self.last_modified.to_http_date(),
        );
        if let Some(version) = &self.version_id {
            reply::set(headers, "x-amz-version-id", version);
        }
    }
}
