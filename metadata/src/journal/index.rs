//! What the log holds and where: the memory image that readers see.

use bytes::Bytes;
use std::collections::VecDeque;

use super::format::Record;
use super::{JournalError, LogEntry, LogPosition, Vote};

/// Where an entry's payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) sum: u64,
}

/// Vote and log pointers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pointers {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogPosition>,
    pub(super) purged: Option<LogPosition>,
}

impl Pointers {
    /// The records that bring them back.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::with_capacity(3);
        records.extend(self.vote.map(Record::Vote));
        records.extend(self.committed.map(Record::Committed));
        records.extend(self.purged.map(Record::Purged));
        records
    }

    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Vote(vote) => self.vote = Some(*vote),
            Record::Committed(position) => self.committed = Some(*position),
            Record::Purged(position) => self.purged = self.purged.max(Some(*position)),
            Record::Truncate(_) | Record::Entry(..) => {}
        }
    }
}

/// Names one submission of an index: an entry may be truncated and its index used again while the
/// first is still on its way to the disk.
pub(super) type Serial = u64;

#[derive(Clone, Debug)]
struct Slot {
    position: LogPosition,
    serial: Serial,
    location: Option<Location>,
    payload: Option<Bytes>,
}

/// What a reader gets for an index.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Ready(LogEntry),
    OnDisk(LogPosition, Serial, Location),
}

/// The log in memory. `slots` are consecutive indexes.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) pointers: Pointers,
    slots: VecDeque<Slot>,
    next_serial: Serial,
    cached: usize,
    cache_len: usize,
    /// Slots before this one (counted from the front) hold no payload that could be dropped.
    evicted: usize,
}

impl Index {
    pub(super) fn new(cache_len: usize) -> Self {
        Self {
            cache_len,
            ..Self::default()
        }
    }

