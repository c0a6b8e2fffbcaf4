//! The content-addressed chunk API: JSON and raw chunks under `/cas`, in the caller's own domain.
//!
//! ```text
//!   PUT  /cas/chunks/{sha256}           one chunk, verified as it comes; leased for a week
//!   GET  /cas/chunks/{sha256}           the chunk, or a range of it; HEAD the same without bytes
//!   POST /cas/missing                   of these hashes, which are to be uploaded; leases the rest
//!   POST /cas/objects/{bucket}/{key}    an S3 object of stored chunks
//!   POST /cas/token                     a bearer token for what is above
//!
//!   request ── route ── signature or token ── closed headers and query ── handler ── JSON
//!                          (caller)                                          │
//!                                        stored (rows, fitness, leases) ─────┘
//! ```
//!
//! The chunks are the ones S3 objects are cut into: what was put there can be read here, and what is
//! put here is not stored again by an S3 upload. A chunk of another account is missing here, like
//! one that is nowhere. The empty chunk is nobody's: it is always there and is never stored.

mod caller;
mod chunk_body;
mod chunks;
mod documents;
mod missing;
mod objects;
mod refusal;
mod route;
mod stored;
mod token;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use cairn_model::Sha256;
use cairn_telemetry::RequestId;
use http::{Method, Request, Response, request};

use self::caller::Caller;
use self::refusal::Refused;
use self::route::Route;
use crate::gateway::Inner;

/// SHA-256 of nothing (FIPS 180-4).
const EMPTY: Sha256 = Sha256([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Answers everything under `/cas`.
pub(crate) async fn answer(
    State(inner): State<Arc<Inner>>,
    request: Request<Body>,
) -> Response<Body> {
    let begun = inner.clock.monotonic();
    let (parts, body) = request.into_parts();
    let method = parts.method.clone();
    let id = parts
        .extensions
        .get()
        .map_or_else(String::new, RequestId::short);
    let (operation, outcome) = carry_out(&inner, parts, body).await;
    let response = outcome.unwrap_or_else(|refused| {
        refused.log(&id, operation);
        refused.respond(&method)
    });
    let status = response.status();
    let took = inner.clock.monotonic().saturating_sub(begun);
    inner.metrics.answered(operation, status.as_u16(), took);
    tracing::debug!(id, operation, status = status.as_u16(), ?took, "answered");
    response
}

/// The operation's name for counters and logs, and its outcome.
async fn carry_out(
    inner: &Arc<Inner>,
    parts: request::Parts,
    body: Body,
) -> (&'static str, Result<Response<Body>, Refused>) {
    // Nothing is said about a path before its asker is known.
    let route = Route::parse(parts.uri.path());
    let method = parts.method.clone();
    let named = match &route {
        Ok(Route::Chunk(sha256)) if method == Method::PUT => Some(*sha256),
        _ => None,
    };
    let admitted = Caller::admit(inner, parts, named).await;
    let (caller, route) = match (admitted, route) {
        (Ok(caller), Ok(route)) => (caller, route),
        (Err(refused), _) | (_, Err(refused)) => return ("refused", Err(refused)),
    };
    match (route, method) {
        (Route::Chunk(sha256), Method::PUT) => {
            ("CasPutChunk", chunks::put(&caller, sha256, body).await)
        }
        (Route::Chunk(sha256), Method::GET) => ("CasGetChunk", chunks::get(&caller, sha256).await),
        (Route::Chunk(sha256), Method::HEAD) => {
            ("CasHeadChunk", chunks::head(&caller, sha256).await)
        }
        (Route::Missing, Method::POST) => ("CasMissing", missing::answer(&caller, body).await),
        (Route::Object(target), Method::POST) => {
            ("CasObject", objects::commit(&caller, &target, body).await)
        }
        (Route::Token, Method::POST) => ("CasToken", token::issue(&caller, body).await),
        (Route::Chunk(_), _) => ("refused", Err(Refused::method("GET, HEAD, PUT"))),
        (Route::Missing | Route::Object(_) | Route::Token, _) => {
            ("refused", Err(Refused::method("POST")))
        }
    }
}

#[cfg(test)]
mod tests;
