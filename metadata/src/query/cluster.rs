//! The cluster view: members, classes, the whole partition table.

use cairn_wire::metadata::{ClusterAnswer, MembersAnswer, Node, PartitionRow};

use super::Rows;
use crate::apply::ApplyError;
use crate::keyspace::KeyKind as _;
use crate::keyspace::cluster::{ClusterKey, CountersKey, SettingsKey};
use crate::keyspace::node::NodeKey;
use crate::keyspace::partition::PartitionKey;

/// Everything a gateway needs; `cluster` is empty before `InitCluster`.
pub(super) fn get(rows: &Rows<'_>) -> Result<ClusterAnswer, ApplyError> {
    let counters = rows.get(&CountersKey)?.unwrap_or_default();
    let Some(cluster) = rows.get(&ClusterKey)? else {
        return Ok(ClusterAnswer::default());
    };
    let settings = rows.get(&SettingsKey)?.unwrap_or_default();
    let partitions = rows
        .scan::<PartitionKey>(&[PartitionKey::PREFIX])
        .map(|row| {
            let (_, row) = row?;
            Ok(PartitionRow {
                epoch: row.epoch,
                current: row.current,
                next: row.next,
            })
        })
        .collect::<Result<_, ApplyError>>()?;
    let nodes = nodes(rows)?;
    Ok(ClusterAnswer {
        cluster: cluster.cluster,
        generation: cluster.generation,
        group: cluster.group,
        disks: cluster.disks,
        classes: cluster.classes,
        partition_bits: cluster.partition_bits,
        partitions,
        location_constraints: settings.location_constraints,
        extra: settings.extra,
        time_ms: counters.time_ms,
        clock_suspended: counters.clock_suspended,
        nodes,
    })
}

/// Nodes and disks alone: every process asks for them every second.
pub(super) fn members(rows: &Rows<'_>) -> Result<MembersAnswer, ApplyError> {
    let cluster = rows.get(&ClusterKey)?;
    Ok(MembersAnswer {
        nodes: nodes(rows)?,
        disks: cluster.map(|row| row.disks).unwrap_or_default(),
    })
}

fn nodes(rows: &Rows<'_>) -> Result<Vec<Node>, ApplyError> {
    rows.scan::<NodeKey>(&[NodeKey::PREFIX])
        .map(|row| row.map(|(_, node)| node))
        .collect()
}
