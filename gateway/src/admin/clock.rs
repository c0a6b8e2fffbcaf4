//! `/v1/clock`: state-machine time, and an operator's consent to a jump of it.
//!
//! After a jump of more than an hour (a clock gone wrong, or a server that was down that long)
//! nothing that time alone decides is deleted until this is called.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use cairn_s3::Timestamp;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::{Refused, admit};
use crate::error;
use crate::gateway::Inner;

async fn shown(inner: &Inner) -> Result<Value, Refused> {
    let cluster = inner.path.metadata.cluster(wire::GetCluster {}).await;
    let cluster = cluster.map_err(error::of_query)?;
    Ok(json!({
        "time": Timestamp::from_millis(cluster.time_ms).to_iso8601(),
        "suspended": cluster.clock_suspended,
    }))
}

/// `GET /v1/clock`
pub(crate) async fn show(
    State(inner): State<Arc<Inner>>,
    request: Request<Body>,
) -> Response<Body> {
    let found = async {
        admit(&inner, request).await?;
        shown(&inner).await
    };
    respond(found.await)
}

/// `POST /v1/clock/accept`
pub(crate) async fn accept(
    State(inner): State<Arc<Inner>>,
    request: Request<Body>,
) -> Response<Body> {
    let accepted = async {
        if !admit(&inner, request).await?.is_empty() {
            return Err(Refused::invalid("there is nothing to say but that"));
        }
        let session = inner.sessions.enter().await.map_err(error::of_commit)?;
        let command = Command::AcceptClock(wire::AcceptClock {});
        session.propose(command).await.map_err(error::of_commit)?;
        shown(&inner).await
    };
    respond(accepted.await)
}

fn respond(outcome: Result<Value, Refused>) -> Response<Body> {
    match outcome {
        Ok(clock) => crate::json::answer(StatusCode::OK, &clock),
        Err(refused) => refused.respond(),
    }
}
