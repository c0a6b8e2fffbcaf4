//! Building responses.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::digest::ObjectChecksum;

/// 200 with an XML document.
pub(super) fn xml(document: Bytes) -> Response<Bytes> {
    let mut response = Response::new(document);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// A status and nothing else.
pub(super) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// Sets a header; a value that cannot stand in one is left out.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Sets `ETag`, putting the quotes on.
pub(super) fn set_etag(headers: &mut HeaderMap, etag: &str) {
    if let Ok(value) = HeaderValue::try_from(quoted(etag)) {
        headers.insert(ETAG, value);
    }
}

/// Sets the checksum's header, and its type.
pub(super) fn set_checksum(headers: &mut HeaderMap, checksum: &ObjectChecksum) {
    set(
        headers,
        checksum.checksum.algorithm().header(),
        &checksum.to_text(),
    );
    set(headers, "x-amz-checksum-type", checksum.kind.name());
}

/// An ETag as it is shown: in quotes.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}
