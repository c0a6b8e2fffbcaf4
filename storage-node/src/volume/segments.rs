//! Making and sealing segments: the only calls that take or give file system space, besides
//! punching.

use std::io;
use std::sync::PoisonError;

use cairn_rpc::ShardError;
use cairn_world::Space;

use super::files::DIR;
use super::index::SegmentRow;
use super::ledger::{Class, Phase, Place, Purpose, Segment};
use super::{Volume, is_full};
use crate::format::{Salt, SegmentHeader};
use crate::tuning::{RESCUE_UNITS, TOMBSTONE_RESERVE, TOMBSTONE_UNITS, UNIT_U64};

impl Volume {
    /// The largest record a client may bring, in units.
    pub(crate) fn record_units_max(&self) -> u32 {
        self.settings.segment_units() - 1 - TOMBSTONE_RESERVE
    }

    /// Room for `purpose`, in a new segment where needed.
    pub(crate) fn reserve(&self, purpose: Purpose) -> Result<Place, ShardError> {
        if let Purpose::Repair(_) = purpose {
            self.check_spare(1)?;
        }
        loop {
            if let Some(place) = self.ledger().reserve(purpose) {
                return Ok(place);
            }
            let _growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = self.ledger().reserve(purpose) {
                return Ok(place);
            }
            self.grow(purpose)?;
        }
    }

    /// Begins a new segment while the one being filled has room; where that cannot be, it goes on.
    pub(super) fn roll(&self, purpose: Purpose) {
        let _growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.grow(purpose) {
            tracing::debug!(disk = %self.id(), %error, "no new segment yet");
        }
    }

    /// Makes the segment that `purpose` needs; on success the next reservation fits.
    fn grow(&self, purpose: Purpose) -> Result<(), ShardError> {
        self.check()?;
        let units = self.settings.segment_units();
        let (class, needed) = match purpose {
            Purpose::Client(needed) => {
                self.check_headroom()?;
                (Class::of(needed), needed + TOMBSTONE_RESERVE)
            }
            Purpose::Tombstone => return self.grow_for_tombstones(units),
            Purpose::Care(needed) => (Class::Care, needed),
            Purpose::Repair(needed) => {
                self.check_spare(2)?;
                (Class::Care, needed)
            }
        };
        if needed >= units {
            return Err(ShardError::Refused("record is larger than a segment"));
        }
        match self.make(class, units) {
            Err(ShardError::Full) if class == Class::Care && needed < RESCUE_UNITS => {
                self.make(class, RESCUE_UNITS)
            }
            made => made,
        }
    }

    /// A delete is to give room back: what it takes itself is small, and least of all on a full disk,
    /// where compaction needs the rest to give room back.
    fn grow_for_tombstones(&self, units: u32) -> Result<(), ShardError> {
        if self.check_headroom().is_ok() {
            match self.make(Class::Care, TOMBSTONE_UNITS.min(units)) {
                Err(ShardError::Full) => {}
                made => return made,
            }
        }
        self.make(Class::Care, RESCUE_UNITS)
    }

    /// Client writes leave headroom for deletes, compaction and repair.
    fn check_headroom(&self) -> Result<(), ShardError> {
        let (free, _total) = self.file_system_room()?;
        if free < self.settings.segment_len {
            return Err(ShardError::Full);
        }
        Ok(())
    }

    /// Repair may use the headroom but for one segment: deletes and compaction give room back and
    /// must always find some.
    fn check_spare(&self, segments: u64) -> Result<(), ShardError> {
        let space = self.space()?;
        if space.free < segments * self.settings.segment_len {
            return Err(ShardError::Full);
        }
        Ok(())
    }

    fn space(&self) -> Result<Space, ShardError> {
        let space = self.disk().space();
        space.map_err(|error| ShardError::Unavailable(format!("space: {error}")))
    }

    /// Bytes of the file system that clients may still take, and bytes in all.
    fn file_system_room(&self) -> Result<(u64, u64), ShardError> {
        let space = self.space()?;
        let headroom = self.settings.headroom(space.total);
        Ok((space.free.saturating_sub(headroom), space.total))
    }

    /// Bytes free for client writes, and bytes in all.
    pub(crate) fn room(&self) -> Result<(u64, u64), ShardError> {
        let (free, total) = self.file_system_room()?;
        Ok((self.for_clients(free), total))
    }

