//! Signature Version 4: who sent this head, and what it says about the body to come.
//!
//! ```text
//!   Authorization: AWS4-HMAC-SHA256 ..   ─ header ──┐
//!                                                   ├─ Presented ─ verify ─► Authenticated
//!   ?X-Amz-Signature=..                  ─ presign ─┘      │                  ├ access key, region
//!                                                      canonical, keys        └ PayloadSigning
//! ```
//!
//! The rules, each with a named test:
//!
//! * exactly one of header and query authentication; neither is `AccessDenied`;
//! * `host` and every `x-amz-*` header must be signed, and a signed header must be there.
//!   `x-amz-content-sha256` is exempt because its value is a line of the canonical request itself;
//! * the scope names our region and service, and its date is the request's;
//! * the request's time is within 15 minutes; a presigned URL lives 1 s to 7 days;
//! * the comparison takes the same time wherever the signatures differ;
//! * what must be known of the body is known before it is read: a signed hash, no hash, or one of
//!   the three aws-chunked framings. A body whose hash is nowhere in the head is refused.
//!
//! The canonical request is built from the raw bytes. Clients that sign the path or query exactly as
//! they sent it, without normalising (curl), are accepted as well: what they signed decodes to the
//! same bytes, so nothing else can be made of their signature.
//!
//! Key derivation and MAC are done here with `hmac` and `sha2` rather than with `aws-sigv4`, which
//! brings tokio into the tree; that crate is the oracle of the tests.

mod canonical;
mod chunks;
mod diagnosis;
mod header;
mod keys;
mod payload;
mod presign;
mod verify;

pub use chunks::ChunkSigner;
pub use keys::SecretKey;
pub use payload::PayloadSigning;
pub use verify::{Authenticated, Claim, Secrets, Verifier};

use crate::dates::Timestamp;

/// The one algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Last element of every scope.
const TERMINATOR: &str = "aws4_request";
/// SHA-256 of nothing, in hex.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const AUTH_PARAMETERS: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

/// Whether a query parameter belongs to query authentication, in any letter case.
pub(crate) fn is_auth_parameter(name: &str) -> bool {
    AUTH_PARAMETERS
        .iter()
        .any(|parameter| parameter.eq_ignore_ascii_case(name))
}

/// What a client claims, from either place, before any of it is believed.
#[derive(Debug)]
struct Presented<'h> {
    access_key: &'h str,
    scope: Scope<'h>,
    /// Names in the order the client signed them.
    signed_headers: Vec<&'h str>,
    signature: &'h str,
    at: Timestamp,
    place: Place,
}

/// Where the claim was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    /// With the seconds the URL lives.
    Query(u64),
}

/// `20130524/us-east-1/s3/aws4_request`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scope<'h> {
    date: &'h str,
    region: &'h str,
    service: &'h str,
}

impl std::fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}/{}/{}/{TERMINATOR}",
            self.date, self.region, self.service
        )
    }
}

impl<'h> Scope<'h> {
    /// Splits `akid/date/region/service/aws4_request`; the access key may hold slashes itself.
    fn split_credential(credential: &'h str) -> Option<(&'h str, Self)> {
        let mut fields = credential.rsplitn(5, '/');
        let terminator = fields.next()?;
        let (service, region, date) = (fields.next()?, fields.next()?, fields.next()?);
        let access_key = fields.next().filter(|key| !key.is_empty())?;
        (terminator == TERMINATOR).then_some((
            access_key,
            Self {
                date,
                region,
                service,
            },
        ))
    }
}

/// Signs a text under a scope, for tests.
#[cfg(test)]
pub(crate) fn testing_sign(secret: &str, scope: &str, text: &str) -> String {
    let fields: Vec<&str> = scope.split('/').collect();
    let scope = Scope {
        date: fields[0],
        region: fields[1],
        service: fields[2],
    };
    keys::SigningKey::derive(&SecretKey::new(secret), scope).sign(text.as_bytes())
}

#[cfg(test)]
mod tests;
