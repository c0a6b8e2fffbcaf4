//! Giving back the blocks of dead large records.

use std::collections::BTreeSet;
use std::sync::Arc;

use cairn_rpc::ShardError;
use cairn_world::buggify;

use super::{BackgroundStep, Progress};
use crate::tuning::PUNCH_PLACES;
use crate::volume::{Entry, Volume};

/// Punches dead records. Their tombstone, or the record that superseded them, has been durable
/// since before the index forgot them.
#[derive(Debug)]
pub(crate) struct Reclaim {
    volume: Arc<Volume>,
}

impl Reclaim {
    pub(crate) fn new(volume: Arc<Volume>) -> Self {
        Self { volume }
    }

    fn reclaim(&self) -> Result<Progress, ShardError> {
        let volume = &self.volume;
        volume.check()?;
        if !volume.disk().capabilities().punch {
            return Ok(Progress::Idle);
        }
        let mut queue = volume.punches();
        let most = if buggify("punch-one") {
            1
        } else {
            PUNCH_PLACES
        };
        let count = queue.len().min(most);
        let batch: Vec<Entry> = queue.drain(..count).collect();
        drop(queue);
        // Compaction may have dropped the segment meanwhile.
        let batch: Vec<Entry> = {
            let ledger = volume.ledger();
            let here = |entry: &Entry| ledger.segments.contains_key(&entry.place.segment);
            batch.into_iter().filter(here).collect()
        };
        if batch.is_empty() {
            return Ok(Progress::Idle);
        }
        punch(volume, &batch)?;
        let effects = volume
            .index
            .edit(|edit| {
                batch.iter().for_each(|entry| edit.forget_dead(entry));
                for entry in &batch {
                    // A record that could not be read at open may need it still.
                    if !volume.blind {
                        edit.forget_needless(entry.shape.incarnation)?;
                    }
                }
                Ok(())
            })
            .map_err(|error| volume.index_failed(&error))?;
        volume.apply(effects);
        let mut ledger = volume.ledger();
        batch.iter().for_each(|entry| ledger.punched(entry.place));
        Ok(Progress::Worked(
            batch.iter().map(|entry| entry.place.len()).sum(),
        ))
    }
}

fn punch(volume: &Volume, batch: &[Entry]) -> Result<(), ShardError> {
    let mut touched = BTreeSet::new();
    for entry in batch {
        volume
            .files
            .get(entry.place.segment)
            .and_then(|file| file.punch(entry.place.offset(), entry.place.len()))
            .map_err(|error| volume.poison("punch", &error))?;
        touched.insert(entry.place.segment);
    }
    for number in touched {
        volume
            .files
            .get(number)
            .and_then(|file| file.sync())
            .map_err(|error| volume.poison("sync", &error))?;
    }
    Ok(())
}

impl BackgroundStep for Reclaim {
    fn step(&mut self) -> Progress {
        self.reclaim().unwrap_or(Progress::Stopped)
    }
}