    /// Notes what room there is; where it cannot be told, what was seen before stands.
    pub(crate) fn look_at_room(&self) {
        if let Ok(seen) = self.file_system_room() {
            *self
                .room_seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = seen;
        }
    }

    /// Bytes free for client writes and bytes in all, as last looked at.
    pub(crate) fn room_seen(&self) -> (u64, u64) {
        let (free, total) = *self
            .room_seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (self.for_clients(free), total)
    }

    /// What clients can take of `free` bytes of the file system, and in the segments being filled.
    fn for_clients(&self, free: u64) -> u64 {
        let whole = free / self.settings.segment_len * self.settings.segment_len;
        whole + self.ledger().client_room()
    }

    /// A new segment, durable before anything lies in it.
    fn make(&self, class: Class, units: u32) -> Result<(), ShardError> {
        let number = self.ledger().next_segment;
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let header = SegmentHeader {
            disk: self.id(),
            number,
            units,
            salt: Salt(salt),
        };
        // The number is spent even where making fails: what is left behind is never written over.
        self.ledger().next_segment = number + 1;
        match self.write_new(&header) {
            Ok(()) => {
                let segment = Segment::new(header.salt, units, Phase::Filling(class));
                self.ledger().install(number, segment);
                Ok(())
            }
            Err(error) if is_full(&error) => {
                // Nothing was ever in it.
                if let Err(error) = self.files.remove(number) {
                    tracing::warn!(disk = %self.id(), %error, "segment without room stays behind");
                }
                Err(ShardError::Full)
            }
            Err(error) => Err(self.poison("new segment", &error)),
        }
    }

    fn write_new(&self, header: &SegmentHeader) -> io::Result<()> {
        let file = self.files.create(header.number)?;
        file.allocate(0, u64::from(header.units) * UNIT_U64)?;
        file.write_at(header.encode().as_slice(), 0)?;
        file.sync().map_err(never_full)?;
        self.disk().sync_dir(DIR).map_err(never_full)
    }

    /// Seals every segment that is full and at rest.
    pub(super) fn seal_drained(&self, next_sequence: u64) -> Result<(), ShardError> {
        let drained = self.ledger().drained();
        for number in drained {
            self.seal(number, next_sequence)?;
        }
        Ok(())
    }

    fn seal(&self, number: u64, next_sequence: u64) -> Result<(), ShardError> {
        let Some(segment) = self.ledger().segments.get(&number).cloned() else {
            return Ok(());
        };
        if segment.next < segment.units {
            self.files
                .get(number)
                .and_then(|file| {
                    file.set_len(u64::from(segment.next) * UNIT_U64)?;
                    file.sync()
                })
                .map_err(|error| self.poison("seal", &error))?;
        }
        if let Some(segment) = self.ledger().segments.get_mut(&number) {
            segment.units = segment.next;
        }
        let state = self.state_row(false, next_sequence);
        let row = self.segment_row(number);
        self.index
            .edit(|edit| {
                if let Some(row) = &row {
                    edit.put_segment(number, row);
                }
                edit.put_state(&state);
                Ok(())
            })
            .map_err(|error| self.index_failed(&error))?;
        // Last, so that compaction sees it only behind its row.
        if let Some(segment) = self.ledger().segments.get_mut(&number) {
            segment.phase = Phase::Sealed;
        }
        Ok(())
    }

    /// Drops an emptied segment for good.
    pub(crate) fn remove_segment(&self, number: u64) -> io::Result<()> {
        self.ledger().segments.remove(&number);
        self.files.remove(number)?;
        self.disk().sync_dir(DIR)
    }

    /// The secret of a segment.
    pub(crate) fn salt(&self, number: u64) -> Option<Salt> {
        self.ledger()
            .segments
            .get(&number)
            .map(|segment| segment.salt)
    }

    /// What the index keeps of a segment.
    pub(super) fn segment_row(&self, number: u64) -> Option<SegmentRow> {
        let ledger = self.ledger();
        let segment = ledger.segments.get(&number)?;
        Some(SegmentRow {
            salt: segment.salt,
            units: segment.units,
            live: segment.live,
            punched: segment.punched,
            tombstones: segment.tombstones,
        })
    }
}

/// A sync that reports no room has lost bytes all the same.
fn never_full(error: io::Error) -> io::Error {
    if is_full(&error) {
        io::Error::other(error)
    } else {
        error
    }
}
