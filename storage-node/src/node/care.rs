//! The background work of one disk and whose turn it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_rpc::ShardError;

use crate::background::{BackgroundStep, Compact, Progress, Reclaim, Scrub};
use crate::volume::{ScrubCounts, Volume};

/// Reclaim, compaction and scrub of one disk; one step at a time, whoever calls.
#[derive(Debug)]
pub(super) struct Care {
    steps: Mutex<Steps>,
}

#[derive(Debug)]
struct Steps {
    reclaim: Reclaim,
    compact: Compact,
    scrub: Scrub,
}

impl Care {
    pub(super) fn new(volume: &Arc<Volume>) -> Self {
        Self {
            steps: Mutex::new(Steps {
                reclaim: Reclaim::new(Arc::clone(volume)),
                compact: Compact::new(Arc::clone(volume)),
                scrub: Scrub::new(Arc::clone(volume)),
            }),
        }
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Punches first: it is cheap and gives most.
    pub(super) fn step(&self) -> Progress {
        let mut steps = self.steps();
        match steps.reclaim.step() {
            Progress::Idle => steps.compact.step(),
            progress => progress,
        }
    }

    pub(super) fn scrub_step(&self) -> (Progress, ScrubCounts) {
        let mut steps = self.steps();
        let progress = steps.scrub.step();
        (progress, steps.scrub.counts)
    }

    /// One whole pass of its own.
    pub(super) fn verify_all(volume: &Arc<Volume>) -> Result<ScrubCounts, ShardError> {
        let mut scrub = Scrub::new(Arc::clone(volume));
        loop {
            match scrub.step() {
                Progress::Idle => return Ok(scrub.counts),
                Progress::Worked(_) => {}
                Progress::Stopped => {
                    let fault = volume.fault().unwrap_or("scrub stopped");
                    return Err(ShardError::Failed(fault.to_owned()));
                }
            }
        }
    }
}
