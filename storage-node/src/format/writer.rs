//! Turning the cells of a shard into aligned writes; pure.
//!
//! ```text
//!  push(cell) .. push(cell)     finish(chunk, table)       seal(sequence)
//!      |  full runs stream out        |  nothing more          |  last run(s), with trailer
//!      v                              v                        v
//!   Run{offset, bytes}             Finished                  Run{offset, bytes}
//! ```
//!
//! At most one run is held. The sequence is given at commit, so the trailer's checksum is the last
//! thing computed.

use std::sync::Arc;

use cairn_model::ChunkId;
use cairn_world::AlignedBuf;

use super::cell;
use super::checksum::{Crc32c, Salt, crc32c};
use super::record::{HEADER_LEN, Trailer, encode_header, encode_trailer};
use super::shape::Shape;
use crate::tuning::RUN_LEN;

/// Aligned bytes for a place counted from the record's first byte.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) offset: u64,
    pub(crate) bytes: AlignedBuf,
}

/// A call that breaks the exchange.
pub(crate) type Refusal = &'static str;

/// A record under construction.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    shape: Shape,
    salt: Salt,
    header: [u8; HEADER_LEN],
    runs: Runs,
    cells: u64,
    cells_crc: Crc32c,
    plain: Vec<u32>,
}

impl RecordWriter {
    /// Begins the record of `shape` at `unit` of the segment with that salt.
    pub(crate) fn new(shape: Shape, salt: Salt, unit: u32) -> Self {
        let header = encode_header(&shape, salt, unit);
        let mut runs = Runs::new(shape.padded_len());
        // The header is shorter than any run.
        let _none = runs.append(&header);
        Self {
            shape,
            salt,
            header,
            runs,
            cells: 0,
            cells_crc: Crc32c::new(),
            plain: Vec::new(),
        }
    }

    /// Takes the next cell; gives back the runs it filled.
    ///
    /// # Errors
    /// A cell too many or of the wrong length.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Run>, Refusal> {
        let expected = self.shape.cell_len(self.cells);
        if expected == 0 {
            return Err("a cell past the end of the shard");
        }
        if bytes.len() as u64 != expected {
            return Err("a cell of the wrong length");
        }
        self.carry(bytes, crc32c(bytes))
    }

    /// The same with the plain checksum the cell was stored with, true or not: what compaction
    /// moves, so that a damaged cell stays damaged.
    ///
    /// # Errors
    /// A cell too many or of the wrong length.
    pub(crate) fn carry(&mut self, bytes: &[u8], plain: u32) -> Result<Vec<Run>, Refusal> {
        if bytes.len() as u64 != self.shape.cell_len(self.cells) {
            return Err("a cell of the wrong length");
        }
        let key = cell::key(
            self.salt,
            self.shape.incarnation,
            self.shape.shard,
            self.cells,
        );
        let stored = (plain ^ key).to_be_bytes();
        self.cells_crc.update(&stored);
        self.plain.push(plain);
        self.cells += 1;
        let mut out = self.runs.append(bytes);
        out.extend(self.runs.append(&stored));
        Ok(out)
    }

    /// Closes the record under its chunk's name.
    ///
    /// # Errors
    /// Cells missing, a table of the wrong length, or one that contradicts the cells seen here.
    pub(crate) fn finish(self, chunk: ChunkId, table: Arc<[u32]>) -> Result<Finished, Refusal> {
        if self.cells != self.shape.cells() {
            return Err("cells are missing");
        }
        if table.len() != self.shape.table_len() {
            return Err("a cell table of the wrong length");
        }
        let shard = usize::from(self.shape.shard);
        let data = self.shape.coding.data();
        if shard < data && !table.iter().skip(shard).step_by(data).eq(&self.plain) {
            return Err("the cell table contradicts the cells");
        }
        self.finish_carried(chunk, table)
    }

    /// The same without comparing the table, for a record that was checked when it was new.
    ///
    /// # Errors
    /// Cells missing.
    pub(crate) fn finish_carried(
        self,
        chunk: ChunkId,
        table: Arc<[u32]>,
    ) -> Result<Finished, Refusal> {
        if self.cells != self.shape.cells() {
            return Err("cells are missing");
        }
        let cells_crc = self.cells_crc.value();
        Ok(Finished {
            writer: self,
            trailer: Trailer {
                sequence: 0,
                chunk,
                cells_crc,
                table,
            },
        })
    }
}

/// A record that lacks only its sequence.
#[derive(Debug)]
pub(crate) struct Finished {
    writer: RecordWriter,
    trailer: Trailer,
}

impl Finished {
    pub(crate) fn shape(&self) -> &Shape {
        &self.writer.shape
    }

    pub(crate) fn chunk(&self) -> ChunkId {
        self.trailer.chunk
    }

    /// The last runs, trailer included.
    pub(crate) fn seal(mut self, sequence: u64) -> Vec<Run> {
        self.trailer.sequence = sequence;
        let writer = &mut self.writer;
        let trailer = encode_trailer(&self.trailer, &writer.shape, writer.salt, &writer.header);
        let mut out = writer.runs.append(&trailer);
        out.extend(writer.runs.rest());
        out
    }
}

/// Bytes in, aligned runs out.
#[derive(Debug)]
struct Runs {
    /// Bytes of the record not yet covered by a buffer.
    left: usize,
    offset: u64,
    buffer: AlignedBuf,
    filled: usize,
}

impl Runs {
    fn new(padded_len: usize) -> Self {
        let first = padded_len.min(RUN_LEN);
        Self {
            left: padded_len - first,
            offset: 0,
            buffer: AlignedBuf::unfilled(first),
            filled: 0,
        }
    }

    fn append(&mut self, mut bytes: &[u8]) -> Vec<Run> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let room = self
                .buffer
                .as_mut_slice()
                .get_mut(self.filled..)
                .unwrap_or_default();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room.split_at_mut(now.len()).0.copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == self.buffer.len() {
                out.extend(self.turn());
                assert!(
                    bytes.is_empty() || !self.buffer.is_empty(),
                    "record longer than its shape"
                );
            }
        }
        out
    }

    /// Gives the full buffer away and begins the next.
    fn turn(&mut self) -> Option<Run> {
        let next = self.left.min(RUN_LEN);
        self.left -= next;
        let bytes = std::mem::replace(&mut self.buffer, AlignedBuf::unfilled(next));
        let run = Run {
            offset: self.offset,
            bytes,
        };
        self.offset += run.bytes.len() as u64;
        self.filled = 0;
        (!run.bytes.is_empty()).then_some(run)
    }

    /// The last, partly filled buffer; zeros behind what is in it.
    fn rest(&mut self) -> Option<Run> {
        let padding = self.buffer.as_mut_slice().get_mut(self.filled..);
        padding.unwrap_or_default().fill(0);
        (self.filled > 0).then(|| self.turn()).flatten()
    }
}

#[cfg(test)]
mod tests;
