//! What lies where: read from inside, for the checks and for knowing when the cluster has healed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use cairn_model::{ChunkId, DiskId, Incarnation};
use cairn_rpc::ShardFound;
use cairn_storage_node::Damage;
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    Chunk, ClusterAnswer, GarbageAnswer, GetChunkRows, GetDebt, GetGarbage, GetSessions,
};
use sha2::{Digest as _, Sha256};

use crate::cluster::Cluster;

/// The longest that a healed cluster may take to mend what is broken.
const MENDING: Duration = Duration::from_secs(45 * 60);
/// Rest between two looks: what a node found is told and owed by then.
const LOOK_EVERY: Duration = Duration::from_secs(12);
/// Looks in a row that must find nothing.
const LOOKS: u32 = 3;
/// The first byte of rows that are the Raft host's own.
const HOST_ROWS: u8 = 0;

/// Waits until nothing is owed, suspected, moving or behind, and stays so while every record of every disk
/// is checked again and again: what is found damaged is told within seconds, and then owed. A damaged
/// record that no row needs is not mended but deleted, in its time.
pub(crate) async fn until_mended(cluster: &Cluster) -> Result<(), String> {
    let begun = cluster.time.elapsed();
    let mut whole = 0;
    while whole < LOOKS {
        match unmended(cluster).await? {
            None => {
                whole += 1;
                verify(cluster);
            }
            Some(why) if cluster.time.elapsed() - begun > MENDING => {
                return Err(format!("not mended after {MENDING:?}: {why}"));
            }
            Some(_) => whole = 0,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn unmended(cluster: &Cluster) -> Result<Option<String>, String> {
    let view = cluster.cluster().await?;
    if !view.moves.is_empty() || !view.leaving.is_empty() {
        let (moves, leaving) = (view.moves.len(), view.leaving.len());
        return Ok(Some(format!("{moves} moves, {leaving} disks leaving")));
    }
    let owed = owed(cluster).await?;
    if let Some(chunk) = owed.first() {
        return Ok(Some(format!(
            "{} chunks owe or are suspect: {chunk:?}",
            owed.len()
        )));
    }
    let applied = applied(cluster);
    let last = cluster.leader().and_then(|id| {
        let host = cluster.nodes.get(&id)?.metadata.as_ref()?.host().clone();
        host.metrics().last_index
    });
    if last.is_none() || applied.values().any(|index| *index != last) {
        return Ok(Some(format!("last entry {last:?}, applied {applied:?}")));
    }
    Ok(None)
}

/// What each voter has applied.
fn applied(cluster: &Cluster) -> BTreeMap<u64, Option<u64>> {
    let voters = cluster.nodes.iter().filter_map(|(id, node)| {
        let applied = node.metadata.as_ref()?.host().metrics().applied;
        Some((*id, applied.map(|position| position.index)))
    });
    voters.collect()
}

async fn owed(cluster: &Cluster) -> Result<Vec<Chunk>, String> {
    let asked = GetDebt {
        limit: 100,
        ..GetDebt::default()
    };
    match cluster.ask(Asked::GetDebt(asked)).await? {
        Kind::ChunkPage(page) => Ok(page.chunks),
        other => Err(format!("{other:?}")),
    }
}

/// Checks every record of every disk; what is not sound is told by the node.
fn verify(cluster: &Cluster) {
    for node in cluster.nodes.values() {
        // A disk that fails now is seen by whoever reads from it.
        let _ = node.storage.verify_all(node.disk);
    }
}

/// Checks every record of every disk; the shards that are not sound, taken from what the node would tell.
pub(crate) fn damaged(cluster: &Cluster) -> Vec<(DiskId, ChunkId, Incarnation, u8)> {
    let mut all = Vec::new();
    for node in cluster.nodes.values() {
        let _ = node.storage.verify_all(node.disk);
        let found = node.storage.take_damage(node.disk).unwrap_or_default();
        let of = |damage: Damage| (node.disk, damage.chunk, damage.incarnation, damage.shard);
        all.extend(found.into_iter().map(of));
    }
    all
}

/// Every chunk row that is not being deleted.
pub(crate) async fn chunk_rows(cluster: &Cluster) -> Result<Vec<Chunk>, String> {
    let mut rows = Vec::new();
    let mut asked = GetChunkRows {
        limit: 500,
        ..GetChunkRows::default()
    };
    loop {
        match cluster.ask(Asked::GetChunkRows(asked.clone())).await? {
            Kind::ChunkPage(page) => {
                rows.extend(page.chunks);
                if page.next.is_empty() {
                    return Ok(rows);
                }
                asked.after = page.next;
            }
            other => return Err(format!("{other:?}")),
        }
    }
}

/// What lies on each disk.
pub(crate) fn inventory(cluster: &Cluster) -> Result<BTreeMap<DiskId, Vec<ShardFound>>, String> {
    let mut all = BTreeMap::new();
    for node in cluster.nodes.values() {
        let found = node.storage.inventory(node.disk, None, usize::MAX);
        all.insert(node.disk, found.map_err(|error| error.to_string())?);
    }
    Ok(all)
}

/// Work that waits for the collector of garbage.
pub(crate) async fn garbage(cluster: &Cluster) -> Result<GarbageAnswer, String> {
    match cluster
        .ask(Asked::GetGarbage(GetGarbage { limit: 1_000 }))
        .await?
    {
        Kind::Garbage(garbage) => Ok(garbage),
        other => Err(format!("{other:?}")),
    }
}

/// How many sessions are open.
pub(crate) async fn sessions(cluster: &Cluster) -> Result<u64, String> {
    match cluster.ask(Asked::GetSessions(GetSessions {})).await? {
        Kind::Sessions(sessions) => Ok(sessions.open.len() as u64),
        other => Err(format!("{other:?}")),
    }
}

/// The most memory this process has had, as the kernel counts it.
pub(crate) fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let digits = line.and_then(|line| line.trim().strip_suffix(" kB"));
    digits.and_then(|digits| digits.parse().ok()).unwrap()
}

/// Each voter, what it has applied, and a digest of all its rows but the host's own.
pub(crate) fn voters(cluster: &Cluster) -> Result<Vec<(u64, u64, [u8; 32])>, String> {
    let mut found = Vec::new();
    for (id, node) in &cluster.nodes {
        let Some(metadata) = &node.metadata else {
            continue;
        };
        let host = metadata.host();
        let applied = host.metrics().applied.map_or(0, |position| position.index);
        let view = host.stale_view();
        let mut digest = Sha256::new();
        let from = [HOST_ROWS + 1];
        for row in view.scan(Bound::Included(&from), Bound::Unbounded) {
            let (key, value) = row.map_err(|error| error.to_string())?;
            digest.update((key.len() as u64).to_be_bytes());
            digest.update(&key);
            digest.update((value.len() as u64).to_be_bytes());
            digest.update(&value);
        }
        found.push((*id, applied, digest.finalize().into()));
    }
    Ok(found)
}

/// The disks that hold the shards of a writing, by shard.
pub(crate) fn places(cluster: &ClusterAnswer, incarnation: &[u8]) -> Vec<DiskId> {
    let partition = Incarnation::from_bytes(incarnation)
        .map(|stamp| stamp.partition(cluster.partition_bits) as usize);
    let row = partition.and_then(|partition| cluster.partitions.get(partition));
    let disks = row.map(|row| row.current.as_slice()).unwrap_or_default();
    let id = |disk: &bytes::Bytes| disk.as_ref().try_into().ok().map(DiskId);
    disks.iter().filter_map(id).collect()
}
