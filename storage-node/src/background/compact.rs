//! Emptying wasted segments.
//!
//! ```text
//!  pick a sealed segment, most of whose blocks are garbage (or the shortest of many short ones)
//!  step by step:  copy live records into the care segment, sync, read back, switch the index
//!  at its end:    carry the tombstones something still needs, sync
//!  then:          forget its index rows, persist the index, remove the file, sync the directory
//!  only then:     forget tombstones that nothing needs any more
//! ```
//!
//! Bytes are carried with their stored checksums re-keyed, never recomputed: a damaged cell stays
//! damaged and is never laundered into a good one. A segment in which the index names a record the
//! walk did not find is left alone.

mod load;

use std::collections::BTreeSet;
use std::sync::Arc;

use cairn_model::Incarnation;
use cairn_rpc::ShardError;
use cairn_world::buggify;

use super::{BackgroundStep, Progress};
use crate::format::{Tombstone, tombstone};
use crate::tuning::{COMPACT_PERCENT, CROWD, CROWD_PART, STEP_BYTES};
use crate::volume::{Entry, Item, Scanner, Volume};
use load::Load;

/// The segment being emptied.
#[derive(Debug)]
struct Victim {
    number: u64,
    /// Where the walk goes on.
    unit: u32,
    /// Records found in it: dead now, or dead once their copy counts.
    found: Vec<Entry>,
    /// Needed tombstones not yet written to their new place.
    pending: Vec<Tombstone>,
}

/// Compaction of one disk.
#[derive(Debug)]
pub(crate) struct Compact {
    volume: Arc<Volume>,
    victim: Option<Victim>,
}

/// Why a segment could not be emptied now.
#[derive(Debug)]
enum Setback {
    /// It cannot be read whole, or disagrees with the index: left alone until the next start.
    Stuck(String),
    /// The disk.
    Disk(ShardError),
}

impl From<ShardError> for Setback {
    fn from(error: ShardError) -> Self {
        Self::Disk(error)
    }
}

impl From<std::io::Error> for Setback {
    fn from(error: std::io::Error) -> Self {
        Self::Stuck(error.to_string())
    }
}

impl Compact {
    pub(crate) fn new(volume: Arc<Volume>) -> Self {
        Self {
            volume,
            victim: None,
        }
    }

    /// The segment in work, or the next one worth it.
    fn next_victim(&mut self) -> Option<Victim> {
        self.victim.take().or_else(|| {
            let short = self.volume.settings.segment_units() / CROWD_PART;
            let share = if buggify("compact-now") {
                1
            } else {
                COMPACT_PERCENT
            };
            let ledger = self.volume.ledger();
            let number = ledger
                .most_wasted(share)
                .or_else(|| ledger.crowded(short, CROWD))?;
            Some(Victim {
                number,
                unit: 1,
                found: Vec::new(),
                pending: Vec::new(),
            })
        })
    }

    /// One step on `victim`; gives the bytes moved and whether the segment is gone.
    fn empty(&self, victim: &mut Victim) -> Result<(u64, bool), Setback> {
        let mut load = Load::new(&self.volume);
        let walked = self.walk(victim, &mut load);
        let (bytes, ended) = match walked {
            Ok(walked) => walked,
            Err(setback) => {
                load.abandon()?;
                return Err(setback);
            }
        };
        load.deliver()?;
        if ended {
            self.drop_segment(victim)?;
        }
        Ok((bytes, ended))
    }

