//! What members say to each other, as bytes: one call, one answer, each at most one wire payload.
//!
//! A call names its cluster, who calls and who is meant: a node that came back under another id at
//! the same address must not answer for the one that is gone. Everything that is read is checked
//! before Raft sees it: the sender speaks for its own vote only, entries follow each other.

use bytes::Bytes;
use cairn_model::limits;
use cairn_world::buggify;
use crc_fast::{CrcAlgorithm, Digest};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use prost::Message;

use super::LogPosition;
use super::rows::StateHash;
use super::settings::{APPEND_MESSAGE_BYTES, PIECE_BYTES};
use super::types::{
    ENTRY_WRAP, PositionMessage, RaftEntry, RaftLogId, RaftVote, TypeConfig, entry_in, entry_out,
    log_id, position, vote_in, vote_out,
};
use crate::journal::{LogEntry, Vote};

/// Why bytes are no message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// A call and who it is from and for.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CallMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) cluster_id: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) from: u64,
    #[prost(uint64, tag = "3")]
    pub(super) to: u64,
    #[prost(oneof = "Call", tags = "4, 5, 6, 7, 8, 9, 10, 11, 12")]
    pub(super) call: Option<Call>,
}

/// What is asked.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Call {
    #[prost(message, tag = "4")]
    Append(AppendMessage),
    #[prost(message, tag = "5")]
    Vote(BallotMessage),
    #[prost(message, tag = "6")]
    PreVote(BallotMessage),
    #[prost(message, tag = "7")]
    Piece(PieceMessage),
    /// The sender gives up sending a snapshot.
    #[prost(message, tag = "8")]
    Abort(EmptyMessage),
    #[prost(message, tag = "9")]
    ReadIndex(EmptyMessage),
    #[prost(message, tag = "10")]
    Clock(EmptyMessage),
    #[prost(message, tag = "11")]
    Hashes(EmptyMessage),
    #[prost(message, tag = "12")]
    Transfer(TransferMessage),
}

/// An answer.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnswerMessage {
    #[prost(oneof = "Answer", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    pub(super) answer: Option<Answer>,
}

