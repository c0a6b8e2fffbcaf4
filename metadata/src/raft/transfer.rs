//! A snapshot coming in, piece by piece.
//!
//! ```text
//!  (nothing) --first piece, or a question--> Receiving --last byte--> Installing --> installed
//!      ^                                        |                        |
//!      +---- abort, another leader, another ----+------ failed ----------+
//! ```
//! One at a time: a leader sends one, and there is one leader. A piece that was seen before, or comes
//! too early, changes nothing; the answer always says how many bytes are here, so a sender that
//! comes back goes on from there. The file is checked whole before openraft hears of it.

use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::LogPosition;
use super::applier::{blocking, raft_snapshot};
use super::host::Inner;
use super::messages::{Piece, SnapshotAnswerMessage};
use super::stores::Stores;
use super::types::{Raft, RaftVote, vote_in};
use crate::snapshot::{Incoming, SnapshotError};

/// Why a piece is not taken; the transfer is forgotten.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("snapshot: {0}")]
    Install(String),
}

enum Stage {
    Receiving(Incoming),
    Installing(JoinHandle<Result<RaftVote, TransferError>>),
}

struct Transfer {
    from: u64,
    position: Option<LogPosition>,
    len: u64,
    stage: Stage,
}

impl Transfer {
    fn is(&self, from: u64, piece: &Piece) -> bool {
        self.from == from && self.position == piece.position && self.len == piece.len
    }
}

/// The snapshot coming in, if one is.
#[derive(Default)]
pub(super) struct Transfers(Mutex<Option<Transfer>>);

impl Transfers {
    /// `leader` appends: what another one was sending will not be finished.
    pub(super) async fn led_by(&self, leader: u64) {
        let mut slot = self.0.lock().await;
        if slot.as_ref().is_some_and(|transfer| {
            transfer.from != leader && matches!(transfer.stage, Stage::Receiving(_))
        }) {
            *slot = None;
        }
    }

    /// The sender gives up.
    pub(super) async fn abort(&self, from: u64) {
        let mut slot = self.0.lock().await;
        if slot.as_ref().is_some_and(|transfer| transfer.from == from) {
            *slot = None;
        }
    }

    /// Takes a piece; how far it is now.
    pub(super) async fn take(
        &self,
        host: &Inner,
        from: u64,
        piece: Piece,
    ) -> Result<SnapshotAnswerMessage, TransferError> {
        if let Some(ours) = host.journal.state().vote.map(vote_in)
            && ours > piece.vote
        {
            return Ok(answer(ours, 0, false));
        }
        if host.stores.applied() >= piece.position {
            // What is applied is committed, so ours is the same log up to there.
            return Ok(answer(piece.vote, piece.len, true));
        }
        let mut slot = self.0.lock().await;
        if !slot.as_ref().is_some_and(|own| own.is(from, &piece)) {
            if piece.at != 0 {
                return Ok(answer(piece.vote, 0, false));
            }
            *slot = Some(Transfer {
                from,
                position: piece.position,
                len: piece.len,
                stage: Stage::Receiving(host.stores.shelf.receive()?),
            });
        }
        let Some(transfer) = slot.take() else {
            return Ok(answer(piece.vote, 0, false));
        };
        let (next, answer) = advance(transfer, host, piece).await?;
        *slot = next;
        Ok(answer)
    }
}

fn answer(vote: RaftVote, at: u64, installed: bool) -> SnapshotAnswerMessage {
    SnapshotAnswerMessage {
        vote: Some((&vote).into()),
        at,
        installed,
    }
}

/// The transfer's next state, and what the sender hears of it.
async fn advance(
    transfer: Transfer,
    host: &Inner,
    piece: Piece,
) -> Result<(Option<Transfer>, SnapshotAnswerMessage), TransferError> {
    let len = transfer.len;
    let going_on = |stage, at| {
        let next = Transfer { stage, ..transfer };
        Ok((Some(next), answer(piece.vote, at, false)))
    };
    match transfer.stage {
        Stage::Installing(task) if !task.is_finished() => going_on(Stage::Installing(task), len),
        Stage::Installing(task) => {
            let installed = task.await;
            let vote = installed.map_err(|error| TransferError::Install(error.to_string()))??;
            Ok((None, answer(vote, len, true)))
        }
        Stage::Receiving(incoming) => {
            let incoming = write(incoming, &piece, host.settings.inline).await?;
            if incoming.len() < len {
                let at = incoming.len();
                return going_on(Stage::Receiving(incoming), at);
            }
            let (raft, stores) = (host.raft.clone(), host.stores.clone());
            let task = tokio::spawn(install(raft, stores, incoming, piece.vote));
            going_on(Stage::Installing(task), len)
        }
    }
}

async fn write(
    mut incoming: Incoming,
    piece: &Piece,
    inline: bool,
) -> Result<Incoming, TransferError> {
    if piece.at != incoming.len() || piece.data.is_empty() {
        return Ok(incoming);
    }
    let data = piece.data.clone();
    let write = move || {
        incoming.write(&data)?;
        Ok(incoming)
    };
    let written = blocking(inline, write).await;
    written.map_err(|error| TransferError::Install(error.to_string()))
}

/// Checks the file and has openraft install it; the vote then.
async fn install(
    raft: Raft,
    stores: Arc<Stores>,
    incoming: Incoming,
    vote: RaftVote,
) -> Result<RaftVote, TransferError> {
    let failed = |error: &dyn std::fmt::Display| TransferError::Install(error.to_string());
    let finish = move || Ok(incoming.finish()?);
    let handle = blocking(stores.inline, finish).await;
    let snapshot = raft_snapshot(handle.map_err(|error| failed(&error))?);
    let snapshot = snapshot.map_err(|error| failed(&error))?;
    let response = raft.install_full_snapshot(vote, snapshot).await;
    Ok(response.map_err(|error| failed(&error))?.vote)
}
