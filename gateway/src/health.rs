//! `/health/live`, `/health/ready`, `/metrics`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use cairn_model::limits;
use cairn_telemetry::prometheus;
use futures_util::future::join_all;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use crate::gateway::Inner;
use crate::tuning;

fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// The process answers.
pub(crate) async fn live() -> Response<Body> {
    text(StatusCode::OK, "live\n")
}

/// Requests can be served: metadata answers linearizably, and enough disks work.
pub(crate) async fn ready(State(inner): State<Arc<Inner>>) -> Response<Body> {
    let judged = tokio::select! {
        biased;
        judged = judge(&inner) => judged,
        () = inner.clock.sleep(tuning::READY_PATIENCE) => Err("no answer in time"),
    };
    match judged {
        Ok(()) => text(StatusCode::OK, "ready\n"),
        Err(why) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        ),
    }
}

async fn judge(inner: &Inner) -> Result<(), &'static str> {
    let path = &inner.path;
    if !path.metadata.answers_now().await {
        return Err("metadata does not answer");
    }
    let view = path
        .views
        .get()
        .await
        .map_err(|_| "the cluster is not initialised")?;
    let spaces = join_all(path.nodes.all().map(|(disk, node)| async move {
        // A full disk still serves reads and deletes: whoever sends requests by this answer must go on.
        node.space(disk).await.is_ok().then_some(disk)
    }));
    let working = spaces.await.into_iter().flatten();
    let domains: BTreeSet<_> = working.filter_map(|disk| view.domain(disk)).collect();
    let needed = view.coding(limits::CHUNK_LEN_DEFAULT).ack_shards();
    if domains.len() < needed {
        return Err("too few disks work");
    }
    Ok(())
}

/// Counters.
pub(crate) async fn metrics(State(inner): State<Arc<Inner>>) -> Response<Body> {
    inner.metrics.show(&inner.sessions.occupied());
    let mut response = text(StatusCode::OK, prometheus::render(inner.metrics.registry()));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
