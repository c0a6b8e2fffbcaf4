//! The cluster as this gateway last saw it: disks, the storage class, where partitions lie.
//!
//! A view is a hint with an epoch on every row. Using an old one is safe: nodes answer `StaleEpoch`
//! to reads and writes, and apply checks the epoch a chunk was placed by. So it is cached, read
//! again now and then, and at once when someone says that it is stale.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use cairn_model::{Coding, DiskId, Incarnation, NodeId, limits};
use cairn_placement::{PartitionRow, PartitionTable, Slot};
use cairn_wire::metadata as wire;
use cairn_world::{Clock, buggify};

use crate::data::layout;
use crate::metadata::{Metadata, QueryError};
use crate::tuning;

/// Where a disk stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seat {
    node: NodeId,
    zone: String,
}

/// The level on which shards of one chunk must not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Disk,
    Node,
    Zone,
}

/// A failure domain at the class's level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Domain {
    /// One disk.
    Disk(DiskId),
    /// One node.
    Node(NodeId),
    /// One zone.
    Zone(String),
}

/// A view of the cluster.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) group: u16,
    pub(crate) location_constraints: Vec<String>,
    /// Who owns the objects of a new bucket, in S3's words.
    pub(crate) object_ownership: String,
    coding: Coding,
    level: Level,
    table: PartitionTable,
    disks: BTreeMap<DiskId, Seat>,
}

const MALFORMED: QueryError = QueryError::Protocol("a malformed cluster view");