    pub(super) fn first_index(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.position.index)
    }

    /// Last entry, else what was purged.
    pub(super) fn last(&self) -> Option<LogPosition> {
        self.slots
            .back()
            .map(|slot| slot.position)
            .or(self.pointers.purged)
    }

    /// Entries held.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Index the log goes on with; `None` where any will do (nothing was ever written).
    fn expected(&self) -> Option<u64> {
        self.last().map(|last| last.index.saturating_add(1))
    }

    /// Adds an entry that follows the last one.
    pub(super) fn push(&mut self, entry: LogEntry) -> Result<Serial, JournalError> {
        if let Some(expected) = self.expected()
            && expected != entry.position.index
        {
            return Err(JournalError::Gap {
                expected,
                found: entry.position.index,
            });
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.cached += entry.payload.len();
        self.slots.push_back(Slot {
            position: entry.position,
            serial,
            location: None,
            payload: Some(entry.payload),
        });
        Ok(serial)
    }

    /// Adds an entry found on disk. Older segments may be gone, so any index may begin an empty log.
    pub(super) fn restore(&mut self, position: LogPosition, location: Location) -> bool {
        if let Some(last) = self.slots.back()
            && last.position.index.checked_add(1) != Some(position.index)
        {
            return false;
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.slots.push_back(Slot {
            position,
            serial,
            location: Some(location),
            payload: None,
        });
        true
    }

    /// Notes where an entry was made durable, unless it is gone by now.
    pub(super) fn written(&mut self, index: u64, serial: Serial, location: Location) {
        if let Some(slot) = self.slot_mut(index)
            && slot.serial == serial
        {
            slot.location = Some(location);
        }
    }

    /// Drops entries above `keep` (all where `None`).
    pub(super) fn truncate(&mut self, keep: Option<u64>) {
        while let Some(last) = self.slots.back()
            && keep.is_none_or(|keep| last.position.index > keep)
        {
            if let Some(slot) = self.slots.pop_back() {
                self.cached -= slot.payload.map_or(0, |payload| payload.len());
            }
        }
        self.evicted = self.evicted.min(self.slots.len());
    }

    /// Drops entries up to `upto`.
    pub(super) fn purge(&mut self, upto: LogPosition) {
        self.pointers.apply(&Record::Purged(upto));
        while let Some(first) = self.slots.front()
            && first.position.index <= upto.index
        {
            if let Some(slot) = self.slots.pop_front() {
                self.cached -= slot.payload.map_or(0, |payload| payload.len());
                self.evicted = self.evicted.saturating_sub(1);
            }
        }
    }

    /// Lets go of the oldest durable payloads beyond the bound.
    pub(super) fn evict(&mut self) {
        while self.cached > self.cache_len {
            let Some(slot) = self.slots.get_mut(self.evicted) else {
                return;
            };
            if slot.location.is_none() {
                return;
            }
            self.cached -= slot.payload.take().map_or(0, |payload| payload.len());
            self.evicted += 1;
        }
    }

    /// Bytes of payload held in memory.
    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.cached
    }

    fn slot_at(&self, index: u64) -> Option<usize> {
        let first = self.first_index()?;
        usize::try_from(index.checked_sub(first)?).ok()
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        let at = self.slot_at(index)?;
        self.slots.get_mut(at)
    }

    /// The place of the entry at `index`.
    pub(super) fn position(&self, index: u64) -> Option<LogPosition> {
        self.slots
            .get(self.slot_at(index)?)
            .map(|slot| slot.position)
    }

    /// The entry at `index`.
    pub(super) fn find(&self, index: u64) -> Option<Found> {
        let slot = self.slots.get(self.slot_at(index)?)?;
        match (&slot.payload, slot.location) {
            (Some(payload), _) => Some(Found::Ready(LogEntry {
                position: slot.position,
                payload: payload.clone(),
            })),
            (None, Some(location)) => Some(Found::OnDisk(slot.position, slot.serial, location)),
            (None, None) => None,
        }
    }

    /// Whether the entry at `index` has reached the disk.
    pub(super) fn is_durable(&self, index: u64) -> bool {
        self.slot_at(index)
            .and_then(|at| self.slots.get(at))
            .is_some_and(|slot| slot.location.is_some())
    }

    /// Whether `serial` is still what lies at `index`.
    pub(super) fn holds(&self, index: u64, serial: Serial) -> bool {
        self.slot_at(index)
            .and_then(|at| self.slots.get(at))
            .is_some_and(|slot| slot.serial == serial)
    }
}

/// Which laps the entries written so far lie in: runs of rising indexes. It follows the records
/// written, not those submitted, for only they say what a crash would find.
#[derive(Debug, Default)]
pub(super) struct LapRuns {
    /// (first index, lap), both rising.
    runs: VecDeque<(u64, u64)>,
    /// First index that is not purged.
    start: u64,
    /// Index after the last entry.
    end: u64,
}

impl LapRuns {
    pub(super) fn apply(&mut self, record: &Record, lap: u64) {
        match record {
            Record::Entry(position, _) => {
                if self.runs.back().is_none_or(|(_, last)| *last != lap) {
                    self.runs.push_back((position.index, lap));
                }
                self.end = position.index.saturating_add(1);
            }
            Record::Truncate(keep) => {
                self.end = self.end.min(keep.map_or(0, |keep| keep.saturating_add(1)));
            }
            Record::Purged(upto) => self.start = self.start.max(upto.index.saturating_add(1)),
            Record::Vote(_) | Record::Committed(_) => return,
        }
        while self
            .runs
            .back()
            .is_some_and(|(first, _)| *first >= self.end)
        {
            self.runs.pop_back();
        }
        while self
            .runs
            .get(1)
            .is_some_and(|(next, _)| *next <= self.start)
        {
            self.runs.pop_front();
        }
        if self.end <= self.start {
            self.runs.clear();
        }
    }

    /// Oldest lap with an entry that is wanted, else `current`.
    pub(super) fn oldest(&self, current: u64) -> u64 {
        self.runs.front().map_or(current, |(_, lap)| *lap)
    }

    /// Whether the entry at `index` (or a later one) was written.
    pub(super) fn reaches(&self, index: u64) -> bool {
        index < self.end
    }
}

#[cfg(test)]
mod tests;
