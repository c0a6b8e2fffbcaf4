//! Refusals in the chunk API's words: `{"error":{"code","message","details"}}`.

use std::borrow::Cow;

use axum::body::Body;
use cairn_model::Sha256;
use cairn_s3::{Code, S3Error};
use http::header::{ALLOW, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    details: Box<Map<String, Value>>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Refused {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Box::default(),
            header: None,
        }
    }

    /// 400: the request breaks its form.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    /// 404: no such path.
    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "there is no such resource",
        )
    }

    /// 404: no such chunk in the caller's domain.
    pub(super) fn no_such_chunk() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NoSuchChunk",
            "there is no such chunk",
        )
    }

    /// 405.
    pub(super) fn method(allowed: &'static str) -> Self {
        let message = "the method is not allowed here";
        Self {
            header: Some(Box::new((ALLOW, HeaderValue::from_static(allowed)))),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
        }
    }

    /// 409: these chunks are to be uploaded first.
    pub(super) fn missing(chunks: impl IntoIterator<Item = Sha256>) -> Self {
        let missing: Vec<String> = chunks.into_iter().map(|hash| hash.to_string()).collect();
        let message = "some chunks are not stored: upload them and try again";
        Self::new(StatusCode::CONFLICT, "MissingChunks", message).with("missing", missing)
    }

    /// 401: nobody, or nobody any more.
    pub(super) fn unauthorized(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let ways = HeaderValue::from_static("Bearer, AWS4-HMAC-SHA256");
        Self {
            header: Some(Box::new((WWW_AUTHENTICATE, ways))),
            ..Self::new(StatusCode::UNAUTHORIZED, code, message)
        }
    }

    /// With a detail.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// With a header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn log(&self, id: &str, operation: &str) {
        let Self { code, message, .. } = self;
        let is_ours = self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED;
        if is_ours {
            tracing::warn!(id, operation, code, %message, "refused");
        } else {
            tracing::debug!(id, operation, code, %message, "refused");
        }
    }

    /// The response; one to HEAD has no body.
    pub(super) fn respond(self, method: &Method) -> Response<Body> {
        let error = json!({
            "error": { "code": self.code, "message": self.message, "details": self.details }
        });
        let mut response = crate::json::answer(self.status, &error);
        if let Some((name, value)) = self.header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        if *method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }
}

impl From<S3Error> for Refused {
    fn from(error: S3Error) -> Self {
        let message = error.message().to_owned();
        let code = error.code();
        match code {
            Code::InvalidToken | Code::ExpiredToken => Self::unauthorized(code.as_str(), message),
            Code::EntityTooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, code.as_str(), message)
            }
            _ => Self::new(error.status(), code.as_str(), message),
        }
    }
}
