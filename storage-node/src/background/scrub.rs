//! Reading every live record and checking every byte of it.

use std::sync::Arc;

use cairn_model::Incarnation;
use cairn_rpc::ShardError;

use super::{BackgroundStep, Progress};
use crate::tuning::STEP_BYTES;
use crate::volume::{Entry, ScrubCounts, Volume};

/// A walk over the index in order of (incarnation, shard); ends a pass with [`Progress::Idle`] and
/// begins the next one at the step after.
#[derive(Debug)]
pub(crate) struct Scrub {
    volume: Arc<Volume>,
    after: Option<(Incarnation, u8)>,
    pub(crate) counts: ScrubCounts,
}

/// Rows fetched at once.
const ROWS: usize = 64;

impl Scrub {
    pub(crate) fn new(volume: Arc<Volume>) -> Self {
        Self {
            volume,
            after: None,
            counts: ScrubCounts::default(),
        }
    }

    fn rows(&self) -> Result<Vec<Entry>, ShardError> {
        let mut rows = Vec::new();
        self.volume
            .index
            .each_live(self.after, |entry| {
                rows.push(entry);
                rows.len() < ROWS
            })
            .map_err(|error| self.volume.index_failed(&error))?;
        Ok(rows)
    }

    fn scrub(&mut self) -> Result<Progress, ShardError> {
        let rows = self.rows()?;
        let mut bytes = 0;
        for entry in &rows {
            self.after = Some((entry.shape.incarnation, entry.shape.shard));
            if let Some(verdict) = self.volume.verify(entry)? {
                self.counts.records += 1;
                self.counts.bytes += entry.shape.len();
                self.counts.damaged += u64::from(!verdict.is_sound());
            }
            bytes += entry.shape.len();
            if bytes >= STEP_BYTES {
                break;
            }
        }
        if rows.is_empty() {
            self.after = None;
            self.counts.passes += 1;
            return Ok(Progress::Idle);
        }
        Ok(Progress::Worked(bytes))
    }
}

impl BackgroundStep for Scrub {
    fn step(&mut self) -> Progress {
        self.scrub().unwrap_or(Progress::Stopped)
    }
}
