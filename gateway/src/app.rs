//! The router: health, metrics and admin by path, everything else is S3.
//!
//! ```text
//!   request ── id ── router ─┬─ /health/live  /health/ready  /metrics
//!                            ├─ /v1/users  /v1/clock  /v1/cluster  /v1/disks  /v1/nodes
//!                            ├─ /cas/...          the chunk API
//!                            └─ S3 pipeline
//!           <── x-amz-request-id, x-amz-id-2, Server, Date ──┘
//! ```
//!
//! The reserved paths are no bucket names, but below a virtual host they are keys like any other.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{any, delete, get, post};
use cairn_s3::target::RESERVED_SEGMENTS;
use cairn_s3::{S3Error, Target, Timestamp, error};
use cairn_telemetry::RequestId;
use http::header::{DATE, HOST, HeaderMap, HeaderName, HeaderValue, SERVER};
use http::{Request, Response, StatusCode};
use tower::ServiceExt;

use crate::gateway::Inner;
use crate::{admin, cas, health, pipeline};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

/// Stands on a request that came over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secure;

fn draw_id(inner: &Inner) -> RequestId {
    let mut random = [0; 16];
    inner.entropy.fill(&mut random);
    RequestId::new(random)
}

/// All routes.
pub(crate) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/v1/users", get(admin::users::list).post(admin::users::add))
        .route("/v1/users/{access_key}", delete(admin::users::remove))
        .route("/v1/cluster", get(admin::cluster::show))
        .route("/v1/disks/{id}", delete(admin::cluster::remove_disk))
        .route("/v1/disks/{id}/leave", post(admin::cluster::leave))
        .route("/v1/disks/{id}/stay", post(admin::cluster::stay))
        .route("/v1/nodes/{id}", delete(admin::cluster::remove_node))
        .route("/v1/clock", get(admin::clock::show))
        .route("/v1/clock/accept", post(admin::clock::accept))
        .route("/v1/{*rest}", any(admin::not_found))
        .route("/cas/{*rest}", any(cas::answer))
        .fallback(s3)
        .with_state(inner)
}

/// Answers a request: its id, its route, and what stands on every answer.
pub(crate) async fn respond(
    inner: &Arc<Inner>,
    router: &Router,
    mut request: Request<Body>,
) -> Response<Body> {
    let id = draw_id(inner);
    request.extensions_mut().insert(id);
    let mut response = if is_reserved_key(inner, &request) {
        s3(State(Arc::clone(inner)), request).await
    } else {
        match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    stamp(inner, id, response.headers_mut());
    response
}

/// Refuses a request before it has a route.
pub(crate) fn refuse<B>(inner: &Inner, request: &Request<B>, refused: &S3Error) -> Response<Body> {
    let id = draw_id(inner);
    let context = error::Context {
        resource: request.uri().path(),
        request_id: &id.short(),
        host_id: Some(&inner.settings.name),
    };
    let mut response = refused.respond(request.method(), &context).map(Body::from);
    stamp(inner, id, response.headers_mut());
    response
}

fn stamp(inner: &Inner, id: RequestId, headers: &mut HeaderMap) {
    let date = Timestamp::from_millis(inner.clock.wall()).to_http_date();
    let host_id = format!("{}/{id}", inner.settings.name);
    let short = id.short();
    headers.insert(SERVER, HeaderValue::from_static("Cairn"));
    for (name, value) in [(REQUEST_ID, &short), (HOST_ID, &host_id), (DATE, &date)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// Whether a path that is reserved on our own host is a key here: only below a virtual host.
fn is_reserved_key(inner: &Inner, request: &Request<Body>) -> bool {
    let path = request.uri().path();
    let first = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    if !RESERVED_SEGMENTS.contains(&first) {
        return false;
    }
    let header = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let host = header.or_else(|| request.uri().authority().map(|host| host.as_str()));
    Target::parse(host.unwrap_or_default(), path, &inner.hosts).is_ok()
}

/// S3.
async fn s3(State(inner): State<Arc<Inner>>, request: Request<Body>) -> Response<Body> {
    let begun = inner.clock.monotonic();
    let method = request.method().clone();
    let resource = request.uri().path().to_owned();
    let id = request
        .extensions()
        .get()
        .map_or_else(String::new, RequestId::short);
    let (operation, outcome) = pipeline::answer(&inner, request).await;
    let response = match outcome {
        Ok(response) => response,
        Err(refused) => {
            log_refusal(&id, operation, &refused);
            let context = error::Context {
                resource: &resource,
                request_id: &id,
                host_id: Some(&inner.settings.name),
            };
            refused.respond(&method, &context).map(Body::from)
        }
    };
    let status = response.status();
    let took = inner.clock.monotonic().saturating_sub(begun);
    inner.metrics.answered(operation, status.as_u16(), took);
    tracing::debug!(id, operation, status = status.as_u16(), ?took, "answered");
    response
}

fn log_refusal(id: &str, operation: &str, refused: &S3Error) {
    let (code, message) = (refused.code().as_str(), refused.message());
    if let Some(note) = refused.note() {
        tracing::info!(id, code, note, "a signature was refused");
    }
    if refused.status() >= StatusCode::INTERNAL_SERVER_ERROR
        && refused.status() != StatusCode::NOT_IMPLEMENTED
    {
        tracing::warn!(id, operation, code, message, "refused");
    } else {
        tracing::debug!(id, operation, code, message, "refused");
    }
}
