//! The chunks of a domain as the API sees them: which are there, which are fit, who holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use cairn_model::{DomainId, Sha256, limits};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;

use super::refusal::Refused;
use crate::data::session::Entered;
use crate::data::view::View;
use crate::data::{DataPath, layout};
use crate::error;

/// The rows of those that are there. The empty chunk has none.
///
/// # Errors
/// 503 where metadata is not there.
pub(super) async fn look_up(
    path: &Arc<DataPath>,
    domain: DomainId,
    hashes: &BTreeSet<Sha256>,
) -> Result<BTreeMap<Sha256, wire::Chunk>, Refused> {
    let mut found = BTreeMap::new();
    let hashes: Vec<&Sha256> = hashes.iter().collect();
    for asked in hashes.chunks(limits::PAGE_EXTENTS_MAX) {
        let chunks = asked.iter().map(|hash| wire::ChunkKey {
            domain: domain.0,
            sha256: Bytes::copy_from_slice(&hash.0),
        });
        let query = wire::GetChunks {
            chunks: chunks.collect(),
        };
        let answer = path.metadata.chunks(query).await;
        for row in answer.map_err(error::of_query)?.chunks {
            if let Ok(digest) = <[u8; 32]>::try_from(row.sha256.as_ref()) {
                found.insert(Sha256(digest), row);
            }
        }
    }
    Ok(found)
}

/// Whether a chunk may serve a new reference without its bytes being sent again. Apply judges the
/// same when it comes to it; here it spares entries that would be refused.
pub(super) fn is_fit(view: &View, row: &wire::Chunk) -> bool {
    let Some(coding) = layout::coding(row.coding) else {
        return false;
    };
    row.live
        && !row.suspect
        && coding.parity() >= view.coding(row.length.into()).parity()
        && coding.shards().saturating_sub(row.debt.len()) >= coding.ack_shards()
}

/// A claim to a whole stored chunk.
pub(super) fn claim(hash: Sha256, length: u32) -> wire::ExtentWrite {
    wire::ExtentWrite {
        sha256: Bytes::copy_from_slice(&hash.0),
        chunk_length: length,
        length,
        claim: wire::Claim::Fit.into(),
        ..Default::default()
    }
}

/// Leases chunks, in one entry.
///
/// # Errors
/// 503 and 500.
pub(super) async fn lease(
    session: &Entered,
    domain: DomainId,
    chunks: Vec<wire::ExtentWrite>,
) -> Result<wire::Reply, Refused> {
    let command = wire::PutLeases {
        domain: domain.0,
        chunks,
    };
    let leased = session.propose(Command::PutLeases(command)).await;
    Ok(leased.map_err(error::of_commit)?)
}
