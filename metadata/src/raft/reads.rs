//! Linearizable reads: one confirmation of leadership serves everybody who was waiting for it.
//!
//! A leader confirms that it leads and learns the index a reader must see (ReadIndex); a follower
//! asks the leader for it, once for all of its readers, and waits until it has applied that far.

use cairn_world::{Bug, buggify, planted};
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{ReadPolicy, async_runtime::watch::WatchReceiver};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

use super::errors::{Member, ReadError};
use super::messages::{Answer, Call, EmptyMessage};
use super::settings::READS_WAITING;
use super::transport::Peers;
use super::types::Raft;

type Outcome = Result<u64, ReadError>;

/// Somebody who reads.
struct Waiter {
    /// Reads here, else another member asks for the index only, and only of a leader.
    here: bool,
    outcome: oneshot::Sender<Outcome>,
}

/// Hands reads to the task that confirms them.
#[derive(Clone)]
pub(super) struct Reads {
    waiters: mpsc::Sender<Waiter>,
}

impl Reads {
    /// Starts the task; it ends when the last handle is dropped.
    pub(super) fn start(raft: Raft, peers: Arc<Peers>) -> Self {
        let (waiters, queue) = mpsc::channel(READS_WAITING);
        tokio::spawn(serve(raft, peers, queue));
        Self { waiters }
    }

    /// Returns once everything acknowledged before the call is applied here.
    pub(super) async fn confirm(&self) -> Result<(), ReadError> {
        self.wait(true).await.map(|_| ())
    }

    /// The index that holds everything acknowledged before the call; of the leader only.
    pub(super) async fn index(&self) -> Outcome {
        self.wait(false).await
    }

    async fn wait(&self, here: bool) -> Outcome {
        let (outcome, receiver) = oneshot::channel();
        let waiter = Waiter { here, outcome };
        let sent = self.waiters.send(waiter).await;
        sent.map_err(|_| ReadError::Stopped)?;
        receiver.await.unwrap_or(Err(ReadError::Stopped))
    }
}

async fn serve(raft: Raft, peers: Arc<Peers>, mut queue: mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    loop {
        // Only those who asked before the confirmation began may use it.
        let most = if buggify("reads-one-by-one") {
            1
        } else {
            READS_WAITING
        };
        if queue.recv_many(&mut waiting, most).await == 0 {
            return;
        }
        let mut outcome = raft
            .get_read_log_id(ReadPolicy::ReadIndex)
            .await
            .map(|(read, _)| read.index())
            .map_err(read_error);
        let (readers, askers): (Vec<_>, Vec<_>) =
            waiting.drain(..).partition(|waiter: &Waiter| waiter.here);
        answer(askers, &outcome);
        if readers.is_empty() {
            continue;
        }
        if let Err(ReadError::NotLeader {
            leader: Some(leader),
        }) = &outcome
            && leader.id != peers.node_id
        {
            outcome = ask(&peers, leader.clone()).await;
        }
        if let Ok(index) = outcome
            && !is_applied(&raft, index)
            && !planted(Bug::ReadsBeforeApplied)
        {
            let wait = raft.wait(Some(peers.patience));
            let applied = wait.applied_index_at_least(Some(index), "read").await;
            if applied.is_err() {
                outcome = Err(ReadError::Unavailable);
            }
        }
        answer(readers, &outcome);
    }
}

fn answer(waiters: Vec<Waiter>, outcome: &Outcome) {
    for waiter in waiters {
        let _ = waiter.outcome.send(outcome.clone());
    }
}

fn is_applied(raft: &Raft, index: u64) -> bool {
    let metrics = raft.metrics();
    let applied = metrics.borrow_watched().last_applied;
    applied.is_some_and(|applied| applied.index >= index)
}

/// Asks the leader for the index.
async fn ask(peers: &Peers, leader: Member) -> Outcome {
    match peers.ask(&leader, Call::ReadIndex(EmptyMessage {})).await {
        Ok(Answer::ReadIndex(index)) => Ok(index),
        Ok(Answer::NotLeader(message)) => Err(ReadError::NotLeader {
            leader: (message.id != 0).then_some(Member {
                id: message.id,
                address: message.address,
            }),
        }),
        Ok(_) => Err(ReadError::Unavailable),
        Err(error) => {
            tracing::debug!(%error, leader = leader.id, "no read index");
            Err(ReadError::Unavailable)
        }
    }
}

fn read_error(
    error: RaftError<super::TypeConfig, LinearizableReadError<super::TypeConfig>>,
) -> ReadError {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(to)) => ReadError::NotLeader {
            leader: Member::of(to.leader_id, to.leader_node),
        },
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => ReadError::Unavailable,
        RaftError::Fatal(_) => ReadError::Stopped,
    }
}
