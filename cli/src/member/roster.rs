//! Who belongs to the cluster, as this process knows it now.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use cairn_model::{DiskId, NodeId};
use cairn_rpc::quic::join::JoinToken;
use cairn_rpc::quic::{Membership, Peer, Role, Roles};
use cairn_wire::metadata::{MembersAnswer, Node};

/// The members. Asked on every connection and call.
#[derive(Debug)]
pub(crate) struct Roster {
    me: NodeId,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    answer: MembersAnswer,
    nodes: BTreeMap<NodeId, Node>,
    disks: BTreeMap<DiskId, NodeId>,
}

fn has_role(node: &Node, role: Role) -> bool {
    Roles::of_bits(node.roles).is_some_and(|roles| roles.has(role))
}

impl Roster {
    /// The roster of node `me`.
    pub(crate) fn new(me: NodeId, members: MembersAnswer) -> Self {
        let roster = Self {
            me,
            known: RwLock::default(),
        };
        roster.learn(members);
        roster
    }

    /// The roster of a process that borrows a member's identity: it calls that member too.
    pub(crate) fn of_guest(members: MembersAnswer) -> Self {
        Self::new(NodeId(0), members)
    }

    /// Whose roster it is.
    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    /// Where new nodes may ask to be admitted, as many as a token holds.
    pub(crate) fn doors(&self) -> Vec<String> {
        let known = self.known();
        let voters = known
            .nodes
            .values()
            .filter(|node| has_role(node, Role::MetadataVoter));
        let addresses = voters.map(|node| node.address.clone());
        addresses.take(JoinToken::ADDRESSES_MAX).collect()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the metadata says; whether anything is new.
    pub(crate) fn learn(&self, answer: MembersAnswer) -> bool {
        if self.known().answer == answer {
            return false;
        }
        let nodes = answer
            .nodes
            .iter()
            .map(|node| (NodeId(node.node), node.clone()));
        let disk = |disk: &cairn_wire::metadata::Disk| {
            let id = disk.disk.as_ref().try_into().ok().map(DiskId)?;
            Some((id, NodeId(disk.node)))
        };
        let known = Known {
            nodes: nodes.collect(),
            disks: answer.disks.iter().filter_map(disk).collect(),
            answer,
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        true
    }

    /// The others that are called, and where.
    pub(crate) fn addresses(&self) -> Vec<(NodeId, String)> {
        let called = |(id, node): (&NodeId, &Node)| {
            (*id != self.me && !node.address.is_empty()).then(|| (*id, node.address.clone()))
        };
        self.known().nodes.iter().filter_map(called).collect()
    }

    /// The nodes that may keep metadata.
    pub(crate) fn voters(&self) -> Vec<NodeId> {
        let voter =
            |(id, node): (&NodeId, &Node)| has_role(node, Role::MetadataVoter).then_some(*id);
        self.known().nodes.iter().filter_map(voter).collect()
    }

    /// Who holds a disk.
    pub(crate) fn holder(&self, disk: DiskId) -> Option<NodeId> {
        self.known().disks.get(&disk).copied()
    }

    /// All disks.
    pub(crate) fn disks(&self) -> Vec<DiskId> {
        self.known().disks.keys().copied().collect()
    }
}

impl Membership for Roster {
    fn admits(&self, peer: &Peer) -> bool {
        self.known().nodes.get(&peer.node).is_some_and(|node| {
            node.public_key == peer.key.0.as_slice()
                && Roles::of_bits(node.roles).is_some_and(|roles| peer.roles.within(roles))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cairn_rpc::quic::{ClusterId, PublicKey};
    use cairn_wire::metadata::Disk;

    fn node(id: u64, roles: &[Role], address: &str) -> Node {
        Node {
            node: id,
            address: address.to_owned(),
            public_key: Bytes::copy_from_slice(&[u8::try_from(id).unwrap(); 32]),
            roles: Roles::of(roles).bits(),
            ..Node::default()
        }
    }

    fn roster() -> Roster {
        let members = MembersAnswer {
            nodes: vec![
                node(1, &[Role::StorageNode, Role::MetadataVoter], "one:1"),
                node(2, &[Role::StorageNode], "two:2"),
                node(3, &[Role::Gateway], ""),
            ],
            disks: vec![Disk {
                disk: Bytes::from_static(&[9; 16]),
                node: 2,
                zone: String::new(),
            }],
        };
        Roster::new(NodeId(1), members)
    }

    fn peer(id: u64, key: u8, roles: &[Role]) -> Peer {
        Peer {
            cluster: ClusterId([0; 16]),
            node: NodeId(id),
            key: PublicKey([key; 32]),
            roles: Roles::of(roles),
        }
    }

    #[test]
    fn members_are_admitted_with_their_key_and_their_roles_and_no_other() {
        let roster = roster();
        assert!(roster.admits(&peer(2, 2, &[Role::StorageNode])));
        assert!(roster.admits(&peer(2, 2, &[])));
        assert!(
            !roster.admits(&peer(2, 3, &[Role::StorageNode])),
            "another key"
        );
        assert!(
            !roster.admits(&peer(2, 2, &[Role::MetadataVoter])),
            "another role"
        );
        assert!(!roster.admits(&peer(4, 4, &[])), "nobody");
    }

    #[test]
    fn who_left_is_admitted_no_more() {
        let roster = roster();
        let mut members = roster.known().answer.clone();
        assert!(!roster.learn(members.clone()), "nothing new");
        members.nodes.retain(|node| node.node != 2);
        assert!(roster.learn(members));
        assert!(!roster.admits(&peer(2, 2, &[Role::StorageNode])));
    }

    #[test]
    fn it_knows_whom_to_call_and_who_holds_what() {
        let roster = roster();
        assert_eq!(roster.addresses(), [(NodeId(2), "two:2".to_owned())]);
        assert_eq!(roster.voters(), [NodeId(1)]);
        assert_eq!(roster.holder(DiskId([9; 16])), Some(NodeId(2)));
        assert_eq!(roster.holder(DiskId([8; 16])), None);
    }
}
