//! The way to other voters: a factory given to the host, and the one for a voter that is alone.

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{NetSnapshot, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory};
use std::future::Future;

use super::types::{RaftVote, TypeConfig};
use crate::snapshot::SnapshotHandle;

/// A snapshot as the network sends it: its position and a handle on its file.
pub type RaftSnapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotHandle>;

/// What a network for [`super::RaftHost`] must be.
pub trait RaftNetwork:
    RaftNetworkFactory<TypeConfig, Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotHandle>>
{
}

impl<N> RaftNetwork for N where
    N: RaftNetworkFactory<
            TypeConfig,
            Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotHandle>,
        >
{
}

/// The network of a one-voter cluster: nobody is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPeers;

/// The way to a voter that cannot be reached.
#[derive(Clone, Copy, Debug)]
pub struct NoPeer {
    target: u64,
}

impl NoPeer {
    fn unreachable(self) -> Unreachable<TypeConfig> {
        Unreachable::from_string(format!("this node has no network to node {}", self.target))
    }
}

impl RaftNetworkFactory<TypeConfig> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> NoPeer {
        NoPeer { target }
    }
}

impl RaftNetworkV2<TypeConfig> for NoPeer {
    type SnapshotData = SnapshotHandle;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        // The default grants; an unreachable peer must not.
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: RaftVote,
        _snapshot: RaftSnapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(self.unreachable().into())
    }
}