/// What is answered.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Answer {
    #[prost(message, tag = "1")]
    Appended(AppendedMessage),
    #[prost(message, tag = "2")]
    Ballot(BallotAnswerMessage),
    #[prost(message, tag = "3")]
    Snapshot(SnapshotAnswerMessage),
    #[prost(message, tag = "4")]
    NotLeader(LeaderMessage),
    /// Index up to which a reader must have applied.
    #[prost(uint64, tag = "5")]
    ReadIndex(u64),
    /// Wall clock in milliseconds.
    #[prost(uint64, tag = "6")]
    Clock(u64),
    #[prost(message, tag = "7")]
    Hashes(HashesMessage),
    /// Done, or not: a transfer of leadership.
    #[prost(bool, tag = "8")]
    Transfer(bool),
    /// Not done, and why.
    #[prost(string, tag = "9")]
    Refused(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct EmptyMessage {}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct VoteMessage {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    leader: u64,
    #[prost(bool, tag = "3")]
    committed: bool,
}

impl From<&RaftVote> for VoteMessage {
    fn from(vote: &RaftVote) -> Self {
        let vote = vote_out(vote);
        Self {
            term: vote.term,
            leader: vote.leader,
            committed: vote.committed,
        }
    }
}

pub(super) fn vote(message: Option<VoteMessage>) -> Result<RaftVote, Malformed> {
    let message = message.ok_or(Malformed("a message without a vote"))?;
    Ok(vote_in(Vote {
        term: message.term,
        leader: message.leader,
        committed: message.committed,
    }))
}

fn place(log_id: Option<&RaftLogId>) -> Option<PositionMessage> {
    log_id.map(|id| position(id).into())
}

fn placed(message: Option<&PositionMessage>) -> Option<RaftLogId> {
    message.map(|message| log_id(message.into()))
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct EntryMessage {
    #[prost(message, optional, tag = "1")]
    position: Option<PositionMessage>,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct AppendMessage {
    #[prost(message, optional, tag = "1")]
    vote: Option<VoteMessage>,
    #[prost(message, optional, tag = "2")]
    previous: Option<PositionMessage>,
    #[prost(message, repeated, tag = "3")]
    entries: Vec<EntryMessage>,
    #[prost(message, optional, tag = "4")]
    committed: Option<PositionMessage>,
}

/// Bytes an entry takes in a message, at most.
fn entry_cost(entry: &EntryMessage) -> usize {
    entry.encoded_len() + 8
}

impl AppendMessage {
    /// The request, and whether entries were left out because they do not fit: then the last one
    /// that did. One entry always fits.
    pub(super) fn cut(request: &AppendEntriesRequest<TypeConfig>) -> (Self, Option<RaftLogId>) {
        let mut entries: Vec<EntryMessage> = Vec::new();
        let (mut bytes, mut last) = (0, None);
        for entry in &request.entries {
            let LogEntry { position, payload } = entry_out(entry);
            let message = EntryMessage {
                position: Some(position.into()),
                payload,
            };
            bytes += entry_cost(&message);
            let full = bytes > APPEND_MESSAGE_BYTES || buggify("append-cut-short");
            if full && !entries.is_empty() {
                break;
            }
            entries.push(message);
            last = Some(entry.log_id);
        }
        let cut = (entries.len() < request.entries.len()).then_some(last);
        let message = Self {
            vote: Some((&request.vote).into()),
            previous: place(request.prev_log_id.as_ref()),
            entries,
            committed: place(request.leader_commit.as_ref()),
        };
        (message, cut.flatten())
    }

    /// The request, from a sender that must be its leader.
    pub(super) fn request(self, from: u64) -> Result<AppendEntriesRequest<TypeConfig>, Malformed> {
        let vote = vote(self.vote)?;
        leads(&vote, from)?;
        let mut before = self.previous.as_ref().map(LogPosition::from);
        let mut entries = Vec::with_capacity(self.entries.len());
        for message in self.entries {
            let entry = entry(message)?;
            let at = position(&entry.log_id);
            let follows = match before {
                None => at.index == 0,
                Some(before) => {
                    before.index.checked_add(1) == Some(at.index) && before.term <= at.term
                }
            };
            if !follows || at.term > vote.leader_id.term {
                return Err(Malformed("entries that do not follow each other"));
            }
            before = Some(at);
            entries.push(entry);
        }
        Ok(AppendEntriesRequest {
            vote,
            prev_log_id: placed(self.previous.as_ref()),
            entries,
            leader_commit: placed(self.committed.as_ref()),
        })
    }
}

fn entry(message: EntryMessage) -> Result<RaftEntry, Malformed> {
    let place = message
        .position
        .ok_or(Malformed("an entry without a place"))?;
    if message.payload.len() > usize::try_from(limits::ENTRY_LEN_MAX).unwrap_or(0) + ENTRY_WRAP {
        return Err(Malformed("an entry that is too long"));
    }
    let entry = LogEntry {
        position: (&place).into(),
        payload: message.payload,
    };
    entry_in(&entry).map_err(|_| Malformed("an entry that cannot be read"))
}

/// Only a leader speaks for its own, committed vote.
pub(super) fn leads(vote: &RaftVote, from: u64) -> Result<(), Malformed> {
    if vote.committed && vote.leader_id.node_id == from {
        Ok(())
    } else {
        Err(Malformed("a leader's message from one that does not lead"))
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct AppendedMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(message, optional, tag = "2")]
    upto: Option<PositionMessage>,
    #[prost(message, optional, tag = "3")]
    vote: Option<VoteMessage>,
}

const SUCCESS: u32 = 1;
const PARTIAL: u32 = 2;
const CONFLICT: u32 = 3;
const HIGHER_VOTE: u32 = 4;

impl From<&AppendEntriesResponse<TypeConfig>> for AppendedMessage {
    fn from(response: &AppendEntriesResponse<TypeConfig>) -> Self {
        let (kind, upto, vote) = match response {
            AppendEntriesResponse::Success => (SUCCESS, None, None),
            AppendEntriesResponse::PartialSuccess(upto) => (PARTIAL, place(upto.as_ref()), None),
            AppendEntriesResponse::Conflict => (CONFLICT, None, None),
            AppendEntriesResponse::HigherVote(vote) => (HIGHER_VOTE, None, Some(vote.into())),
        };
        Self { kind, upto, vote }
    }
}

impl AppendedMessage {
    pub(super) fn response(&self) -> Result<AppendEntriesResponse<TypeConfig>, Malformed> {
        match self.kind {
            SUCCESS => Ok(AppendEntriesResponse::Success),
            PARTIAL => Ok(AppendEntriesResponse::PartialSuccess(placed(
                self.upto.as_ref(),
            ))),
            CONFLICT => Ok(AppendEntriesResponse::Conflict),
            HIGHER_VOTE => Ok(AppendEntriesResponse::HigherVote(vote(self.vote)?)),
            _ => Err(Malformed("an answer of no known kind")),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct BallotMessage {
    #[prost(message, optional, tag = "1")]
    vote: Option<VoteMessage>,
    #[prost(message, optional, tag = "2")]
    last: Option<PositionMessage>,
    /// The leader asked the candidate to stand.
    #[prost(bool, tag = "3")]
    transfer: bool,
}

impl From<&VoteRequest<TypeConfig>> for BallotMessage {
    fn from(request: &VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: Some((&request.vote).into()),
            last: place(request.last_log_id.as_ref()),
            transfer: request.leadership_transfer,
        }
    }
}

impl BallotMessage {
    pub(super) fn request(&self, from: u64) -> Result<VoteRequest<TypeConfig>, Malformed> {
        let vote = vote(self.vote)?;
        if vote.committed || vote.leader_id.node_id != from {
            return Err(Malformed("a candidate's message from another"));
        }
        let mut request = VoteRequest::new(vote, placed(self.last.as_ref()));
        request.leadership_transfer = self.transfer;
        Ok(request)
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct BallotAnswerMessage {
    #[prost(message, optional, tag = "1")]
    vote: Option<VoteMessage>,
    #[prost(message, optional, tag = "2")]
    last: Option<PositionMessage>,
    #[prost(bool, tag = "3")]
    granted: bool,
}

impl From<&VoteResponse<TypeConfig>> for BallotAnswerMessage {
    fn from(response: &VoteResponse<TypeConfig>) -> Self {
        Self {
            vote: Some((&response.vote).into()),
            last: place(response.last_log_id.as_ref()),
            granted: response.vote_granted,
        }
    }
}

impl BallotAnswerMessage {
    pub(super) fn response(&self) -> Result<VoteResponse<TypeConfig>, Malformed> {
        let vote = vote(self.vote)?;
        let last = placed(self.last.as_ref());
        Ok(VoteResponse::new(vote, last, self.granted))
    }
}

/// Some bytes of a snapshot's file; none of them to ask how far the receiver is.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct PieceMessage {
    #[prost(message, optional, tag = "1")]
    vote: Option<VoteMessage>,
    #[prost(message, optional, tag = "2")]
    position: Option<PositionMessage>,
    /// Bytes of the whole file.
    #[prost(uint64, tag = "3")]
    len: u64,
    #[prost(uint64, tag = "4")]
    at: u64,
    #[prost(bytes = "bytes", tag = "5")]
    data: Bytes,
    #[prost(fixed64, tag = "6")]
    sum: u64,
}

/// A piece that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) vote: RaftVote,
    pub(super) position: Option<LogPosition>,
    pub(super) len: u64,
    pub(super) at: u64,
    pub(super) data: Bytes,
}

fn sum(piece: &Piece) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&piece.position.map_or(0, |at| at.index).to_le_bytes());
    digest.update(&piece.len.to_le_bytes());
    digest.update(&piece.at.to_le_bytes());
    digest.update(&piece.data);
    digest.finalize()
}

impl From<Piece> for PieceMessage {
    fn from(piece: Piece) -> Self {
        Self {
            vote: Some((&piece.vote).into()),
            position: piece.position.map(Into::into),
            len: piece.len,
            at: piece.at,
            sum: sum(&piece),
            data: piece.data,
        }
    }
}

impl PieceMessage {
    pub(super) fn piece(self, from: u64) -> Result<Piece, Malformed> {
        let vote = vote(self.vote)?;
        leads(&vote, from)?;
        let piece = Piece {
            vote,
            position: self.position.as_ref().map(Into::into),
            len: self.len,
            at: self.at,
            data: self.data,
        };
        if sum(&piece) != self.sum {
            return Err(Malformed("a piece whose checksum is wrong"));
        }
        let end = piece.at.checked_add(piece.data.len() as u64);
        if piece.data.len() > PIECE_BYTES || end.is_none_or(|end| end > piece.len) {
            return Err(Malformed("a piece beyond its snapshot"));
        }
        Ok(piece)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct SnapshotAnswerMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) vote: Option<VoteMessage>,
    /// Bytes the receiver has: go on from there.
    #[prost(uint64, tag = "2")]
    pub(super) at: u64,
    #[prost(bool, tag = "3")]
    pub(super) installed: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct LeaderMessage {
    /// 0 where none is known.
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) address: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct HashesMessage {
    #[prost(message, repeated, tag = "1")]
    pub(super) hashes: Vec<HashMessage>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct HashMessage {
    #[prost(message, optional, tag = "1")]
    position: Option<PositionMessage>,
    #[prost(bytes = "vec", tag = "2")]
    hash: Vec<u8>,
}

impl From<&StateHash> for HashMessage {
    fn from(state: &StateHash) -> Self {
        Self {
            position: Some(state.position.into()),
            hash: state.hash.to_vec(),
        }
    }
}

impl HashMessage {
    pub(super) fn state(&self) -> Result<StateHash, Malformed> {
        let bad = Malformed("a state hash that is none");
        Ok(StateHash {
            position: self.position.as_ref().map(Into::into).ok_or(bad)?,
            hash: self.hash.as_slice().try_into().map_err(|_| bad)?,
        })
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct TransferMessage {
    #[prost(message, optional, tag = "1")]
    vote: Option<VoteMessage>,
    #[prost(uint64, tag = "2")]
    to: u64,
    #[prost(message, optional, tag = "3")]
    last: Option<PositionMessage>,
}

impl From<&TransferLeaderRequest<TypeConfig>> for TransferMessage {
    fn from(request: &TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            vote: Some(request.from_leader().into()),
            to: *request.to_node_id(),
            last: place(request.last_log_id()),
        }
    }
}

impl TransferMessage {
    pub(super) fn request(
        &self,
        from: u64,
    ) -> Result<TransferLeaderRequest<TypeConfig>, Malformed> {
        let vote = vote(self.vote)?;
        leads(&vote, from)?;
        let last = placed(self.last.as_ref());
        Ok(TransferLeaderRequest::new(vote, self.to, last))
    }
}

fn bounded(bytes: &Bytes) -> Result<(), Malformed> {
    if bytes.len() as u64 > limits::WIRE_PAYLOAD_MAX {
        return Err(Malformed("a message that is too long"));
    }
    Ok(())
}

/// Reads a call.
pub(super) fn read_call(bytes: Bytes) -> Result<CallMessage, Malformed> {
    bounded(&bytes)?;
    CallMessage::decode(bytes).map_err(|_| Malformed("a call that cannot be read"))
}

/// Reads an answer.
pub(super) fn read_answer(bytes: Bytes) -> Result<Answer, Malformed> {
    bounded(&bytes)?;
    let message =
        AnswerMessage::decode(bytes).map_err(|_| Malformed("an answer that cannot be read"))?;
    message
        .answer
        .ok_or(Malformed("an answer of no known kind"))
}

/// An answer's bytes.
pub(super) fn write_answer(answer: Answer) -> Bytes {
    let message = AnswerMessage {
        answer: Some(answer),
    };
    message.encode_to_vec().into()
}

#[cfg(test)]
mod tests;
