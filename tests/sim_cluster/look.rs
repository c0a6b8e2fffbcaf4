//! The looks of a run: what must be so once the cluster has healed, and once it has been quiet.

use std::collections::BTreeMap;
use std::time::Duration;

use cairn_model::{ChunkId, DiskId, DomainId, Incarnation, Sha256};
use cairn_rpc::ShardFound;
use cairn_tests::simulated::checks::bounds::{self, Mark};
use cairn_tests::simulated::checks::references::{self, Marked, Voter};
use cairn_tests::simulated::checks::shards::{self, Found, Row, State};
use cairn_wire::metadata::{Chunk, ClusterAnswer};

use crate::cluster::Cluster;
use crate::observe;

/// The longest that garbage may lie: sessions end, two looks for orphans are ten minutes apart, and a
/// leader that has just been elected begins to count anew.
const QUIET: Duration = Duration::from_secs(75 * 60);
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Segments a purged log needs: two in use, one ahead, and what a voter that lags holds back.
const JOURNAL_SEGMENTS: u64 = 24;
/// Sessions of two gateways that may be open: one a minute and gateway while an upload of an hour goes on.
const OPEN_SESSIONS: u64 = 300;
/// The whole cluster with its disks.
const MEMORY_KIB: u64 = 3 << 20;

/// After mending: voters agree, counts are right, and every shard is where its row says.
pub(crate) async fn healed(cluster: &Cluster) -> Result<Vec<String>, String> {
    let view = cluster.cluster().await?;
    let chunks = observe::chunk_rows(cluster).await?;
    let rows: Vec<Row> = chunks
        .iter()
        .filter_map(|chunk| row(&view, chunk))
        .collect();
    let mut wrong = shards::not_healed(&rows, &lying(cluster)?);
    let voters: Vec<Voter> = observe::voters(cluster)?
        .into_iter()
        .map(|(node, applied, hash)| Voter {
            node,
            applied,
            hash,
        })
        .collect();
    wrong.extend(references::voters_differ(&voters));
    wrong.extend(marked(cluster)?);
    Ok(wrong)
}

/// Nothing has grown without bound: logs are purged, sessions end, and the process is no larger than its
/// simulated disks and a few stripes a request explain.
pub(crate) async fn bounds(cluster: &Cluster) -> Result<Vec<String>, String> {
    let mut marks = BTreeMap::new();
    for (id, node) in &cluster.nodes {
        if let Some(metadata) = &node.metadata {
            let usage = metadata.host().metrics().journal;
            let seen = usage.segments as u64;
            let bound = JOURNAL_SEGMENTS;
            marks.insert(
                format!("journal segments of node {id}"),
                Mark { seen, bound },
            );
        }
    }
    let seen = observe::sessions(cluster).await?;
    let bound = OPEN_SESSIONS;
    marks.insert("open sessions".to_owned(), Mark { seen, bound });
    let (seen, bound) = (observe::peak_memory_kib(), MEMORY_KIB);
    marks.insert("KiB of memory at most".to_owned(), Mark { seen, bound });
    Ok(bounds::violations(&marks))
}

/// A full mark of what the leader has applied.
fn marked(cluster: &Cluster) -> Result<Vec<String>, String> {
    let leader = cluster.leader().and_then(|id| cluster.nodes.get(&id));
    let metadata = leader.and_then(|node| node.metadata.as_ref());
    let view = metadata.ok_or("nobody leads")?.host().stale_view();
    let report = cairn_metadata::mark::full_mark(view.as_ref());
    let report = report.map_err(|error| error.to_string())?;
    Ok(references::violations(&Marked {
        rows: report.rows_seen(),
        named: &report.discrepancies,
        total: report.total,
        unnamed: report.unnamed,
    }))
}

/// Once nobody works any more, nothing is left on any disk that no row needs.
pub(crate) async fn quiet(cluster: &Cluster) -> Result<Vec<String>, String> {
    let begun = cluster.time.elapsed();
    loop {
        let view = cluster.cluster().await?;
        let chunks = observe::chunk_rows(cluster).await?;
        let rows: Vec<Row> = chunks
            .iter()
            .filter_map(|chunk| row(&view, chunk))
            .collect();
        let mut left = shards::garbage(&rows, &lying(cluster)?);
        let work = observe::garbage(cluster).await?;
        let waiting = [
            ("deletable", work.deletable.len()),
            ("deleting", work.deleting.len()),
            ("releases", work.releases.len()),
            ("aborts", work.aborts.len()),
            ("condemned", usize::try_from(work.condemned).unwrap()),
        ];
        let waiting = waiting.iter().filter(|(_, count)| *count > 0);
        left.extend(waiting.map(|(what, count)| format!("{count} {what}")));
        left.extend(damaged(cluster, &rows));
        if left.is_empty() || cluster.time.elapsed() - begun > QUIET {
            return Ok(left);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Damaged shards that lie where their rows want them. What a moved slot left behind may rot.
fn damaged(cluster: &Cluster, rows: &[Row]) -> Vec<String> {
    let wanted = |disk: &DiskId, chunk: &ChunkId, incarnation: &Incarnation, shard: u8| {
        let mut of = rows.iter();
        of.any(|row| {
            let place = row.disks.get(usize::from(shard));
            row.chunk == *chunk && row.incarnation == *incarnation && place == Some(disk)
        })
    };
    let found = observe::damaged(cluster).into_iter();
    let found = found.filter(|(disk, chunk, stamp, shard)| wanted(disk, chunk, stamp, *shard));
    found
        .map(|(disk, chunk, _, shard)| format!("shard {shard} of {chunk:?} on {disk:?} is damaged"))
        .collect()
}

fn row(view: &ClusterAnswer, chunk: &Chunk) -> Option<Row> {
    let coding = chunk.coding?;
    let shards = usize::try_from(coding.data + coding.parity).ok()?;
    let mut disks = observe::places(view, &chunk.incarnation);
    disks.truncate(shards);
    let members = view.disks.iter();
    Some(Row {
        chunk: ChunkId {
            domain: DomainId(chunk.domain),
            sha256: Sha256(chunk.sha256.as_ref().try_into().ok()?),
        },
        incarnation: Incarnation::from_bytes(&chunk.incarnation)?,
        state: if chunk.live {
            State::Live
        } else {
            State::Condemned
        },
        disks,
        // What a moved slot leaves behind stays while its chunk lives (ADR 15).
        former: members
            .filter_map(|row| row.disk.as_ref().try_into().ok().map(DiskId))
            .collect(),
        debt: chunk
            .debt
            .iter()
            .filter_map(|debt| u8::try_from(debt.shard).ok())
            .collect(),
        suspect: chunk.suspect,
    })
}

fn lying(cluster: &Cluster) -> Result<BTreeMap<DiskId, Vec<Found>>, String> {
    let found = |shard: ShardFound| Found {
        chunk: shard.chunk,
        incarnation: shard.incarnation,
        shard: shard.shard,
    };
    let inventory = observe::inventory(cluster)?;
    let disks = inventory.into_iter();
    Ok(disks
        .map(|(disk, shards)| (disk, shards.into_iter().map(found).collect()))
        .collect())
}
