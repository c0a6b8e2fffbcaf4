//! Who asks, and what may stand in the head of a request to the chunk API.
//!
//! * SigV4, as S3 takes it. curl 7.88 signs an upload with the hash of nothing, and a `--data` body
//!   with its own, and sends neither; for a PUT of a chunk both are taken, because the signed path
//!   itself says what the body's hash must be.
//! * `Authorization: Bearer TOKEN`, from `POST /cas/token`.
//!
//! The world is closed: query parameters, and `x-amz-*` headers without a meaning here, are refused.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use cairn_model::{DomainId, Sha256};
use cairn_s3::sigv4::PayloadSigning;
use cairn_s3::{Code, Head, S3Error};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, request};
use sha2::Digest as _;

use super::EMPTY;
use super::refusal::Refused;
use crate::body::Incoming;
use crate::gateway::Inner;
use crate::users::User;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// The `x-amz-*` headers that mean something here.
const AMZ_HEADERS: [&str; 4] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-expected-bucket-owner",
    "x-amz-user-agent",
];

/// How a caller was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A signature in the head, by this access key.
    Signature(String),
    /// A presigned URL.
    Url,
    /// A bearer token.
    Token,
}

/// A request whose asker is known.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) inner: Arc<Inner>,
    pub(super) head: Head,
    pub(super) user: Arc<User>,
    pub(super) by: By,
    /// What the body's SHA-256 must be, where the head says it.
    signed: Option<[u8; 32]>,
}

impl Caller {
    /// Decides from the head alone. `named` is the SHA-256 that the path itself demands of the body.
    ///
    /// # Errors
    /// 401 and 403 for the unknown; 400 and 501 for what has no meaning here.
    pub(super) async fn admit(
        inner: &Arc<Inner>,
        parts: request::Parts,
        named: Option<Sha256>,
    ) -> Result<Self, Refused> {
        let caller = match bearer(&parts.headers)? {
            Some(token) => Self::by_token(inner, &token, parts).await?,
            None => Self::by_signature(inner, parts, named).await?,
        };
        caller.check_closed()?;
        Ok(caller)
    }

    async fn by_token(
        inner: &Arc<Inner>,
        token: &str,
        parts: request::Parts,
    ) -> Result<Self, Refused> {
        let head = Head::new(parts.method, &parts.uri, parts.headers)?;
        let user = inner.users.bearer(token).await?;
        if head.query().pairs().next().is_some() {
            return Err(no_parameters());
        }
        let signed = match head.header(CONTENT_SHA256.as_str())? {
            None | Some("UNSIGNED-PAYLOAD") => None,
            Some(text) => Some(Sha256::from_hex(text).map(|hash| hash.0).ok_or_else(|| {
                Refused::invalid("x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a SHA-256")
            })?),
        };
        Ok(Self {
            inner: Arc::clone(inner),
            head,
            user,
            by: By::Token,
            signed,
        })
    }

