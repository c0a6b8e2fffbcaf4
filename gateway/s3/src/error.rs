//! The one error of the protocol: a [`Code`], a message, and the fields AWS adds beside them.
//!
//! ```text
//!   S3Error::new(Code::NoSuchKey)          what went wrong        (anywhere)
//!       .with("Key", key)                  extra XML elements     (anywhere)
//!       .header("x-amz-..", ..)            extra HTTP headers     (anywhere)
//!       .respond(&method, &Context {..})   status, headers, XML   (once, in the gateway)
//! ```
//!
//! A response to `HEAD`, and any 304, has no body by construction.

mod code;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};

pub use code::Code;

use crate::xml::write;

/// A refusal, in S3's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Error {
    code: Code,
    message: Cow<'static, str>,
    details: Option<Box<Details>>,
}

/// What few errors have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    resource: Option<String>,
    fields: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    note: Option<String>,
}

/// What only the server knows when it renders an error.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The request's path as it came, for `Resource` unless the error names its own.
    pub resource: &'a str,
    /// The request's id, the same as in `x-amz-request-id`.
    pub request_id: &'a str,
    /// The host id, the same as in `x-amz-id-2`, where the server sends one.
    pub host_id: Option<&'a str>,
}

impl S3Error {
    /// An error with AWS's default message.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.message()),
            details: None,
        }
    }

    /// An error with its own message.
    #[must_use]
    pub fn because(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
        }
    }

    /// `InvalidArgument` naming the argument and the value it had.
    #[must_use]
    pub fn argument(
        name: impl Into<String>,
        value: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::because(Code::InvalidArgument, message)
            .with("ArgumentName", name)
            .with("ArgumentValue", value)
    }

    /// `NotImplemented` that says what is missing.
    #[must_use]
    pub fn not_implemented(what: impl fmt::Display) -> Self {
        Self::because(Code::NotImplemented, format!("{what} is not implemented."))
    }

    /// Adds an element to the error document, after `Message`.
    #[must_use]
    pub fn with(mut self, element: &'static str, text: impl Into<String>) -> Self {
        self.details().fields.push((element, text.into()));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.details().headers.push((name, value));
        self
    }

    /// Adds what only the operator's log is told.
    #[must_use]
    pub fn noting(mut self, note: impl Into<String>) -> Self {
        self.details().note = Some(note.into());
        self
    }

    /// What only the operator's log is told.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.details.as_ref()?.note.as_deref()
    }

    /// Names the resource; else the request's path stands.
    #[must_use]
    pub fn on(mut self, resource: impl Into<String>) -> Self {
        self.details().resource = Some(resource.into());
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The text of an extra element.
    #[must_use]
    pub fn field(&self, element: &str) -> Option<&str> {
        let fields = &self.details.as_ref()?.fields;
        fields
            .iter()
            .find(|(name, _)| *name == element)
            .map(|(_, text)| text.as_str())
    }

    /// The response: exact status, XML unless the method or the status forbids a body.
    #[must_use]
    pub fn respond(&self, method: &Method, context: &Context<'_>) -> Response<Bytes> {
        let status = self.status();
        let bodyless = method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
        let mut response = Response::new(if bodyless {
            Bytes::new()
        } else {
            self.to_xml(context)
        });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if !bodyless {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        for (name, value) in self.details.iter().flat_map(|details| &details.headers) {
            headers.append(name, value.clone());
        }
        response
    }

    /// The error document.
    #[must_use]
    pub fn to_xml(&self, context: &Context<'_>) -> Bytes {
        let details = self.details.as_deref();
        write::plain_document("Error", |xml| {
            xml.text("Code", self.code.as_str());
            xml.text("Message", &self.message);
            for (name, text) in details.iter().flat_map(|details| &details.fields) {
                xml.text(name, text);
            }
            let resource = details.and_then(|details| details.resource.as_deref());
            xml.text("Resource", resource.unwrap_or(context.resource));
            xml.text("RequestId", context.request_id);
            xml.optional("HostId", context.host_id);
        })
    }

    fn details(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }
}

impl From<Code> for S3Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for S3Error {}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: Context<'static> = Context {
        resource: "/b/k",
        request_id: "4442587FB7D0A2F9",
        host_id: None,
    };

    #[test]
    fn the_document_is_as_aws_writes_it() {
        let error = S3Error::new(Code::NoSuchBucket).with("BucketName", "b<\r>");
        let text = String::from_utf8(error.to_xml(&CONTEXT).to_vec()).unwrap();
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code>\
             <Message>The specified bucket does not exist</Message>\
             <BucketName>b&lt;&#xD;&gt;</BucketName><Resource>/b/k</Resource>\
             <RequestId>4442587FB7D0A2F9</RequestId></Error>"
        );
    }

    #[test]
    fn resource_and_host_id_are_shown_when_known() {
        let context = Context {
            host_id: Some("host"),
            ..CONTEXT
        };
        let text = S3Error::new(Code::NoSuchKey).on("/other").to_xml(&context);
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains("<Resource>/other</Resource>"));
        assert!(text.ends_with("<HostId>host</HostId></Error>"));
    }

    #[test]
    fn head_and_not_modified_have_no_body() {
        let missing = S3Error::new(Code::NoSuchKey).respond(&Method::HEAD, &CONTEXT);
        assert_eq!((missing.status().as_u16(), missing.body().len()), (404, 0));
        assert!(missing.headers().get(CONTENT_TYPE).is_none());
        let unchanged = S3Error::new(Code::NotModified).respond(&Method::GET, &CONTEXT);
        assert_eq!(
            (unchanged.status().as_u16(), unchanged.body().len()),
            (304, 0)
        );
        let get = S3Error::new(Code::NoSuchKey).respond(&Method::GET, &CONTEXT);
        assert!(!get.body().is_empty());
    }

    #[test]
    fn extra_headers_are_sent() {
        let error = S3Error::new(Code::NoSuchKey).header(
            HeaderName::from_static("x-amz-delete-marker"),
            HeaderValue::from_static("true"),
        );
        let response = error.respond(&Method::HEAD, &CONTEXT);
        assert_eq!(response.headers()["x-amz-delete-marker"], "true");
    }

    #[test]
    fn every_code_has_its_own_name_and_an_error_status() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let status = code.status();
            let wanted = status.is_client_error()
                || status.is_server_error()
                || status == StatusCode::NOT_MODIFIED;
            assert!(wanted, "{code:?}");
            assert!(!code.message().is_empty());
        }
        assert_eq!(Code::SlowDown.status().as_u16(), 503);
        assert_eq!(Code::InternalError.status().as_u16(), 500);
    }

    /// From answers of S3 itself.
    #[test]
    fn errors_are_worded_and_numbered_as_s3_does() {
        for (code, status, message) in [
            (Code::AccessDenied, 403, "Access Denied"),
            (
                Code::BucketNotEmpty,
                409,
                "The bucket you tried to delete is not empty",
            ),
            (
                Code::EntityTooSmall,
                400,
                "Your proposed upload is smaller than the minimum allowed size",
            ),
            (
                Code::InvalidRange,
                416,
                "The requested range is not satisfiable",
            ),
            (Code::KeyTooLongError, 400, "Your key is too long"),
            (
                Code::NoSuchBucket,
                404,
                "The specified bucket does not exist",
            ),
            (Code::NoSuchKey, 404, "The specified key does not exist."),
            (Code::NoSuchTagSet, 404, "The TagSet does not exist"),
            (
                Code::NoSuchUpload,
                404,
                "The specified upload does not exist. The upload ID may be invalid, or the upload \
                 may have been aborted or completed.",
            ),
            (
                Code::PreconditionFailed,
                412,
                "At least one of the pre-conditions you specified did not hold",
            ),
        ] {
            assert_eq!((code.status().as_u16(), code.message()), (status, message));
        }
    }

    #[test]
    fn a_note_is_for_the_log_alone() {
        let error = S3Error::new(Code::SignatureDoesNotMatch).noting("host: a secret place");
        assert_eq!(error.note(), Some("host: a secret place"));
        let text = error.to_xml(&CONTEXT);
        assert!(!std::str::from_utf8(&text).unwrap().contains("secret place"));
        assert!(!error.to_string().contains("secret place"));
    }

    #[test]
    fn an_error_is_small_enough_to_return() {
        assert!(size_of::<S3Error>() <= 48);
    }
}
