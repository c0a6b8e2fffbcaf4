//! A chunk of which more has rotted than its code makes good. Nobody may be given wrong bytes, nothing may take
//! what is left of it for the chunk, and whoever sends the bytes again makes every object whole that has them.
//!
//! ```text
//!   put A ── three data shards rot ── read until the row is suspect ── put B, the same bytes ── A and B are read
//! ```

use std::time::Duration;

use bytes::Bytes;
use cairn_compat_suite::Call;
use cairn_model::DiskId;
use cairn_tests::simulated::door::{Door, Heard};
use cairn_wire::metadata::Chunk;
use cairn_world::sim::SeededRng;
use cairn_world::{Access, Disk as _, OpenMode};
use sha2::{Digest as _, Sha256};

use crate::clients::{must, new_bytes};
use crate::cluster::Cluster;
use crate::observe;

const BUCKET: &str = "simulated-ruin";
/// More than a stripe of 4+2, less than a chunk.
const LENGTH: usize = 300_000;
const CELL: usize = 64 << 10;
/// Shards that rot: one more than parity makes good, all of them data.
const ROTTEN: usize = 3;
/// Bytes by which a cell is found on a disk.
const NEEDLE: usize = 64;
/// The longest until the row says so, and until the bytes can be read again.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What was wrong.
pub(crate) async fn phase(
    cluster: &Cluster,
    door: &dyn Door,
    random: &mut SeededRng,
) -> Result<Vec<String>, String> {
    let body = new_bytes(random, LENGTH);
    let clients = Person { door, body };
    clients.must("PUT", BUCKET, &[]).await?;
    clients.must("PUT", "a", &clients.body).await?;
    let row = row(cluster, &clients.body).await?;
    rot(cluster, &row, &clients.body).await?;
    let wrong = judge(cluster, &clients).await?;
    if wrong.is_empty() {
        for key in ["a", "b", BUCKET] {
            clients.must("DELETE", key, &[]).await?;
        }
    }
    Ok(wrong)
}

async fn judge(cluster: &Cluster, clients: &Person<'_>) -> Result<Vec<String>, String> {
    let begun = cluster.time.elapsed();
    while !row(cluster, &clients.body).await?.suspect {
        if clients.reads("a").await? {
            return Err("what rotted is read nevertheless".to_owned());
        }
        if cluster.time.elapsed() - begun > PATIENCE {
            return Ok(vec![
                "a chunk that cannot be read is not suspect".to_owned(),
            ]);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    clients.must("PUT", "b", &clients.body).await?;
    let begun = cluster.time.elapsed();
    let mut wrong = Vec::new();
    for key in ["b", "a"] {
        while !clients.reads(key).await? {
            if cluster.time.elapsed() - begun > PATIENCE {
                wrong.push(format!(
                    "{key} cannot be read though its bytes were sent again"
                ));
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(wrong)
}

async fn row(cluster: &Cluster, body: &[u8]) -> Result<Chunk, String> {
    let hash = Sha256::digest(body);
    let mut rows = observe::chunk_rows(cluster).await?.into_iter();
    let found = rows.find(|row| row.sha256 == hash.as_slice());
    found.ok_or_else(|| "an object's chunk has no row".to_owned())
}

/// A bit of each of the first data shards flips.
async fn rot(cluster: &Cluster, row: &Chunk, body: &[u8]) -> Result<(), String> {
    let disks = observe::places(&cluster.cluster().await?, &row.incarnation);
    for (disk, cell) in disks.into_iter().zip(body.chunks(CELL)).take(ROTTEN) {
        flip(cluster, disk, cell)?;
    }
    Ok(())
}

fn flip(cluster: &Cluster, disk: DiskId, cell: &[u8]) -> Result<(), String> {
    let mut nodes = cluster.nodes.iter();
    let (id, _) = nodes.find(|(_, node)| node.disk == disk).ok_or("no node")?;
    let lies = &cluster.machines.get(id).ok_or("no machine")?.shards;
    for file in lies.list("segments").map_err(|error| error.to_string())? {
        let file = format!("segments/{file}");
        let opened = lies.open(&file, OpenMode::Existing, Access::Direct);
        let length = opened.and_then(|opened| opened.len());
        let bytes = length.and_then(|length| lies.peek(&file, 0, length));
        let bytes = bytes.map_err(|error| error.to_string())?;
        let needle = cell.get(..NEEDLE).unwrap_or(cell);
        if let Some(at) = bytes.windows(NEEDLE).position(|window| window == needle) {
            let at = u64::try_from(at).unwrap_or_default();
            return lies.flip(&file, at, 3).map_err(|error| error.to_string());
        }
    }
    Err(format!("a cell is not to be found on {disk:?}"))
}

/// Who sends the calls.
struct Person<'d> {
    door: &'d dyn Door,
    body: Vec<u8>,
}

impl Person<'_> {
    async fn must(&self, method: &str, key: &str, body: &[u8]) -> Result<(), String> {
        let path = match key {
            BUCKET => BUCKET.to_owned(),
            key => format!("{BUCKET}/{key}"),
        };
        must(self.door, Call::new(method, &path).body(body.to_vec())).await
    }

    /// Whether the object can be read; wrong bytes are an error.
    async fn reads(&self, key: &str) -> Result<bool, String> {
        let call = Call::new("GET", &format!("{BUCKET}/{key}"));
        match self.door.send(0, call).await {
            Heard::Answer(answer) if answer.status == 200 => {
                let right = answer.body == Bytes::copy_from_slice(&self.body);
                right.then_some(true).ok_or(format!("{key}: wrong bytes"))
            }
            _ => Ok(false),
        }
    }
}
