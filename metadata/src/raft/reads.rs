//! Linearizable reads: one confirmation of leadership serves everybody who was waiting for it.

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot};

use super::errors::{Member, ReadError};
use super::settings::READS_WAITING;
use super::types::Raft;

type Waiter = oneshot::Sender<Result<(), ReadError>>;

/// Hands reads to the task that confirms them.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    waiters: mpsc::Sender<Waiter>,
}

impl Reads {
    /// Starts the task; it ends when the last handle is dropped.
    pub(super) fn start(raft: Raft) -> Self {
        let (waiters, queue) = mpsc::channel(READS_WAITING);
        tokio::spawn(serve(raft, queue));
        Self { waiters }
    }

    /// Returns once everything acknowledged before the call is applied here.
    pub(super) async fn confirm(&self) -> Result<(), ReadError> {
        let (sender, receiver) = oneshot::channel();
        self.waiters
            .send(sender)
            .await
            .map_err(|_| ReadError::Stopped)?;
        receiver.await.unwrap_or(Err(ReadError::Stopped))
    }
}

async fn serve(raft: Raft, mut queue: mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    loop {
        // Only those who asked before the confirmation began may use it.
        if queue.recv_many(&mut waiting, READS_WAITING).await == 0 {
            return;
        }
        let result = raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
        let result = result.map(|_| ()).map_err(read_error);
        for waiter in waiting.drain(..) {
            let _ = waiter.send(result.clone());
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
