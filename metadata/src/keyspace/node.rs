//! `0x07` node -> a process of the cluster, `0x08` digest of a token -> what it lets join.

use cairn_wire::metadata::Node;

use super::{KeyKind, read_u64};

/// A node's id, drawn by the node itself and never used again after it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeKey(pub u64);

impl KeyKind for NodeKey {
    const PREFIX: u8 = 0x07;
    type Row = Node;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        read_u64(fields)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(node, _)| Self(node))
    }
}

/// SHA-256 of a join token. The token itself is nowhere: who reads the store cannot join with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JoinTokenKey(pub [u8; 32]);

/// What a token lets its bearer do, once.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct JoinTokenRow {
    /// Roles it may be used for, as in [`Node::roles`].
    #[prost(uint32, tag = "1")]
    pub roles: u32,
    /// State-machine time from which on it is worth nothing.
    #[prost(uint64, tag = "2")]
    pub end_ms: u64,
}

impl KeyKind for JoinTokenKey {
    const PREFIX: u8 = 0x08;
    type Row = JoinTokenRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        fields.try_into().ok().map(Self)
    }
}
