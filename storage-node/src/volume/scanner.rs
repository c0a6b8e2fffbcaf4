//! Walking a segment's units: records, tombstones, and whatever is neither.
//!
//! A valid record is skipped whole, so its cells are never looked at; everywhere else each unit is
//! tried. What cannot be read is stepped over and counted.

use bytes::Bytes;
use cairn_world::DiskFile;

use super::index::Entry;
use super::ledger::Place;
use super::span;
use crate::format::record::{decode_header, decode_trailer};
use crate::format::{HEADER_LEN, Salt, Tombstone, tombstone};
use crate::tuning::{SCAN_WINDOW, UNIT, UNIT_U64};

/// What a unit begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A record whose header and trailer are valid.
    Record(Entry),
    /// A unit of tombstones, and which.
    Tombstones(u32, Vec<Tombstone>),
}

/// A walk through one segment.
pub(crate) struct Scanner<'a> {
    file: &'a dyn DiskFile,
    number: u64,
    salt: Salt,
    /// Units of the file.
    end: u32,
    next: u32,
    window: Bytes,
    window_at: u32,
    /// First unit behind the last valid item.
    pub(crate) used: u32,
    /// Units that could not be read.
    pub(crate) unreadable: u64,
}

impl<'a> Scanner<'a> {
    /// Begins behind the header of segment `number`.
    pub(crate) fn new(
        file: &'a dyn DiskFile,
        number: u64,
        salt: Salt,
        from: u32,
    ) -> std::io::Result<Self> {
        let end = u32::try_from(file.len()? / UNIT_U64).unwrap_or(u32::MAX);
        Ok(Self {
            file,
            number,
            salt,
            end,
            next: from.max(1),
            window: Bytes::new(),
            window_at: 0,
            used: 1,
            unreadable: 0,
        })
    }

    /// The unit the walk stands at.
    pub(crate) fn position(&self) -> u32 {
        self.next
    }

    fn unit(&mut self, unit: u32) -> Option<Bytes> {
        if let Some(bytes) = self.in_window(unit) {
            return Some(bytes);
        }
        let at = u64::from(unit) * UNIT_U64;
        let left = u64::from(self.end.saturating_sub(unit)) * UNIT_U64;
        if let Ok(window) = span::read(self.file, at, left.min(SCAN_WINDOW as u64)) {
            self.window = window;
            self.window_at = unit;
            return self.in_window(unit);
        }
        // One bad spot must not hide its neighbours.
        match span::read(self.file, at, UNIT_U64) {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                self.unreadable += 1;
                None
            }
        }
    }

    fn in_window(&self, unit: u32) -> Option<Bytes> {
        let from = usize::try_from(unit.checked_sub(self.window_at)?).ok()? * UNIT;
        (from + UNIT <= self.window.len()).then(|| self.window.slice(from..from + UNIT))
    }

    fn record(&mut self, unit: u32, bytes: &[u8]) -> Option<Entry> {
        let shape = decode_header(bytes, self.salt, unit)?;
        let units = shape.units()?;
        if u64::from(unit) + u64::from(units) > u64::from(self.end) {
            return None;
        }
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let at = u64::from(unit) * UNIT_U64 + shape.trailer_offset();
        let Ok(trailer) = span::read(self.file, at, shape.trailer_len() as u64) else {
            self.unreadable += 1;
            return None;
        };
        let trailer = decode_trailer(&trailer, &shape, self.salt, header)?;
        Some(Entry {
            shape,
            place: Place {
                segment: self.number,
                unit,
                units,
            },
            sequence: trailer.sequence,
            chunk: trailer.chunk,
        })
    }
}

impl Iterator for Scanner<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        while self.next < self.end {
            let unit = self.next;
            self.next += 1;
            let Some(bytes) = self.unit(unit) else {
                continue;
            };
            if let Some(entry) = self.record(unit, &bytes) {
                self.next = unit + entry.place.units;
                self.used = self.next;
                return Some(Item::Record(entry));
            }
            if let Some(found) = tombstone::decode(&bytes, self.salt, unit) {
                self.used = self.next;
                return Some(Item::Tombstones(unit, found));
            }
        }
        None
    }
}