impl View {
    /// Reads the answer to GetCluster.
    ///
    /// # Errors
    /// `Unavailable` before the cluster is initialised and placed, `Protocol` for what makes no sense.
    pub(crate) fn read(answer: wire::ClusterAnswer) -> Result<Self, QueryError> {
        if answer.cluster.is_empty() {
            return Err(QueryError::Unavailable(
                "the cluster is not initialised".to_owned(),
            ));
        }
        if answer.partitions.is_empty() {
            return Err(QueryError::Unavailable(
                "the cluster waits for its disks".to_owned(),
            ));
        }
        let class = answer.classes.first().ok_or(MALFORMED)?;
        let coding = layout::coding(class.coding).ok_or(MALFORMED)?;
        let rows: Vec<PartitionRow> = answer
            .partitions
            .into_iter()
            .map(partition)
            .collect::<Result<_, _>>()?;
        let table = PartitionTable::new(0, answer.partition_bits, rows).map_err(|error| {
            tracing::error!(%error, "the partition table makes no sense");
            MALFORMED
        })?;
        if table.slots() < coding.shards() {
            return Err(MALFORMED);
        }
        Ok(Self {
            group: u16::try_from(answer.group).map_err(|_| MALFORMED)?,
            location_constraints: answer.location_constraints,
            object_ownership: object_ownership(&answer.extra),
            coding,
            level: level(&class.domain)?,
            table,
            disks: answer
                .disks
                .into_iter()
                .map(seat)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The coding of a chunk of `length` bytes.
    pub(crate) fn coding(&self, length: u64) -> Coding {
        if length < limits::SMALL_CHUNK_LEN {
            self.coding.copies()
        } else {
            self.coding
        }
    }

    /// Where partitions lie: slot i of a row holds shard i.
    pub(crate) fn table(&self) -> &PartitionTable {
        &self.table
    }

    /// The partition of a writing.
    pub(crate) fn partition(&self, incarnation: Incarnation) -> &PartitionRow {
        self.table.row_of(incarnation).1
    }

    /// The failure domain a disk counts in; a disk that is no member counts in none.
    pub(crate) fn domain(&self, disk: DiskId) -> Option<Domain> {
        let seat = self.disks.get(&disk)?;
        Some(match self.level {
            Level::Disk => Domain::Disk(disk),
            Level::Node => Domain::Node(seat.node),
            Level::Zone => Domain::Zone(seat.zone.clone()),
        })
    }
}

fn level(name: &str) -> Result<Level, QueryError> {
    match name {
        "" | "disk" => Ok(Level::Disk),
        "node" => Ok(Level::Node),
        "zone" => Ok(Level::Zone),
        _ => Err(MALFORMED),
    }
}

fn disk(bytes: &Bytes) -> Result<DiskId, QueryError> {
    bytes.as_ref().try_into().map(DiskId).map_err(|_| MALFORMED)
}

/// The cluster's setting, or AWS's default for new buckets.
fn object_ownership(settings: &[wire::Header]) -> String {
    let set = settings
        .iter()
        .find(|setting| setting.name == "defaults.object_ownership");
    set.map_or("BucketOwnerEnforced", |setting| setting.value.as_str())
        .to_owned()
}

fn seat(row: wire::Disk) -> Result<(DiskId, Seat), QueryError> {
    let seat = Seat {
        node: NodeId(row.node),
        zone: row.zone,
    };
    Ok((disk(&row.disk)?, seat))
}

fn partition(row: wire::PartitionRow) -> Result<PartitionRow, QueryError> {
    let slot = |(at, current): (usize, &Bytes)| {
        let next = row.next.get(at).filter(|next| !next.is_empty());
        Ok(Slot {
            current: disk(current)?,
            next: next.map(disk).transpose()?,
        })
    };
    Ok(PartitionRow {
        epoch: row.epoch,
        slots: row
            .current
            .iter()
            .enumerate()
            .map(slot)
            .collect::<Result<_, _>>()?,
    })
}

/// The cached view.
#[derive(Debug)]
pub(crate) struct Views {
    metadata: Metadata,
    clock: Arc<dyn Clock>,
    current: RwLock<Option<Arc<View>>>,
    reading: tokio::sync::Mutex<()>,
}

impl Views {
    pub(crate) fn new(metadata: Metadata, clock: Arc<dyn Clock>) -> Self {
        Self {
            metadata,
            clock,
            current: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    fn cached(&self) -> Option<Arc<View>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The view, read where there is none yet.
    ///
    /// # Errors
    /// As [`View::read`].
    pub(crate) async fn get(&self) -> Result<Arc<View>, QueryError> {
        match self.cached() {
            Some(view) => Ok(view),
            None => self.newer_than(None).await,
        }
    }

    /// A view read after `stale` was found to be stale. Many who find it at once read it once.
    ///
    /// # Errors
    /// As [`View::read`].
    pub(crate) async fn newer_than(
        &self,
        stale: Option<&Arc<View>>,
    ) -> Result<Arc<View>, QueryError> {
        let _one_at_a_time = self.reading.lock().await;
        if let Some(view) = self.cached()
            && stale.is_none_or(|stale| !Arc::ptr_eq(stale, &view))
        {
            return Ok(view);
        }
        let view = Arc::new(View::read(
            self.metadata.cluster(wire::GetCluster {}).await?,
        )?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&view));
        Ok(view)
    }

    /// Reads the view again now and then for as long as it is polled.
    pub(crate) async fn keep(&self) {
        loop {
            self.clock.sleep(tuning::VIEW_REFRESH).await;
            if buggify("view-late") {
                self.clock.sleep(3 * tuning::VIEW_REFRESH).await;
            }
            let stale = self.cached();
            if let Err(error) = self.newer_than(stale.as_ref()).await {
                tracing::warn!(%error, "the cluster view could not be refreshed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::FakeMetadata;

    fn answer() -> wire::ClusterAnswer {
        let fake = FakeMetadata::new(Coding::new(2, 1).unwrap(), 3);
        fake.edit(|state| state.cluster().clone())
    }

    #[test]
    fn small_chunks_are_copies_of_the_class() {
        let view = View::read(answer()).unwrap();
        assert_eq!(view.coding(limits::SMALL_CHUNK_LEN).data(), 2);
        assert_eq!(view.coding(limits::SMALL_CHUNK_LEN - 1).data(), 1);
        assert_eq!(view.coding(1).parity(), 1);
        assert_eq!(view.domain(DiskId([0xee; 16])), None);
    }

    #[test]
    fn a_cluster_without_a_table_is_not_ready() {
        let mut born = answer();
        born.partitions.clear();
        let refused = View::read(born).unwrap_err();
        assert!(matches!(refused, QueryError::Unavailable(_)), "{refused}");
    }

    #[test]
    fn a_view_that_makes_no_sense_is_refused() {
        type Break = fn(&mut wire::ClusterAnswer);
        let breaks: [Break; 7] = [
            |answer| answer.classes.clear(),
            |answer| answer.classes[0].coding = None,
            |answer| answer.classes[0].domain = "continent".to_owned(),
            |answer| answer.partition_bits = 5,
            |answer| answer.partitions[3].current.truncate(2),
            |answer| answer.partitions[3].current[0] = Bytes::from_static(b"short"),
            |answer| answer.disks[0].disk = Bytes::new(),
        ];
        for (at, broken) in breaks.into_iter().enumerate() {
            let mut answer = answer();
            broken(&mut answer);
            assert_eq!(View::read(answer).unwrap_err(), MALFORMED, "break {at}");
        }
        let young = wire::ClusterAnswer::default();
        assert!(matches!(View::read(young), Err(QueryError::Unavailable(_))));
    }
}
