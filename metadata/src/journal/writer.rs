//! Builds one group, writes it, syncs it. Never two at a time.

use cairn_world::{AlignedBuf, Bug, buggify, planted};
use std::collections::VecDeque;
use std::io;

use super::format::{self, BLOCK, GroupHeader, HEADER_LEN, Place, Record, Seed};
use super::identity::Keeper;
use super::index::{LapRuns, Location, Pointers, Serial};
use super::log::Done;
use super::segments::Segments;
use super::{JournalError, LogPosition};

/// Room kept in every group for the committed pointer.
const COMMITTED_LEN: usize = format::ENTRY_OVERHEAD;

/// A record on its way to the disk.
pub(super) struct Pending {
    pub(super) record: Record,
    /// Of an entry.
    pub(super) serial: Serial,
    /// Told once the record is durable.
    pub(super) done: Option<Done>,
}

/// What a group made durable.
#[derive(Default)]
pub(super) struct Written {
    pub(super) entries: Vec<(u64, Serial, Location)>,
    pub(super) done: Vec<Done>,
    pub(super) committed: Option<LogPosition>,
}

/// The end of the journal.
pub(super) struct Writer {
    pub(super) seed: Seed,
    /// `None` only while a journal is being made.
    pub(super) keeper: Option<Keeper>,
    pub(super) segments: Segments,
    pub(super) group_len: usize,
    /// Segment in use, its lap, and where the next group goes.
    pub(super) current: u32,
    pub(super) lap: u64,
    pub(super) at: u64,
    pub(super) next_number: u64,
    /// Newest lap ever seen.
    pub(super) newest_lap: u64,
    /// What the groups written so far say.
    pub(super) pointers: Pointers,
    pub(super) runs: LapRuns,
    /// `oldest_lap` of the last durable group: files below it are free.
    pub(super) durable_oldest: u64,
    pub(super) sealed: bool,
    /// The file system had no room for a spare segment.
    pub(super) short_of_space: bool,
}

impl Writer {
    /// The first group of a new journal.
    pub(super) fn create(
        seed: Seed,
        mut segments: Segments,
        group_len: usize,
    ) -> Result<Self, JournalError> {
        segments
            .fill()
            .map_err(|error| JournalError::failed("make segments", &error))?;
        let mut writer = Self {
            seed,
            keeper: None,
            segments,
            group_len,
            current: 0,
            lap: 0,
            at: 0,
            next_number: 1,
            newest_lap: 0,
            pointers: Pointers::default(),
            runs: LapRuns::default(),
            durable_oldest: 1,
            sealed: false,
            short_of_space: false,
        };
        writer.write_group(&mut VecDeque::new(), None, &mut Written::default())?;
        Ok(writer)
    }

    /// Takes what fits in one group off the front of `queue` and makes it durable.
    ///
    /// A committed pointer is only written once the entry it names is: replay must find it. `written`
    /// says what was taken, also after an error, when none of it may be acknowledged.
    pub(super) fn write_group(
        &mut self,
        queue: &mut VecDeque<Pending>,
        committed: Option<LogPosition>,
        written: &mut Written,
    ) -> Result<(), JournalError> {
        let wanted = queue
            .front()
            .map_or(0, |pending| pending.record.encoded_len());
        let first = self.room().is_none_or(|room| room < wanted) || self.turns_early();
        if first {
            self.rotate()?;
        }
        let place = Place {
            file: self.current,
            offset: self.at,
        };
        let mut payload = Vec::new();
        if first {
            for record in self.pointers.records() {
                record.encode(&mut payload);
            }
        }
        let state_len = payload.len();
        let limit = self
            .room()
            .unwrap_or(0)
            .saturating_sub(state_len)
            .min(self.group_len.max(wanted));
        let limit = if buggify("journal-group-small") {
            limit.min(wanted)
        } else {
            limit
        };
        while let Some(pending) = queue.front() {
            if payload.len() - state_len + pending.record.encoded_len() > limit {
                break;
            }
            let Some(pending) = queue.pop_front() else {
                break;
            };
            self.take(pending, place, &mut payload, written);
        }
        if let Some(committed) = committed
            && self.pointers.committed != Some(committed)
            && self.runs.reaches(committed.index)
        {
            self.apply(&Record::Committed(committed));
            Record::Committed(committed).encode(&mut payload);
        }
        written.committed = self.pointers.committed;
        self.put(place, first, &payload)
    }

    fn take(&mut self, pending: Pending, place: Place, payload: &mut Vec<u8>, out: &mut Written) {
        self.apply(&pending.record);
        pending.record.encode(payload);
        if let Record::Entry(position, bytes) = &pending.record {
            let offset = place.offset + (HEADER_LEN + payload.len() - bytes.len()) as u64;
            let location = Location {
                file: place.file,
                offset,
                len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                sum: format::entry_sum(bytes),
            };
            out.entries.push((position.index, pending.serial, location));
        }
        out.done.extend(pending.done);
    }

