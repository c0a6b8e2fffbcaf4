//! The background full mark: once a day the leader counts its rows ([`crate::mark`]) and says what
//! differs, in its log and in its status. It proposes nothing: what is wrong is for people to judge.
//!
//! ```text
//!  elected ──1 h──> one view ──step── 20 ms ──step── ... ──> status, errors ──24 h──> one view ...
//!                      └── leads no more, or in another term: dropped, an hour again
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cairn_store::View;
use cairn_wire::metadata::MarkStatus;
use tokio::sync::watch;

use super::pace::rest;
use crate::mark::{Mark, MarkReport};
use crate::raft::RaftHost;
use crate::service::Metadata;

/// From an election to the first mark: sessions that must be expired and debt of what was down come
/// first, and a cluster that is restarted node by node is not read once per election.
const FIRST: Duration = Duration::from_secs(3_600);
/// Between two marks: a wrong count does its harm at the earliest when sessions end and garbage is
/// deleted, and the rows it belongs to change slowly; reading all of them costs cache and disk.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Rows of a step: some milliseconds of a blocking thread, so that a stop waits for no longer.
const STEP_ROWS: usize = 4_096;
/// Between two steps: the mark reads at most some 200,000 rows a second, and foreground work comes
/// between. A hundred million rows take ten minutes of pauses.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks whether a mark is due.
const IDLE: Duration = Duration::from_secs(1);
/// Discrepancies logged one by one: enough to see of what kind they are.
const LOGGED: usize = 64;

/// A mark in progress, and what it looks at.
pub(super) struct Running {
    /// Keeps its point in time alive in the store: rows deleted meanwhile stay until it ends.
    view: Box<dyn View>,
    mark: Mark,
    began: Duration,
}

/// The leader's full marks.
pub(super) struct Marking {
    metadata: Arc<Metadata>,
    /// The term it leads in.
    term: Option<u64>,
    due: Duration,
    running: Option<Running>,
}

impl Marking {
    pub(super) fn new(metadata: Arc<Metadata>) -> Self {
        Self {
            metadata,
            term: None,
            due: Duration::ZERO,
            running: None,
        }
    }

    /// Works until `stop` turns true.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = if self.tick().await { PAUSE } else { IDLE };
            if !rest(self.metadata.clock().as_ref(), pause, &mut stop).await {
                return;
            }
        }
    }

    /// One step of what is due; true where a mark is in progress.
    async fn tick(&mut self) -> bool {
        let now = self.metadata.clock().monotonic();
        let term = self.metadata.host().leadership();
        if term != self.term {
            self.term = term;
            self.due = now + FIRST;
            self.running = None;
        }
        if term.is_none() || now < self.due {
            return false;
        }
        if let Err(error) = self.step(now).await {
            tracing::warn!(%error, "the full mark failed, it will be tried again");
            self.due = now + FIRST;
        }
        self.running.is_some()
    }

    async fn step(&mut self, now: Duration) -> io::Result<()> {
        let host = self.metadata.host();
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                let view = host.stale_view();
                host.blocking(move || begin(view, now)).await?
            }
        };
        let (running, done) = advance(host, running).await?;
        if done {
            self.due = now + EVERY;
            tell(&self.metadata, running);
        } else {
            self.running = Some(running);
        }
        Ok(())
    }
}

/// One step of a mark; whether that was all of it.
pub(super) async fn advance(host: &RaftHost, mut running: Running) -> io::Result<(Running, bool)> {
    let work = move || {
        let step = running.mark.step(running.view.as_ref(), STEP_ROWS);
        step.map(|done| (running, done)).map_err(io::Error::other)
    };
    host.blocking(work).await
}

/// Says what a finished mark found; how much of it is wrong.
pub(super) fn tell(metadata: &Metadata, running: Running) -> u64 {
    let took = metadata.clock().monotonic().saturating_sub(running.began);
    let report: MarkReport = running.mark.into_report();
    let (rows, discrepancies) = (report.rows_seen(), report.total + report.unnamed);
    for discrepancy in report.discrepancies.iter().take(LOGGED) {
        tracing::error!(%discrepancy, "the full mark found a discrepancy");
    }
    if discrepancies == 0 {
        tracing::info!(rows, ?took, "the full mark found every count right");
    } else {
        let unnamed = report.unnamed;
        tracing::error!(
            rows,
            ?took,
            discrepancies,
            unnamed,
            "the full mark found counts that are wrong; nothing was changed"
        );
    }
    metadata.note_mark(MarkStatus {
        finished_ms: metadata.clock().wall(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        rows,
        discrepancies,
    });
    discrepancies
}

pub(super) fn begin(view: Box<dyn View>, began: Duration) -> io::Result<Running> {
    let mark = Mark::begin(view.as_ref()).map_err(io::Error::other)?;
    Ok(Running { view, mark, began })
}

#[cfg(test)]
pub(super) mod tests;
