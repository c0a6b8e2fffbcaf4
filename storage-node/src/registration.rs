//! What a node says of itself to the cluster: where it is, and which disks it has.

use bytes::Bytes;
use cairn_model::DiskId;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{AddDisks, Disk, MembersAnswer, MoveNode};

/// What `node`, at `address` with these disks, still has to say, given the members as last heard. Pure; it
/// is said again until the members know it.
#[must_use]
pub fn unsaid(members: &MembersAnswer, node: u64, address: &str, disks: &[DiskId]) -> Vec<Command> {
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
