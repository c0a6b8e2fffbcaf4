//! `POST /cas/token`: a bearer token for the signer of the request.
//!
//! Only a signature in the head begets one: a token that begot tokens would never end, and a URL
//! that did would be a password in the logs of every proxy.

use axum::body::Body;
use cairn_s3::{Code, S3Error, Timestamp};
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::caller::{By, Caller};
use super::documents::TokenQuery;
use super::refusal::Refused;

/// Longest document of such a request.
const DOCUMENT_LEN_MAX: u64 = 1 << 10;

pub(super) async fn issue(caller: &Caller, body: Body) -> Result<Response<Body>, Refused> {
    let By::Signature(access_key) = &caller.by else {
        let message = "a token is given for a signature in the Authorization header alone";
        return Err(S3Error::because(Code::AccessDenied, message).into());
    };
    let document = caller.document(body, DOCUMENT_LEN_MAX).await?;
    let life = TokenQuery::parse(&document)?.expires_in;
    let now = caller.inner.clock.wall();
    let end = Timestamp::from_millis(now.saturating_add(life.saturating_mul(1_000)));
    let answer = json!({
        "token": caller.user.token(access_key, end),
        "expires": Timestamp::from_millis(end.seconds().saturating_mul(1_000)).to_iso8601(),
    });
    let mut response = crate::json::answer(StatusCode::OK, &answer);
    let secret = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, secret);
    Ok(response)
}
