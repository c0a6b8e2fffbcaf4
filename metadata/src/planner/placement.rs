//! The view and the table as placement sees them, and when to place the first table. Pure.
//!
//! A cluster of many nodes is born without disks. They join within moments of each other, and the
//! first table spreads data only over those it knows: so it waits until joining has been quiet for
//! [`QUIET`], and until there are enough of them.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{Coding, DiskId, NodeId};
use cairn_placement::{
    Candidate, DomainLevel, PartitionRow, PartitionTable, PlacementError, Slot, first_table,
};
use cairn_wire::metadata::{self as wire, ClusterAnswer, Disk, PlaceTable};

/// How long no disk may have joined before the first table is placed.
pub const QUIET: Duration = Duration::from_secs(3);

/// The disks a table was last about to be placed on, and since when they are these.
#[derive(Debug, Default)]
pub struct Quiet {
    disks: Vec<Disk>,
    since: Duration,
}

impl Quiet {
    /// The table to propose at `now` of the monotonic clock, if any.
    pub fn place(&mut self, cluster: &ClusterAnswer, now: Duration) -> Option<PlaceTable> {
        if cluster.cluster.is_empty() || !cluster.partitions.is_empty() {
            return None;
        }
        if self.disks != cluster.disks {
            self.disks.clone_from(&cluster.disks);
            self.since = now;
        }
        if now.saturating_sub(self.since) < QUIET {
            return None;
        }
        match first(cluster) {
            Ok(table) => table,
            Err(error) => {
                tracing::debug!(%error, "no table yet");
                None
            }
        }
    }
}

/// The first table of a cluster on the disks it has now; `None` where its class cannot be read.
///
/// # Errors
/// Too few failure domains so far.
pub fn first(cluster: &ClusterAnswer) -> Result<Option<PlaceTable>, PlacementError> {
    let Some((coding, level)) = class(cluster) else {
        return Ok(None);
    };
    let view = candidates(cluster);
    let seed = seed(&cluster.cluster);
    let table = first_table(&view, level, cluster.partition_bits, coding.shards(), seed)?;
    let named = table.rows().iter().flat_map(|row| &row.slots);
    let index = |disk: DiskId| {
        let place = (cluster.disks.iter()).position(|known| known.disk.as_ref() == disk.0);
        place.and_then(|place| u16::try_from(place).ok())
    };
    let slots: Option<Vec<[u8; 2]>> = named
        .map(|slot| index(slot.current).map(u16::to_be_bytes))
        .collect();
    Ok(slots.map(|slots| PlaceTable {
        slots: slots.concat().into(),
        disks: (cluster.disks.iter())
            .map(|disk| disk.disk.clone())
            .collect(),
    }))
}

/// Coding and failure domain of the storage class.
#[must_use]
pub fn class(cluster: &ClusterAnswer) -> Option<(Coding, DomainLevel)> {
    let class = cluster.classes.first()?;
    let coding = class.coding?.read()?;
    let level = match class.domain.as_str() {
        "" => DomainLevel::Disk,
        name => DomainLevel::from_name(name)?,
    };
    Some((coding, level))
}

/// The member disks, all of one weight but for those that are to leave.
#[must_use]
pub fn candidates(cluster: &ClusterAnswer) -> Vec<Candidate> {
    let leaving: BTreeSet<&Bytes> = cluster.leaving.iter().map(|one| &one.disk).collect();
    let candidate = |disk: &Disk| {
        Some(Candidate {
            disk: disk_id(&disk.disk)?,
            node: NodeId(disk.node),
            zone: disk.zone.clone(),
            weight: u32::from(!leaving.contains(&disk.disk)),
        })
    };
    cluster.disks.iter().filter_map(candidate).collect()
}

/// The partition table; `None` before there is one.
#[must_use]
pub fn table(cluster: &ClusterAnswer) -> Option<PartitionTable> {
    let rows: Option<Vec<PartitionRow>> = cluster.partitions.iter().map(row).collect();
    PartitionTable::new(0, cluster.partition_bits, rows?).ok()
}

fn row(row: &wire::PartitionRow) -> Option<PartitionRow> {
    let slot = |(at, current): (usize, &Bytes)| {
        let next = row.next.get(at).filter(|next| !next.is_empty());
        let next = match next {
            Some(next) => Some(disk_id(next)?),
            None => None,
        };
        Some(Slot {
            current: disk_id(current)?,
            next,
        })
    };
    let slots: Option<Vec<Slot>> = row.current.iter().enumerate().map(slot).collect();
    Some(PartitionRow {
        epoch: row.epoch,
        slots: slots?,
    })
}

/// The disks that never come back.
#[must_use]
pub fn lost(cluster: &ClusterAnswer) -> BTreeSet<DiskId> {
    let lost = cluster.leaving.iter().filter(|disk| disk.lost);
    lost.filter_map(|disk| disk_id(&disk.disk)).collect()
}

/// A disk's id; `None` for the empty one of a slot that does not move.
#[must_use]
pub fn disk_id(bytes: &Bytes) -> Option<DiskId> {
    bytes.as_ref().try_into().ok().map(DiskId)
}

/// The same cluster always places alike; two clusters do not.
pub(super) fn seed(cluster: &[u8]) -> u64 {
    cluster
        .first_chunk::<8>()
        .map_or(0, |head| u64::from_be_bytes(*head))
}

#[cfg(test)]
mod tests;