    /// Loads the next records and tombstones; gives the bytes they take and whether the end was
    /// reached.
    fn walk(&self, victim: &mut Victim, load: &mut Load<'_>) -> Result<(u64, bool), Setback> {
        let volume = &self.volume;
        let salt = volume.salt(victim.number).ok_or_else(gone)?;
        let file = volume.files.get(victim.number)?;
        let mut scanner = Scanner::new(file.as_ref(), victim.number, salt, victim.unit)?;
        let mut bytes = 0;
        let mut ended = false;
        while bytes < STEP_BYTES && !ended {
            match scanner.next() {
                Some(Item::Record(entry)) => {
                    victim.found.push(entry);
                    if volume.is_live(&entry)? {
                        load.copy(&entry, file.as_ref(), salt)?;
                        bytes += entry.place.len();
                    }
                }
                Some(Item::Tombstones(_unit, found)) => {
                    for tombstone in found {
                        if self.is_needed(&tombstone, victim.number)? {
                            victim.pending.push(tombstone);
                        }
                    }
                }
                None => ended = true,
            }
            bytes += u64::from(scanner.position() - victim.unit);
            victim.unit = scanner.position();
        }
        if scanner.unreadable > 0 {
            return Err(Setback::Stuck("it cannot be read whole".to_owned()));
        }
        while victim.pending.len() >= tombstone::PER_UNIT || ended && !victim.pending.is_empty() {
            let count = victim.pending.len().min(tombstone::PER_UNIT);
            load.carry(victim.pending.drain(..count).collect())?;
        }
        Ok((bytes, ended))
    }

    /// Whether a dead record outside `victim` is still shadowed by this very tombstone.
    fn is_needed(&self, tombstone: &Tombstone, victim: u64) -> Result<bool, ShardError> {
        let look = self.volume.index.look();
        let needed = || {
            let newest = look.tombstone(tombstone.incarnation, tombstone.chunk)?;
            let is_this = newest
                .is_some_and(|row| row.sequence == tombstone.sequence && row.segment == victim);
            if !is_this || self.volume.blind {
                return Ok(is_this);
            }
            let dead = look.dead_of(tombstone.incarnation)?;
            Ok(dead.iter().any(|entry| entry.place.segment != victim))
        };
        needed().map_err(|error| self.volume.index_failed(&error))
    }

    /// Drops the emptied segment.
    fn drop_segment(&self, victim: &Victim) -> Result<(), Setback> {
        let volume = &self.volume;
        let live = |number| {
            volume
                .ledger()
                .segments
                .get(&number)
                .map(|segment| segment.live)
        };
        // Copied records died here when the index switched; what is left was not found.
        if live(victim.number) != Some(0) {
            return Err(Setback::Stuck(
                "the index names a record it does not hold".to_owned(),
            ));
        }
        volume
            .index
            .edit(|edit| {
                victim
                    .found
                    .iter()
                    .for_each(|entry| edit.forget_dead(entry));
                edit.forget_segment(victim.number);
                Ok(())
            })
            .and_then(|_no_effects| volume.index.persist())
            .map_err(|error| volume.index_failed(&error))?;
        volume
            .remove_segment(victim.number)
            .map_err(|error| volume.poison("remove", &error))?;
        let incarnations: BTreeSet<Incarnation> = victim
            .found
            .iter()
            .map(|entry| entry.shape.incarnation)
            .collect();
        let effects = volume
            .index
            .edit(|edit| {
                // Where something could not be read at open, it may need any tombstone.
                let mut unneeded = incarnations.into_iter().filter(|_| !volume.blind);
                unneeded.try_for_each(|incarnation| edit.forget_needless(incarnation))
            })
            .map_err(|error| volume.index_failed(&error))?;
        volume.apply(effects);
        Ok(())
    }
}

fn gone() -> ShardError {
    ShardError::Refused("reserved in an unknown segment")
}

impl BackgroundStep for Compact {
    fn step(&mut self) -> Progress {
        if self.volume.check().is_err() {
            return Progress::Stopped;
        }
        let Some(mut victim) = self.next_victim() else {
            return Progress::Idle;
        };
        let number = victim.number;
        match self.empty(&mut victim) {
            Ok((bytes, ended)) => {
                self.victim = (!ended).then_some(victim);
                Progress::Worked(bytes)
            }
            Err(Setback::Disk(_reported)) => Progress::Stopped,
            Err(Setback::Stuck(why)) => {
                tracing::warn!(
                    disk = %self.volume.id(), segment = number, why, "segment cannot be emptied"
                );
                if let Some(segment) = self.volume.ledger().segments.get_mut(&number) {
                    segment.stuck = true;
                }
                Progress::Worked(0)
            }
        }
    }
}