    async fn by_signature(
        inner: &Arc<Inner>,
        mut parts: request::Parts,
        named: Option<Sha256>,
    ) -> Result<Self, Refused> {
        let announced = parts.headers.contains_key(&CONTENT_SHA256);
        let guesses = match named {
            // A header that is there, or another place of the signature, leaves nothing to guess.
            Some(named) if !announced && parts.headers.contains_key(AUTHORIZATION) => {
                vec![named, EMPTY]
            }
            _ => Vec::new(),
        };
        let mut mismatch = None;
        for guess in guesses {
            let value = HeaderValue::try_from(guess.to_string());
            let value = value.map_err(|_| S3Error::new(Code::InternalError))?;
            parts.headers.insert(CONTENT_SHA256, value);
            let head = Head::new(parts.method.clone(), &parts.uri, parts.headers.clone())?;
            match Self::verify(inner, head).await {
                Ok(caller) => {
                    return Ok(Self {
                        signed: None,
                        ..caller
                    });
                }
                Err(refused) if refused.code() == Code::SignatureDoesNotMatch => {
                    mismatch = Some(refused);
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        if let Some(mismatch) = mismatch {
            let hint = "curl: -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'";
            return Err(Refused::from(mismatch).with("hint", hint));
        }
        let anonymous = !parts.headers.contains_key(AUTHORIZATION);
        let head = Head::new(parts.method, &parts.uri, parts.headers)?;
        Self::verify(inner, head).await.map_err(|refused| {
            if anonymous && refused.code() == Code::AccessDenied {
                let message = "sign the request (SigV4, service s3) or send a bearer token";
                return Refused::unauthorized("Unauthorized", message);
            }
            refused.into()
        })
    }

    async fn verify(inner: &Arc<Inner>, head: Head) -> Result<Self, S3Error> {
        let (authenticated, user) = inner.users.authenticate(&head).await?;
        let signed = match authenticated.payload() {
            PayloadSigning::Exact(hash) => Some(*hash),
            PayloadSigning::Unsigned => None,
            PayloadSigning::SignedChunks(_)
            | PayloadSigning::SignedChunksAndTrailer(_)
            | PayloadSigning::UnsignedTrailer => {
                let message = "aws-chunked bodies are not taken under /cas";
                return Err(S3Error::because(Code::InvalidRequest, message));
            }
        };
        let by = if authenticated.is_presigned() {
            By::Url
        } else {
            By::Signature(authenticated.access_key().to_owned())
        };
        Ok(Self {
            inner: Arc::clone(inner),
            head,
            user,
            by,
            signed,
        })
    }

    fn check_closed(&self) -> Result<(), Refused> {
        for name in self.head.headers().keys().map(HeaderName::as_str) {
            let amz = name.starts_with("x-amz-") && !AMZ_HEADERS.contains(&name);
            if amz || name == "content-md5" {
                let message = "a header has no meaning under /cas";
                let status = StatusCode::NOT_IMPLEMENTED;
                return Err(Refused::new(status, "NotImplemented", message).with("header", name));
            }
        }
        // Those of a presigned URL have been judged with its signature.
        let foreign = |name: &str| !name.to_ascii_lowercase().starts_with("x-amz-");
        if self.head.query().pairs().any(|(name, _)| foreign(name)) {
            return Err(no_parameters());
        }
        Ok(())
    }

    /// The domain everything here happens in.
    pub(super) fn domain(&self) -> DomainId {
        self.user.domain
    }

    /// Refuses a head whose body could not have this SHA-256.
    ///
    /// # Errors
    /// `XAmzContentSHA256Mismatch`.
    pub(super) fn check_signed(&self, made: &[u8]) -> Result<(), Refused> {
        match self.signed {
            Some(signed) if signed.as_slice() != made => {
                Err(S3Error::new(Code::XAmzContentSHA256Mismatch).into())
            }
            _ => Ok(()),
        }
    }

    /// Refuses a body where none has a meaning.
    ///
    /// # Errors
    /// `UnexpectedContent`, `XAmzContentSHA256Mismatch`.
    pub(super) fn no_body(&self) -> Result<(), Refused> {
        if self.head.has_body() {
            return Err(S3Error::new(Code::UnexpectedContent).into());
        }
        self.check_signed(&EMPTY.0)
    }

    /// The whole body, verified, of at most `longest` bytes.
    ///
    /// # Errors
    /// 413; `XAmzContentSHA256Mismatch`; what a broken body gives.
    pub(super) async fn document(&self, body: Body, longest: u64) -> Result<Bytes, Refused> {
        let too_long = || {
            let refused = Refused::from(S3Error::new(Code::EntityTooLarge));
            refused.with("longest", longest)
        };
        if self
            .head
            .content_length()?
            .is_some_and(|length| length > longest)
        {
            return Err(too_long());
        }
        let incoming = Incoming::new(body, Arc::clone(&self.inner.clock));
        let document = incoming.whole(longest).await?.ok_or_else(too_long)?;
        self.check_signed(&sha2::Sha256::digest(&document))?;
        Ok(document)
    }
}

/// The token of a bearer, if the head has one.
fn bearer(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = first.and_then(|text| text.split_once(' ')) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    if values.next().is_some() {
        return Err(Refused::invalid("more than one Authorization header"));
    }
    Ok(Some(token.trim().to_owned()))
}

fn no_parameters() -> Refused {
    let message = "query parameters have no meaning under /cas";
    Refused::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
}
