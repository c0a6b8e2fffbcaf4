//! The receiving side: what other members ask of this one.

use bytes::Bytes;
use cairn_world::{Bug, planted};

use super::errors::ReadError;
use super::host::RaftHost;
use super::messages::{
    self, Answer, AppendedMessage, BallotAnswerMessage, Call, CallMessage, EmptyMessage,
    HashesMessage, LeaderMessage, Malformed,
};

/// Why a call is not answered as asked.
enum Refusal {
    Malformed(Malformed),
    Failed(String),
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

impl RaftHost {
    /// Answers what member `caller`, known by its certificate, sent through its
    /// [`super::RaftTransport`]. Never panics: bytes that are no call are refused, and so are calls in
    /// another's name, of another cluster, for another member, and all calls to an empty directory
    /// that does not join.
    pub async fn handle(&self, caller: u64, call: Bytes) -> Bytes {
        let answer = match messages::read_call(call) {
            Ok(call) if call.from != caller => Err(Malformed("a call in another's name").into()),
            Ok(call) => self.answer(call).await,
            Err(malformed) => Err(malformed.into()),
        };
        messages::write_answer(answer.unwrap_or_else(|refusal| match refusal {
            Refusal::Malformed(malformed) => {
                tracing::warn!(%malformed, "a call is refused");
                Answer::Refused(malformed.to_string())
            }
            Refusal::Failed(reason) => Answer::Refused(reason),
        }))
    }

    async fn answer(&self, message: CallMessage) -> Result<Answer, Refusal> {
        let settings = &self.inner.settings;
        if message.cluster_id != settings.cluster_id.as_slice() {
            return Err(Malformed("a call of another cluster").into());
        }
        if message.to != settings.node_id || message.from == settings.node_id {
            return Err(Malformed("a call for another member").into());
        }
        if self.is_halted() {
            return Err(failed("the node has stopped"));
        }
        if !settings.joining && !self.is_initialized() && !planted(Bug::LostJournalVotes) {
            return Err(failed(
                "nothing is here, and this node does not join: its journal is lost",
            ));
        }
        let from = message.from;
        match message.call.ok_or(Malformed("a call of no known kind"))? {
            Call::Append(message) => {
                self.inner.transfers.led_by(from).await;
                let request = message.request(from)?;
                let response = self.inner.raft.append_entries(request).await;
                Ok(Answer::Appended(AppendedMessage::from(
                    &response.map_err(failed)?,
                )))
            }
            Call::Vote(message) => {
                let response = self.inner.raft.vote(message.request(from)?).await;
                Ok(Answer::Ballot(BallotAnswerMessage::from(
                    &response.map_err(failed)?,
                )))
            }
            Call::PreVote(message) => {
                let response = self.inner.raft.pre_vote(message.request(from)?).await;
                Ok(Answer::Ballot(BallotAnswerMessage::from(
                    &response.map_err(failed)?,
                )))
            }
            Call::Piece(message) => {
                let piece = message.piece(from)?;
                let taken = self.inner.transfers.take(&self.inner, from, piece).await;
                taken.map(Answer::Snapshot).map_err(failed)
            }
            Call::Abort(EmptyMessage {}) => {
                self.inner.transfers.abort(from).await;
                Ok(Answer::Transfer(true))
            }
            Call::Transfer(message) => {
                let request = message.request(from)?;
                let taken = self.inner.raft.handle_transfer_leader(request).await;
                Ok(Answer::Transfer(taken.map_err(failed)?.is_ok()))
            }
            Call::ReadIndex(EmptyMessage {}) => self.read_index().await,
            Call::Clock(EmptyMessage {}) => Ok(Answer::Clock(self.inner.clock.wall())),
            Call::Hashes(EmptyMessage {}) => {
                let hashes = self.state_hashes().map_err(failed)?;
                Ok(Answer::Hashes(HashesMessage {
                    hashes: hashes.iter().map(Into::into).collect(),
                }))
            }
        }
    }

    async fn read_index(&self) -> Result<Answer, Refusal> {
        match self.inner.reads.index().await {
            Ok(index) => Ok(Answer::ReadIndex(index)),
            Err(ReadError::NotLeader { leader }) => {
                let leader = leader.map(|leader| LeaderMessage {
                    id: leader.id,
                    address: leader.address,
                });
                Ok(Answer::NotLeader(leader.unwrap_or_default()))
            }
            Err(error) => Err(failed(error)),
        }
    }
}
