//! openraft's network over a [`RaftTransport`], and the transport of a voter that is alone.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_world::buggify;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory};
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::sync::Arc;

use super::applier::blocking;
use super::errors::Member;
use super::messages::{
    self, Answer, AppendMessage, Call, EmptyMessage, Piece, SnapshotAnswerMessage,
};
use super::settings::{PIECE_BYTES, PIECE_BYTES_TINY, PIECES_IN_VAIN, POLL_INSTALL};
use super::transport::{Peers, RaftTransport, TransportError, astray};
use super::types::{RaftVote, TypeConfig};
use crate::snapshot::SnapshotHandle;

/// A snapshot as openraft hands it around: its position and a handle on its file.
pub type RaftSnapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotHandle>;

/// The transport of a one-voter cluster: nobody is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPeers;

#[async_trait]
impl RaftTransport for NoPeers {
    async fn call(&self, target: &Member, _call: Bytes) -> Result<Bytes, TransportError> {
        let id = target.id;
        Err(TransportError(format!("there is no way to node {id}")))
    }
}

/// Makes a [`Peer`] for every member.
pub(super) struct Network(pub(super) Arc<Peers>);

/// The way to one member.
pub(super) struct Peer {
    peers: Arc<Peers>,
    target: Member,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer {
            peers: self.0.clone(),
            target: Member {
                id: target,
                address: node.addr.clone(),
            },
        }
    }
}

fn unreachable(error: impl Display) -> Unreachable<TypeConfig> {
    Unreachable::from_string(error)
}

impl Peer {
    async fn ask(&self, call: Call) -> Result<Answer, TransportError> {
        self.peers.ask(&self.target, call).await
    }

    async fn ballot(&self, call: Call) -> Result<VoteResponse<TypeConfig>, TransportError> {
        match self.ask(call).await? {
            Answer::Ballot(message) => message.response().map_err(transport_error),
            _ => astray(),
        }
    }

    async fn send_piece(&self, piece: Piece) -> Result<SnapshotAnswerMessage, TransportError> {
        match self.ask(Call::Piece(piece.into())).await? {
            Answer::Snapshot(message) => Ok(message),
            _ => astray(),
        }
    }

    /// Sends the file from wherever the receiver is until it is installed there, or the receiver has
    /// seen a higher vote; the receiver's vote.
    async fn send(
        &self,
        vote: RaftVote,
        snapshot: &SnapshotHandle,
    ) -> Result<RaftVote, TransportError> {
        let (position, len) = (snapshot.meta().position, snapshot.len());
        // Nothing first: it may have some of it from before.
        let (mut at, mut data, mut vain) = (0, Bytes::new(), 0);
        loop {
            let sent = data.len();
            let piece = Piece {
                vote,
                position,
                len,
                at,
                data,
            };
            let answer = self.send_piece(piece).await?;
            let theirs = messages::vote(answer.vote).map_err(transport_error)?;
            if answer.installed || theirs > vote {
                return Ok(theirs);
            }
            vain = if answer.at > at { 0 } else { vain + 1 };
            if answer.at > len || (vain > PIECES_IN_VAIN && sent > 0) {
                return Err(TransportError("the receiver takes nothing".to_owned()));
            }
            at = answer.at;
            if at == len {
                self.peers.clock.sleep(POLL_INSTALL).await;
            }
            data = self.read(snapshot, at).await.map_err(transport_error)?;
        }
    }

    async fn read(&self, snapshot: &SnapshotHandle, at: u64) -> io::Result<Bytes> {
        let snapshot = snapshot.clone();
        let read = move || {
            let mut piece = snapshot.read(at)?;
            let tiny = buggify("snapshot-piece-tiny");
            piece.truncate(if tiny { PIECE_BYTES_TINY } else { PIECE_BYTES });
            Ok(piece)
        };
        blocking(self.peers.inline, read).await
    }
}

fn transport_error(error: impl Display) -> TransportError {
    TransportError(error.to_string())
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = SnapshotHandle;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let (message, cut) = AppendMessage::cut(&request);
        let answer = self.ask(Call::Append(message)).await;
        let response = match answer.map_err(unreachable)? {
            Answer::Appended(message) => message.response().map_err(unreachable)?,
            _ => return Err(unreachable("another answer than asked").into()),
        };
        Ok(match (response, cut) {
            (AppendEntriesResponse::Success, Some(last)) => {
                AppendEntriesResponse::PartialSuccess(Some(last))
            }
            (response, _) => response,
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = self.ballot(Call::Vote((&request).into())).await;
        Ok(answer.map_err(unreachable)?)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        // openraft's default grants; who cannot be reached must not.
        let answer = self.ballot(Call::PreVote((&request).into())).await;
        Ok(answer.map_err(unreachable)?)
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let sent = tokio::select! {
            biased;
            closed = cancel => {
                let _ = self.ask(Call::Abort(EmptyMessage {})).await;
                return Err(closed.into());
            }
            sent = self.send(vote, &snapshot.snapshot) => sent,
        };
        Ok(SnapshotResponse::new(sent.map_err(unreachable)?))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = self.ask(Call::Transfer((&request).into())).await;
        match answer.map_err(unreachable)? {
            Answer::Transfer(true) => Ok(Ok(())),
            _ => Err(unreachable("leadership was not taken").into()),
        }
    }
}
