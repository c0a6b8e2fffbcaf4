//! Function calls between hosts, and cuts between them.

use cairn_metadata::raft::network::RaftSnapshot;
use cairn_metadata::raft::{RaftHost, TypeConfig};
use cairn_metadata::snapshot::SnapshotHandle;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};

type Vote = openraft::alias::VoteOf<TypeConfig>;

/// Who is reachable.
#[derive(Clone, Default)]
pub(crate) struct Exchange(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    hosts: BTreeMap<u64, RaftHost>,
    cut: BTreeSet<u64>,
    snapshots: usize,
}

impl Exchange {
    pub(crate) fn connect(&self, id: u64, host: RaftHost) {
        self.0.lock().unwrap().hosts.insert(id, host);
    }

    pub(crate) fn disconnect(&self, id: u64) {
        self.0.lock().unwrap().hosts.remove(&id);
    }

    /// Nothing goes to or from `id`.
    pub(crate) fn cut(&self, id: u64) {
        self.0.lock().unwrap().cut.insert(id);
    }

    pub(crate) fn mend(&self, id: u64) {
        self.0.lock().unwrap().cut.remove(&id);
    }

    pub(crate) fn snapshots(&self) -> usize {
        self.0.lock().unwrap().snapshots
    }

    pub(crate) fn from(&self, from: u64) -> Caller {
        Caller {
            exchange: self.clone(),
            from,
        }
    }
}

/// One host's side of the exchange.
pub(crate) struct Caller {
    exchange: Exchange,
    from: u64,
}

/// The way from one host to another.
pub(crate) struct Line {
    exchange: Exchange,
    from: u64,
    to: u64,
}

impl Line {
    fn host(&self) -> Result<RaftHost, Unreachable<TypeConfig>> {
        let lines = self.exchange.0.lock().unwrap();
        if lines.cut.contains(&self.from) || lines.cut.contains(&self.to) {
            return Err(Unreachable::from_string("cut"));
        }
        lines
            .hosts
            .get(&self.to)
            .cloned()
            .ok_or_else(|| Unreachable::from_string("down"))
    }
}

impl RaftNetworkFactory<TypeConfig> for Caller {
    type Network = Line;

    async fn new_client(&mut self, to: u64, _node: &BasicNode) -> Line {
        Line {
            exchange: self.exchange.clone(),
            from: self.from,
            to,
        }
    }
}

fn refused(error: impl std::fmt::Display) -> Unreachable<TypeConfig> {
    Unreachable::from_string(error.to_string())
}

impl RaftNetworkV2<TypeConfig> for Line {
    type SnapshotData = SnapshotHandle;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let host = self.host()?;
        Ok(host.raft().append_entries(request).await.map_err(refused)?)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let host = self.host()?;
        Ok(host.raft().vote(request).await.map_err(refused)?)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let host = self.host()?;
        Ok(host.raft().pre_vote(request).await.map_err(refused)?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let host = self.host()?;
        self.exchange.0.lock().unwrap().snapshots += 1;
        // As the wire will: piece by piece onto the receiver's own shelf.
        let copy = {
            let mut incoming = host.shelf().receive().map_err(refused)?;
            let mut at = 0;
            loop {
                let piece = snapshot.snapshot.read(at).map_err(refused)?;
                if piece.is_empty() {
                    break;
                }
                at += piece.len() as u64;
                incoming.write(&piece).map_err(refused)?;
            }
            incoming.finish().map_err(refused)?
        };
        let snapshot = RaftSnapshot {
            meta: snapshot.meta,
            snapshot: copy,
        };
        Ok(host
            .raft()
            .install_full_snapshot(vote, snapshot)
            .await
            .map_err(refused)?)
    }
}
