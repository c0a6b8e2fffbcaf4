//! `POST /cas/missing`: of these chunks, which are to be uploaded.
//!
//! What is not named in the answer is leased for a week from now, and that is committed before the
//! answer: it will not go away between this and the object that is made of it. Present means fit: a
//! chunk that is suspect, condemned or too weakly stored is named as missing, and uploading it heals.

use std::collections::BTreeSet;

use axum::body::Body;
use cairn_model::{Sha256, limits};
use cairn_world::buggify;
use http::{Response, StatusCode};
use serde_json::json;

use super::caller::Caller;
use super::documents::MissingQuery;
use super::refusal::Refused;
use super::{EMPTY, stored};
use crate::error;

pub(super) async fn answer(caller: &Caller, body: Body) -> Result<Response<Body>, Refused> {
    let document = caller.document(body, limits::CAS_MISSING_LEN_MAX).await?;
    let query = MissingQuery::parse(&document)?;
    let mut missing: BTreeSet<Sha256> = query.chunks.iter().copied().collect();
    missing.remove(&EMPTY);
    let inner = &caller.inner;
    let rows = stored::look_up(&inner.path, caller.domain(), &missing).await?;
    let view = inner.path.views.get().await.map_err(error::of_query)?;
    let fit: Vec<(Sha256, u32)> = rows
        .iter()
        .filter(|(_, row)| stored::is_fit(&view, row))
        .map(|(hash, row)| (*hash, row.length))
        .collect();
    if !fit.is_empty() {
        let session = inner.sessions.enter().await.map_err(error::of_commit)?;
        for group in fit.chunks(limits::LEASES_PER_ENTRY) {
            let claims = group
                .iter()
                .map(|(hash, length)| stored::claim(*hash, *length));
            let reply = stored::lease(&session, caller.domain(), claims.collect()).await?;
            let refused = |place: usize| {
                reply
                    .not_leased
                    .iter()
                    .any(|one| usize::try_from(*one) == Ok(place))
            };
            for (place, (hash, _)) in group.iter().enumerate() {
                if !refused(place) && !buggify("claim-says-missing") {
                    missing.remove(hash);
                }
            }
        }
    }
    // In the order asked, each once.
    let named = query.chunks.into_iter().filter(|hash| missing.remove(hash));
    let named: Vec<String> = named.map(|hash| hash.to_string()).collect();
    let answer = json!({ "missing": named });
    Ok(crate::json::answer(StatusCode::OK, &answer))
}
