//! The admin API: JSON under `/v1`, signed like S3 (service `s3`), for root alone.
//!
//! Errors are `{"error":{"code","message","details"}}`.

pub(crate) mod clock;
pub(crate) mod cluster;
pub(crate) mod users;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use cairn_s3::sigv4::PayloadSigning;
use cairn_s3::{Code, Head, S3Error};
use http::{Request, Response, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::body::Incoming;
use crate::gateway::Inner;

/// Longest document of the admin API.
const DOCUMENT_LEN_MAX: u64 = 64 << 10;

/// A refusal in the admin API's words.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    code: String,
    message: String,
}

impl Refused {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    fn respond(self) -> Response<Body> {
        let error = json!({
            "error": { "code": self.code, "message": self.message, "details": {} }
        });
        crate::json::answer(self.status, &error)
    }
}

impl From<S3Error> for Refused {
    fn from(error: S3Error) -> Self {
        Self::new(error.status(), error.code().as_str(), error.message())
    }
}

/// Reads a request of root, with its whole body verified.
async fn admit(inner: &Arc<Inner>, request: Request<Body>) -> Result<Bytes, Refused> {
    let (parts, body) = request.into_parts();
    let head = Head::new(parts.method, &parts.uri, parts.headers)?;
    let (authenticated, user) = inner.users.authenticate(&head).await?;
    if !user.root {
        return Err(S3Error::new(Code::AccessDenied).into());
    }
    let PayloadSigning::Exact(signed) = authenticated.payload() else {
        return Err(Refused::invalid("the payload must be signed"));
    };
    let incoming = Incoming::new(body, Arc::clone(&inner.clock));
    let Some(document) = incoming.whole(DOCUMENT_LEN_MAX).await? else {
        return Err(Refused::invalid("the document is too long"));
    };
    let made: [u8; 32] = Sha256::digest(&document).into();
    if made != *signed {
        return Err(S3Error::new(Code::XAmzContentSHA256Mismatch).into());
    }
    Ok(document)
}

/// Nothing of that name under `/v1`.
pub(crate) async fn not_found() -> Response<Body> {
    Refused::new(
        StatusCode::NOT_FOUND,
        "NotFound",
        "there is no such resource",
    )
    .respond()
}

#[cfg(test)]
mod tests;
