//! The one place where records begin and cease to count.
//!
//! ```text
//!  jobs --> [ finish | delete | finish | .. ]           one group
//!              |        |
//!              v        v
//!           last runs, tombstone units                  merged into contiguous writes
//!              |
//!           sync once per touched file
//!              |
//!           one index batch, ledger, acks
//! ```
//!
//! A record of a repair is noted as one that does not count, and counts once it was read back
//! ([`Volume::land`]). A tombstone is durable before the index forgets, and long before any byte goes. A step is
//! deterministic; a thread only repeats it.

mod group;
mod queue;

use std::sync::PoisonError;

use cairn_rpc::{ShardDelete, ShardError};
use tokio::sync::oneshot;

use super::index::{SegmentRow, StateRow};
use super::{Reservation, Volume};
use crate::format::writer::Finished;
use crate::settings::Drive;
use group::Group;
pub(super) use queue::Queue;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where the outcome of a job goes.
pub(crate) type Ack = oneshot::Sender<Result<(), ShardError>>;

/// Work for the committer.
#[derive(Debug)]
pub(crate) enum Job {
    /// A record whose other runs are written.
    Finish {
        /// Its room.
        reservation: Arc<Reservation>,
        /// Its end.
        finished: Box<Finished>,
        /// Answered when it is durable.
        ack: Ack,
    },
    /// Committed deletes.
    Delete {
        /// Which writings.
        deletes: Vec<ShardDelete>,
        /// Answered when they are durable.
        ack: Ack,
    },
}

/// What only the committer changes.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) next_sequence: u64,
}

impl Volume {
    /// Hands a job to the committer; inline, the job is done when this returns.
    pub(crate) fn submit(&self, job: Job) -> Result<(), ShardError> {
        self.check()?;
        self.queue.push(job)?;
        if self.settings.drive == Drive::Inline {
            while self.step() > 0 {}
        }
        Ok(())
    }

    /// Carries out one group; gives the number of jobs in it.
    pub(crate) fn step(&self) -> usize {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = self.queue.take();
        let count = jobs.len();
        if count > 0 {
            let mut group = Group::new(jobs);
            let outcome = self.carry_out(&mut group, &mut turn);
            group.answer(outcome);
        }
        if self.fault().is_none() {
            // A failure poisons the disk and is reported by the next call.
            let _poisoned = self.seal_drained(turn.next_sequence);
        }
        count
    }

    fn carry_out(&self, group: &mut Group, turn: &mut Turn) -> Result<(), ShardError> {
        // Closing waits for queued jobs, so only a failed disk is refused here.
        if let Some(fault) = self.fault() {
            return Err(ShardError::Failed(fault.to_owned()));
        }
        group.stamp(self, turn)?;
        group.write(self)?;
        group.sync(self)?;
        let effects = self
            .index
            .edit(|edit| group.settle(edit))
            .map_err(|error| self.index_failed(&error))?;
        self.apply(effects);
        group.hand_over();
        group.release_tombstones(self);
        Ok(())
    }

    /// Sleeps until there may be work for [`Volume::step`], or `stop` says so.
    pub(crate) fn wait_for_jobs(&self, stop: &dyn Fn() -> bool) {
        self.queue.wait(stop);
    }

    /// Wakes everybody in [`Volume::wait_for_jobs`].
    pub(crate) fn wake(&self) {
        self.queue.wake();
    }

    pub(super) fn state_row(&self, clean: bool, next_sequence: u64) -> StateRow {
        StateRow {
            disk: self.id(),
            clean,
            next_segment: self.ledger().next_segment,
            next_sequence,
        }
    }

    /// Takes no more work, finishes what is queued, seals all segments, and marks the index clean.
    pub(crate) fn close(&self) -> Result<(), ShardError> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        while self.step() > 0 {}
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = self.fault() {
            return Err(ShardError::Failed(fault.to_owned()));
        }
        self.ledger().drain_all();
        self.seal_drained(turn.next_sequence)?;
        // An upload still open keeps its segment unsealed: the next start scans it.
        let sealed = self.sealed_rows();
        let state = self.state_row(sealed.is_some(), turn.next_sequence);
        self.index
            .edit(|edit| {
                for (number, row) in sealed.iter().flatten() {
                    edit.put_segment(*number, row);
                }
                edit.put_state(&state);
                Ok(())
            })
            .and_then(|_| self.index.persist())
            .map_err(|error| self.index_failed(&error))
    }

    /// Rows of all segments; `None` where one is not sealed.
    fn sealed_rows(&self) -> Option<Vec<(u64, SegmentRow)>> {
        let ledger = self.ledger();
        let all_sealed = ledger
            .segments
            .values()
            .all(|segment| segment.phase == super::Phase::Sealed);
        let numbers: Vec<u64> = ledger.segments.keys().copied().collect();
        drop(ledger);
        all_sealed.then(|| {
            numbers
                .into_iter()
                .filter_map(|number| Some((number, self.segment_row(number)?)))
                .collect()
        })
    }
}
