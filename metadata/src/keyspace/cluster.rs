//! `0x01` the cluster row, `0x02` the counters, `0x03` settings: one of each.

use bytes::Bytes;
use cairn_wire::metadata::{Disk, Header, LeavingDisk, StorageClass};

use super::KeyKind;

/// The key of [`ClusterRow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterKey;

/// What was fixed at `init`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ClusterRow {
    /// 16 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub cluster: Bytes,
    /// Bumped by a restore from backup.
    #[prost(uint32, tag = "2")]
    pub generation: u32,
    /// The shard group these rows belong to.
    #[prost(uint32, tag = "3")]
    pub group: u32,
    /// Members.
    #[prost(message, repeated, tag = "4")]
    pub disks: Vec<Disk>,
    /// Storage classes; the first is STANDARD.
    #[prost(message, repeated, tag = "5")]
    pub classes: Vec<StorageClass>,
    /// log2 of the number of partitions.
    #[prost(uint32, tag = "6")]
    pub partition_bits: u32,
    /// Members that are to leave.
    #[prost(message, repeated, tag = "7")]
    pub leaving: Vec<LeavingDisk>,
    /// Deletion is frozen since this generation began; 0: it is not.
    #[prost(uint32, tag = "8")]
    pub frozen_since: u32,
    /// How the rows of this store are laid out: [`LAYOUT`], 0 before there was a number.
    #[prost(uint32, tag = "9")]
    pub layout: u32,
}

/// How this build lays out rows. 1: the newest version of an object lies under its key alone (ADR 22).
pub const LAYOUT: u32 = 1;

impl ClusterRow {
    /// Whether nothing may be deleted.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen_since != 0
    }
}

impl KeyKind for ClusterKey {
    const PREFIX: u8 = 0x01;
    type Row = ClusterRow;

    fn write(&self, _out: &mut Vec<u8>) {}

    fn read(fields: &[u8]) -> Option<Self> {
        fields.is_empty().then_some(Self)
    }
}

/// The key of [`CountersRow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountersKey;

/// Counters that only rise.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CountersRow {
    /// Sequence of the last row version.
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    /// The last session begun.
    #[prost(uint64, tag = "2")]
    pub session: u64,
    /// The last bucket id.
    #[prost(uint64, tag = "3")]
    pub bucket: u64,
    /// The last deduplication domain.
    #[prost(uint64, tag = "4")]
    pub domain: u64,
    /// State-machine time: the highest stamp so far.
    #[prost(uint64, tag = "5")]
    pub time_ms: u64,
    /// A forward jump of the clock was seen and no operator has accepted it: nothing that time
    /// alone decides is deleted.
    #[prost(bool, tag = "6")]
    pub clock_suspended: bool,
    /// The partition table's epoch: the highest of its rows'.
    #[prost(uint64, tag = "7")]
    pub table_epoch: u64,
}

impl KeyKind for CountersKey {
    const PREFIX: u8 = 0x02;
    type Row = CountersRow;

    fn write(&self, _out: &mut Vec<u8>) {}

    fn read(fields: &[u8]) -> Option<Self> {
        fields.is_empty().then_some(Self)
    }
}

/// The key of [`SettingsRow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsKey;

/// Cluster-wide settings an operator may change.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SettingsRow {
    /// Location constraints taken beside the region.
    #[prost(string, repeated, tag = "1")]
    pub location_constraints: Vec<String>,
    /// Validated settings that have no effect yet.
    #[prost(message, repeated, tag = "2")]
    pub extra: Vec<Header>,
}

impl KeyKind for SettingsKey {
    const PREFIX: u8 = 0x03;
    type Row = SettingsRow;

    fn write(&self, _out: &mut Vec<u8>) {}

    fn read(fields: &[u8]) -> Option<Self> {
        fields.is_empty().then_some(Self)
    }
}
