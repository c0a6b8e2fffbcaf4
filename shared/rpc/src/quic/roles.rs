//! Which role may make which call. What is not written here is refused.

use cairn_wire::frame::FrameType;

use super::identity::{Role, Roles};

/// A call, as far as the right to make it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Control: is the peer there?
    Heartbeat,
    /// Raft.
    Consensus,
    /// Metadata: a command.
    Propose,
    /// Metadata: a command about the caller itself.
    ProposeOwn,
    /// Metadata: a question.
    Query,
    /// Metadata: sessions are alive.
    KeepAlive,
    /// Storage: a shard to a disk, by its writer or by whoever rebuilds it.
    Prepare,
    /// Storage: cells of a shard.
    Read,
    /// Storage: a committed delete, which only the metadata's planner carries out.
    Delete,
    /// Storage: room on a disk.
    Space,
    /// Storage: what lies on a disk.
    Inventory,
    /// Storage: a shard made anew, ordered by the metadata's planner.
    Rebuild,
}

impl Call {
    const ALL: [Self; 12] = [
        Self::Heartbeat,
        Self::Consensus,
        Self::Propose,
        Self::ProposeOwn,
        Self::Query,
        Self::KeepAlive,
        Self::Prepare,
        Self::Read,
        Self::Delete,
        Self::Space,
        Self::Inventory,
        Self::Rebuild,
    ];

    fn kind(self) -> FrameType {
        match self {
            Self::Heartbeat => FrameType::Control,
            Self::Consensus => FrameType::Consensus,
            Self::Propose | Self::ProposeOwn | Self::Query | Self::KeepAlive => FrameType::Metadata,
            Self::Prepare | Self::Read | Self::Delete => FrameType::Storage,
            Self::Space | Self::Inventory | Self::Rebuild => FrameType::Storage,
        }
    }

    fn callers(self) -> &'static [Role] {
        use Role::{Gateway, MetadataVoter, StorageNode};
        match self {
            Self::Heartbeat | Self::Query | Self::Space => &[Gateway, StorageNode, MetadataVoter],
            Self::Consensus | Self::Delete | Self::Rebuild => &[MetadataVoter],
            // Voters pass on what came to one that does not lead.
            Self::Propose | Self::KeepAlive => &[Gateway, MetadataVoter],
            // Who may propose anything may propose this too.
            Self::ProposeOwn => &[Gateway, StorageNode, MetadataVoter],
            Self::Prepare | Self::Read => &[Gateway, StorageNode],
            Self::Inventory => &[StorageNode, MetadataVoter],
        }
    }

    /// Whether a peer of these roles may make it.
    pub(crate) fn allows(self, roles: Roles) -> bool {
        roles.has_any(self.callers())
    }
}

/// Whether a peer of these roles may send any message of this kind.
pub(crate) fn may_send(roles: Roles, kind: FrameType) -> bool {
    Call::ALL
        .into_iter()
        .any(|call| call.kind() == kind && call.allows(roles))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(role: Role) -> Vec<Call> {
        let allowed = |call: &Call| call.allows(Roles::of(&[role]));
        Call::ALL.into_iter().filter(allowed).collect()
    }

    #[test]
    fn each_role_has_its_calls_and_no_other() {
        use Call::*;
        assert_eq!(
            may(Role::Gateway),
            [
                Heartbeat, Propose, ProposeOwn, Query, KeepAlive, Prepare, Read, Space
            ]
        );
        assert_eq!(
            may(Role::StorageNode),
            [
                Heartbeat, ProposeOwn, Query, Prepare, Read, Space, Inventory
            ]
        );
        assert_eq!(
            may(Role::MetadataVoter),
            [
                Heartbeat, Consensus, Propose, ProposeOwn, Query, KeepAlive, Delete, Space,
                Inventory, Rebuild
            ]
        );
    }

    #[test]
    fn only_voters_send_consensus_and_nobody_the_messages_of_sites() {
        let kinds = |role| {
            let roles = Roles::of(&[role]);
            let sent = FrameType::ALL
                .into_iter()
                .filter(|kind| may_send(roles, *kind));
            sent.map(FrameType::number).collect::<Vec<_>>()
        };
        assert_eq!(kinds(Role::Gateway), [5, 6, 7]);
        assert_eq!(kinds(Role::StorageNode), [5, 6, 7]);
        assert_eq!(kinds(Role::MetadataVoter), [4, 5, 6, 7]);
        assert!(
            FrameType::ALL
                .into_iter()
                .all(|kind| !may_send(Roles::NONE, kind))
        );
    }
}
