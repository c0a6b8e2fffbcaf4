//! What a node says about itself: its disks, where it is, and that it has what a member needs.

use bytes::Bytes;
use cairn_model::DiskId;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{AddDisks, Disk, MembersAnswer, MoveNode, Refusal};

use super::Node;
use crate::houses;
use crate::member::home::State;

/// What is still to be said: pure.
fn unsaid(members: &MembersAnswer, node: u64, address: &str, disks: &[DiskId]) -> Vec<Command> {
    let Some(row) = members.nodes.iter().find(|row| row.node == node) else {
        // Being founded, or removed: nothing of ours is wanted.
        return Vec::new();
    };
    let mut commands = Vec::new();
    if row.address != address {
        commands.push(Command::MoveNode(MoveNode {
            node,
            address: address.to_owned(),
        }));
    }
    let unknown = |disk: &&DiskId| {
        let mut known = members.disks.iter();
        !known.any(|row| row.disk == disk.0.as_slice())
    };
    let stays = |disk: &&DiskId| !row.left_disks.iter().any(|left| left == disk.0.as_slice());
    let fresh: Vec<Disk> = disks
        .iter()
        .filter(unknown)
        .filter(stays)
        .map(|disk| Disk {
            disk: Bytes::copy_from_slice(&disk.0),
            node,
            zone: String::new(),
        })
        .collect();
    if !fresh.is_empty() {
        commands.push(Command::AddDisks(AddDisks { disks: fresh }));
    }
    commands
}

/// Says it, where the members as just heard do not know it yet; it is said again until they do.
pub(super) async fn register(node: &Node, members: &MembersAnswer) {
    let disks = houses::disks(&node.storage);
    for command in unsaid(members, node.member.node.0, &node.address, &disks) {
        match node.member.metadata.propose(0, 0, command).await {
            Ok(reply) if reply.refusal() == Refusal::None => {}
            Ok(reply) => {
                let refusal = reply.refusal().as_str_name();
                tracing::error!(
                    refusal,
                    detail = reply.detail,
                    "the cluster does not take what this node says of itself"
                );
            }
            Err(error) => tracing::warn!(%error, "this node could not say what it has"),
        }
    }
    settle(node);
}

/// A replica that has come to have a log is a member, and must never again be found without one.
fn settle(node: &Node) {
    let has_log = node
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.host().is_initialized());
    let settled = node.member.home(|home| match home.state() {
        State::Joining if has_log => home.advance(State::Member),
        _ => Ok(()),
    });
    if let Err(error) = settled {
        tracing::error!(%error, "this node could not note that it is a member");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_wire::metadata::Node as Row;

    fn members(address: &str, disks: &[u8]) -> MembersAnswer {
        MembersAnswer {
            nodes: vec![Row {
                node: 5,
                address: address.to_owned(),
                ..Row::default()
            }],
            disks: disks
                .iter()
                .map(|name| Disk {
                    disk: Bytes::copy_from_slice(&[*name; 16]),
                    node: 5,
                    zone: "z".to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn only_what_is_new_is_said() {
        let disks = [DiskId([1; 16]), DiskId([2; 16])];
        assert!(unsaid(&members("a:1", &[1, 2]), 5, "a:1", &disks).is_empty());
        let said = unsaid(&members("b:1", &[1]), 5, "a:1", &disks);
        let [Command::MoveNode(moved), Command::AddDisks(added)] = said.as_slice() else {
            panic!("{said:?}");
        };
        assert_eq!(moved.address, "a:1");
        assert_eq!(added.disks.len(), 1);
        assert_eq!(added.disks[0].disk.as_ref(), [2; 16]);
    }

    #[test]
    fn a_disk_that_was_removed_is_not_offered_again() {
        let mut members = members("a:1", &[1]);
        members.nodes[0].left_disks = vec![Bytes::copy_from_slice(&[2; 16])];
        let disks = [DiskId([1; 16]), DiskId([2; 16])];
        assert!(unsaid(&members, 5, "a:1", &disks).is_empty());
    }

    #[test]
    fn who_is_no_member_says_nothing() {
        assert!(unsaid(&members("a:1", &[]), 6, "a:1", &[DiskId([1; 16])]).is_empty());
    }
}
