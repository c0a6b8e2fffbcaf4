//! Members: how a process becomes one, and where it is.
//!
//! ```text
//!   PutJoinToken ──> token (digest, roles, end) ──RegisterNode──> node row; the token is gone
//!                                                                 MoveNode: its new address
//!   AddDisks (of a storage node) ──> members without partitions ──PlaceTable──> the first table
//! ```
//!
//! A node is known by its id and its public key, for ever: who comes back with another key, or under
//! an id that was used, is somebody else.

use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::metadata::{
    AddDisks, Disk, MoveNode, Node, PlaceTable, PutJoinToken, Refusal, RegisterNode, Reply, Role,
};

use super::{Context, Stop, Transaction, cluster, malformed, refuse};
use crate::keyspace::KeyKind as _;
use crate::keyspace::cluster::ClusterKey;
use crate::keyspace::node::{JoinTokenKey, JoinTokenRow, NodeKey};
use crate::keyspace::partition::PartitionKey;

const ALL_ROLES: u32 = Role::Gateway as u32 | Role::Storage as u32 | Role::Metadata as u32;

fn check_roles(roles: u32) -> Result<(), Stop> {
    if roles == 0 || roles & !ALL_ROLES != 0 {
        return malformed("roles");
    }
    Ok(())
}

fn digest(bytes: &Bytes) -> Result<JoinTokenKey, Stop> {
    match <[u8; 32]>::try_from(bytes.as_ref()) {
        Ok(digest) => Ok(JoinTokenKey(digest)),
        Err(_) => malformed("a digest is 32 bytes"),
    }
}

/// Makes a token good for one node; those whose end has come go.
pub(super) fn put_token(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &PutJoinToken,
) -> Result<Reply, Stop> {
    context.cluster()?;
    check_roles(command.roles)?;
    let key = digest(&command.digest)?;
    if !(1..=limits::JOIN_TOKEN_MS_MAX).contains(&command.lifetime_ms) {
        return malformed("lifetime of a token");
    }
    let tokens = txn.scan::<JoinTokenKey>(&[JoinTokenKey::PREFIX], limits::JOIN_TOKENS_MAX)?;
    let mut left = tokens.len();
    for (old, row) in tokens {
        if row.end_ms <= context.now_ms {
            txn.delete(&old);
            left -= 1;
        }
    }
    if left >= limits::JOIN_TOKENS_MAX {
        return refuse(Refusal::TooMany);
    }
    let row = JoinTokenRow {
        roles: command.roles,
        end_ms: context.now_ms + command.lifetime_ms,
    };
    txn.put(&key, &row);
    Ok(Reply::default())
}

/// Takes a node in on the word of a token, which is spent by it. The same node said again is a repeat
/// of the same word, not another node.
pub(super) fn register(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: RegisterNode,
) -> Result<Reply, Stop> {
    context.cluster()?;
    let token = digest(&command.token)?;
    let Some(node) = command.node else {
        return malformed("no node");
    };
    check(&node)?;
    let key = NodeKey(node.node);
    if let Some(known) = txn.get(&key)? {
        let same = known.public_key == node.public_key && known.roles == node.roles;
        return if same {
            Ok(Reply::default())
        } else {
            refuse(Refusal::NodeConflict)
        };
    }
    match txn.get(&token)? {
        Some(row) if row.end_ms > context.now_ms && node.roles & !row.roles == 0 => {}
        _ => return refuse(Refusal::NoSuchToken),
    }
    let nodes = txn.scan::<NodeKey>(&[NodeKey::PREFIX], limits::NODES_MAX)?;
    if nodes.len() >= limits::NODES_MAX {
        return refuse(Refusal::TooMany);
    }
    if nodes
        .iter()
        .any(|(_, other)| other.public_key == node.public_key)
    {
        return refuse(Refusal::NodeConflict);
    }
    txn.delete(&token);
    let row = Node {
        joined_ms: context.now_ms,
        left_disks: Vec::new(),
        ..node
    };
    txn.put(&key, &row);
    Ok(Reply::default())
}

fn check(node: &Node) -> Result<(), Stop> {
    check_roles(node.roles)?;
    if node.node == 0 || node.public_key.len() != 32 {
        return malformed("node id or public key");
    }
    if node.zone.len() > limits::ZONE_LEN_MAX {
        return malformed("name of a zone");
    }
    check_address(node.roles, &node.address)
}

/// Only a gateway is never called, and so needs no address.
fn check_address(roles: u32, address: &str) -> Result<(), Stop> {
    let called = roles & !(Role::Gateway as u32) != 0;
    if address.len() > limits::ADDRESS_LEN_MAX || (called && address.is_empty()) {
        return malformed("address");
    }
    Ok(())
}

/// A node says where it is now.
pub(super) fn relocate(txn: &mut Transaction<'_>, command: MoveNode) -> Result<Reply, Stop> {
    let key = NodeKey(command.node);
    let Some(mut row) = txn.get(&key)? else {
        return refuse(Refusal::NoSuchNode);
    };
    check_address(row.roles, &command.address)?;
    row.address = command.address;
    txn.put(&key, &row);
    Ok(Reply::default())
}

/// Disks of storage nodes become members that hold nothing yet. One that is a member already is left
/// as it is, if it is the same node's; one that was removed stays out.
pub(super) fn add_disks(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: AddDisks,
) -> Result<Reply, Stop> {
    let mut cluster = context.cluster()?.clone();
    for disk in command.disks {
        if disk.disk.len() != 16 {
            return malformed("ids are 16 bytes");
        }
        let Some(node) = txn.get(&NodeKey(disk.node))? else {
            return refuse(Refusal::NoSuchNode);
        };
        if node.roles & Role::Storage as u32 == 0 {
            return malformed("only a storage node has disks");
        }
        // Its node goes on saying what it has; what has left comes back under a new id only.
        if node.left_disks.contains(&disk.disk) {
            continue;
        }
        match cluster.disks.iter().find(|known| known.disk == disk.disk) {
            Some(known) if known.node == disk.node => {}
            Some(_) => return refuse(Refusal::NodeConflict),
            None => cluster.disks.push(Disk {
                zone: node.zone,
                ..disk
            }),
        }
    }
    if cluster.disks.len() > limits::DISKS_MAX {
        return refuse(Refusal::TooMany);
    }
    txn.put(&ClusterKey, &cluster);
    Ok(Reply::default())
}

/// Writes the first partition table of a cluster that was born without disks.
pub(super) fn place(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &PlaceTable,
) -> Result<Reply, Stop> {
    let row = context.cluster()?;
    let placed = txn.scan::<PartitionKey>(&[PartitionKey::PREFIX], 1)?;
    if !placed.is_empty() {
        return refuse(Refusal::AlreadyInitialized);
    }
    let Some(coding) = row.classes.first().and_then(cluster::coding_of) else {
        return malformed("storage class");
    };
    let disks: Vec<Bytes> = row.disks.iter().map(|disk| disk.disk.clone()).collect();
    if !command.disks.is_empty() && command.disks != disks {
        return malformed("the cluster has other disks by now");
    }
    let rows = cluster::table(&command.slots, &disks, coding, row.partition_bits)?;
    for (number, row) in (0_u32..).zip(&rows) {
        txn.put(&PartitionKey(number), row);
    }
    Ok(Reply::default())
}
