//! Reading cells. No byte is given that did not pass the check of its place.
//!
//! A cell's checksum is keyed with the segment, the writing, the shard and the cell number, so one
//! aligned read of the cell alone proves that it is the right one. A read from the first cell on
//! checks the record's header too, one that wants the table checks the trailer; small records
//! come whole in one read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cairn_rpc::{ShardCells, ShardError, ShardRead};
use cairn_world::{Bug, DiskFile, planted};

use super::index::Entry;
use super::verify::{self, stored_cell};
use super::{Volume, span};
use crate::format::record::{decode_header, decode_trailer};
use crate::format::{HEADER_LEN, Salt, cell};
use crate::tuning::{READ_LEN, SMALL_UNITS};

/// How often a read follows a record that moves under it.
const TRIES: usize = 4;

impl Volume {
    /// Reads cells of a live shard.
    pub(crate) fn read(&self, read: &ShardRead) -> Result<ShardCells, ShardError> {
        self.reading.fetch_add(1, Ordering::Relaxed);
        let outcome = self.follow(read);
        self.reading.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    fn follow(&self, read: &ShardRead) -> Result<ShardCells, ShardError> {
        let mut problem = String::new();
        for _ in 0..TRIES {
            let entry = self
                .locate(read.incarnation, read.shard)?
                .ok_or(ShardError::Missing)?;
            if entry.chunk != read.chunk {
                return Err(ShardError::Corrupt("record is of another chunk".to_owned()));
            }
            match self.read_entry(&entry, read) {
                Ok(cells) => return Ok(cells),
                Err(found) => problem = found,
            }
            // Compaction, a delete or a repair may have moved it meanwhile.
            if self.is_live(&entry)? {
                self.report(&entry, problem.clone());
                return Err(ShardError::Corrupt(problem));
            }
        }
        Err(ShardError::Corrupt(problem))
    }

    /// Reads cells of a record, live or not; the reason where it is not as `entry` says.
    pub(crate) fn read_entry(&self, entry: &Entry, read: &ShardRead) -> Result<ShardCells, String> {
        let segment = entry.place.segment;
        let salt = self
            .ledger()
            .segments
            .get(&segment)
            .map(|segment| segment.salt);
        let salt = salt.ok_or("segment is gone")?;
        let file = self
            .files
            .get(segment)
            .map_err(|e| format!("segment: {e}"))?;
        let reader = Reader {
            file: file.as_ref(),
            salt,
            entry,
        };
        if entry.place.units <= SMALL_UNITS {
            return reader.whole(read);
        }
        let table = read
            .with_table
            .then(|| verify::read_ends(reader.file, salt, entry));
        let cells = reader.cells(read)?;
        Ok(given(
            cells,
            table.transpose()?.map(|trailer| trailer.table),
        ))
    }
}

fn given(cells: Vec<(Bytes, u32)>, cell_table: Option<Arc<[u32]>>) -> ShardCells {
    let (cells, checksums) = cells.into_iter().unzip();
    ShardCells {
        cells,
        checksums: Some(checksums),
        cell_table,
    }
}

/// A record being read.
struct Reader<'a> {
    file: &'a dyn DiskFile,
    salt: Salt,
    entry: &'a Entry,
}

impl Reader<'_> {
    /// First cell and the one behind the last that exist of those asked for.
    fn range(&self, read: &ShardRead) -> (u64, u64) {
        let cells = self.entry.shape.cells();
        let end = read.first_cell.saturating_add(u64::from(read.cells));
        (read.first_cell.min(cells), end.min(cells))
    }

    /// One read of the whole record, everything about it checked.
    fn whole(&self, read: &ShardRead) -> Result<ShardCells, String> {
        let shape = &self.entry.shape;
        let record = span::read(self.file, self.entry.place.offset(), shape.len())
            .map_err(|e| format!("record: {e}"))?;
        self.check_header(&record)?;
        let header: &[u8; HEADER_LEN] = record.first_chunk().ok_or("header is short")?;
        let trailer = usize::try_from(shape.trailer_offset())
            .ok()
            .and_then(|at| record.get(at..))
            .and_then(|bytes| decode_trailer(bytes, shape, self.salt, header))
            .ok_or("trailer does not fit")?;
        if trailer.chunk != self.entry.chunk {
            return Err("trailer is another record's".to_owned());
        }
        let (first, end) = self.range(read);
        let cells = (first..end)
            .map(|number| self.cell(&record, 0, number))
            .collect::<Result<_, _>>()?;
        let table = read.with_table.then(|| Arc::clone(&trailer.table));
        Ok(given(cells, table))
    }

    /// The cells alone, in as few reads as their length allows.
    fn cells(&self, read: &ShardRead) -> Result<Vec<(Bytes, u32)>, String> {
        let shape = &self.entry.shape;
        let stride = u64::from(shape.coding.cell()) + cell::CHECK_LEN as u64;
        let (mut first, end) = self.range(read);
        let mut cells = Vec::new();
        while first < end {
            let last = (first + (READ_LEN / stride).max(1)).min(end);
            // The header comes along with the first cell.
            let from = if first == 0 {
                0
            } else {
                shape.cell_offset(first)
            };
            let to =
                shape.cell_offset(last - 1) + shape.cell_len(last - 1) + cell::CHECK_LEN as u64;
            let span = span::read(self.file, self.entry.place.offset() + from, to - from)
                .map_err(|e| format!("cells from {first}: {e}"))?;
            if from == 0 {
                self.check_header(&span)?;
            }
            for number in first..last {
                cells.push(self.cell(&span, from, number)?);
            }
            first = last;
        }
        Ok(cells)
    }

    /// A cell, and the checksum that it has.
    fn cell(&self, span: &Bytes, from: u64, number: u64) -> Result<(Bytes, u32), String> {
        let stored = stored_cell(span, from, &self.entry.shape, self.salt, number)
            .ok_or_else(|| format!("cell {number} is cut short"))?;
        if !stored.fits && !planted(Bug::CellsUnchecked) {
            return Err(format!("cell {number} fails its checksum"));
        }
        Ok((stored.bytes, stored.made))
    }

    fn check_header(&self, bytes: &[u8]) -> Result<(), String> {
        let found = decode_header(bytes, self.salt, self.entry.place.unit);
        if found.as_ref() == Some(&self.entry.shape) {
            Ok(())
        } else {
            Err("header does not fit".to_owned())
        }
    }
}
