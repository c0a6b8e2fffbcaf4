//! The cluster's birth and its settings.

use bytes::Bytes;
use cairn_model::{Coding, limits};
use cairn_wire::metadata::{InitCluster, PutSettings, Refusal, Reply, StorageClass};

use super::{Context, Stop, Transaction, malformed, refuse};
use crate::keyspace::cluster::{ClusterKey, ClusterRow, LAYOUT, SettingsKey, SettingsRow};
use crate::keyspace::partition::{PartitionKey, PartitionRow};

/// The only shard group so far.
pub(super) const GROUP: u32 = 1;

/// Writes the cluster row and the first partition table.
pub(super) fn init(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: InitCluster,
) -> Result<Reply, Stop> {
    if context.cluster.is_some() {
        return refuse(Refusal::AlreadyInitialized);
    }
    let Ok(generation @ 1..) = u16::try_from(command.generation) else {
        return malformed("generation");
    };
    if command.cluster.len() != 16 || command.disks.iter().any(|disk| disk.disk.len() != 16) {
        return malformed("ids are 16 bytes");
    }
    if !(1..=limits::PARTITION_BITS_MAX).contains(&command.partition_bits) {
        return malformed("partition bits");
    }
    let Some(coding) = command.classes.first().and_then(coding_of) else {
        return malformed("storage class");
    };
    if command.disks.len() > limits::DISKS_MAX {
        return refuse(Refusal::TooMany);
    }
    // A cluster of many nodes is born before its disks have joined: its table comes by `PlaceTable`.
    if !(command.disks.is_empty() && command.slots.is_empty()) {
        let disks: Vec<Bytes> = command.disks.iter().map(|disk| disk.disk.clone()).collect();
        let rows = table(&command.slots, &disks, coding, command.partition_bits)?;
        for (number, row) in (0_u32..).zip(&rows) {
            txn.put(&PartitionKey(number), row);
        }
    }
    txn.set_generation(generation);
    let row = ClusterRow {
        cluster: command.cluster,
        generation: command.generation,
        group: GROUP,
        disks: command.disks,
        classes: command.classes,
        partition_bits: command.partition_bits,
        leaving: Vec::new(),
        frozen_since: 0,
        layout: LAYOUT,
    };
    txn.put(&ClusterKey, &row);
    Ok(Reply::default())
}

/// Reads a table: `slots` holds a big-endian u16 index into `disks` per slot, row by row.
pub(super) fn table(
    slots: &[u8],
    disks: &[Bytes],
    coding: Coding,
    partition_bits: u32,
) -> Result<Vec<PartitionRow>, Stop> {
    let whole = slots.len().is_multiple_of(2);
    let slots: Vec<usize> = slots
        .chunks(2)
        .map(|pair| {
            pair.iter()
                .fold(0, |number, byte| (number << 8) | usize::from(*byte))
        })
        .collect();
    if slots.len() != coding.shards() << partition_bits || !whole {
        return malformed("the partition table has another size");
    }
    let mut rows = Vec::with_capacity(slots.len() / coding.shards());
    for chosen in slots.chunks(coding.shards()) {
        let mut row = PartitionRow {
            epoch: 1,
            ..PartitionRow::default()
        };
        for index in chosen {
            let Some(disk) = disks.get(*index) else {
                return malformed("the partition table names a disk that is none");
            };
            if row.current.contains(disk) {
                return malformed("two shards of a partition on one disk");
            }
            row.current.push(disk.clone());
            row.next.push(Bytes::new());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The coding of a storage class; `None` where this version cannot read it.
pub(super) fn coding_of(class: &StorageClass) -> Option<Coding> {
    class.coding?.read()
}

pub(super) fn put_settings(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: PutSettings,
) -> Result<Reply, Stop> {
    context.cluster()?;
    let row = SettingsRow {
        location_constraints: command.location_constraints,
        extra: command.extra,
    };
    txn.put(&SettingsKey, &row);
    Ok(Reply::default())
}

pub(super) fn accept_clock(txn: &mut Transaction<'_>) -> Result<Reply, Stop> {
    txn.counters_mut().clock_suspended = false;
    Ok(Reply::default())
}