    fn apply(&mut self, record: &Record) {
        self.pointers.apply(record);
        self.runs.apply(record, self.lap);
    }

    fn put(&mut self, place: Place, first: bool, payload: &[u8]) -> Result<(), JournalError> {
        let header = GroupHeader {
            lap: self.lap,
            number: self.next_number,
            durable_upto: self.next_number - 1,
            oldest_lap: self.runs.oldest(self.lap),
            payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload_sum: self
                .seed
                .payload_sum(place, self.lap, self.next_number, payload),
            seal: false,
            first,
        };
        self.write_durably(place, &header, payload)
            .map_err(|error| JournalError::failed("write a group", &error))?;
        if first && let Some(keeper) = &mut self.keeper {
            keeper
                .note_lap(self.lap)
                .map_err(|error| JournalError::failed("note a lap", &error))?;
        }
        self.at += header.disk_len();
        self.next_number += 1;
        self.durable_oldest = header.oldest_lap;
        self.sealed = false;
        Ok(())
    }

    /// Proves the last group durable on disk, if that is not done yet.
    pub(super) fn seal(&mut self) -> Result<(), JournalError> {
        if self.sealed {
            return Ok(());
        }
        let place = Place {
            file: self.current,
            offset: self.at,
        };
        let header = GroupHeader {
            lap: self.lap,
            number: self.next_number,
            durable_upto: self.next_number - 1,
            oldest_lap: self.runs.oldest(self.lap),
            payload_len: 0,
            payload_sum: 0,
            seal: true,
            first: false,
        };
        self.write_durably(place, &header, &[])
            .map_err(|error| JournalError::failed("seal the journal", &error))?;
        self.sealed = true;
        Ok(())
    }

    fn write_durably(&self, place: Place, header: &GroupHeader, payload: &[u8]) -> io::Result<()> {
        let mut buf = AlignedBuf::zeroed(HEADER_LEN + payload.len());
        let head = header.encode(&self.seed, place);
        for (to, from) in buf.as_mut_slice().iter_mut().zip(&head) {
            *to = *from;
        }
        if let Some(body) = buf
            .as_mut_slice()
            .get_mut(HEADER_LEN..HEADER_LEN + payload.len())
        {
            body.copy_from_slice(payload);
        }
        let Some(segment) = self.segments.get(place.file) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "segment is gone"));
        };
        if planted(Bug::JournalAckBeforeFsync) {
            // What came before is durable, as `durable_upto` says; what is answered is not.
            segment.file.sync()?;
            return segment.file.write_at(buf.as_slice(), place.offset);
        }
        segment.file.write_at(buf.as_slice(), place.offset)?;
        match segment.file.sync() {
            Err(_) if planted(Bug::JournalSyncErrorIgnored) => Ok(()),
            synced => synced,
        }
    }

    /// A lap may end before its segment is full; not so early that the ring grows without bound.
    fn turns_early(&self) -> bool {
        let segment = self.segments.get(self.current);
        segment.is_some_and(|segment| self.at > segment.len / 2) && buggify("journal-lap-early")
    }

    /// Payload bytes that still fit in the segment in use, its last block kept for a seal.
    fn room(&self) -> Option<usize> {
        let segment = self.segments.get(self.current)?;
        let taken = self.at + (BLOCK + HEADER_LEN + COMMITTED_LEN) as u64;
        usize::try_from(segment.len.checked_sub(taken)?).ok()
    }

    /// Takes the next segment into use.
    fn rotate(&mut self) -> Result<(), JournalError> {
        let number = match self.segments.free(self.durable_oldest) {
            Some(number) => number,
            None => self
                .segments
                .grow()
                .map_err(|error| JournalError::failed("grow the journal", &error))?,
        };
        self.newest_lap += 1;
        self.lap = self.newest_lap;
        self.current = number;
        self.at = 0;
        self.segments.set_lap(number, self.lap);
        Ok(())
    }

    /// Work for quiet moments: a spare segment before it is needed, none more than that.
    pub(super) fn tidy(&mut self) -> Result<(), JournalError> {
        let half_full = self
            .segments
            .get(self.current)
            .is_some_and(|segment| self.at > segment.len / 2);
        let spare = self.segments.free(self.durable_oldest).is_some();
        self.short_of_space &= !spare;
        if half_full && !spare {
            match self.segments.grow() {
                Ok(_) => self.short_of_space = false,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    // Not the end: the ring has room yet, and purging makes more.
                    self.short_of_space = true;
                }
                Err(error) => return Err(JournalError::failed("grow the journal", &error)),
            }
        } else if !half_full {
            self.segments
                .shrink(self.durable_oldest)
                .map_err(|error| JournalError::failed("shrink the journal", &error))?;
        }
        Ok(())
    }
}
