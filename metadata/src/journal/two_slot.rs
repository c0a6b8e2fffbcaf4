//! A small value replaced in place and never lost: two blocks written in turn.
//!
//! ```text
//! offset 0     slot of even sequence numbers   | magic | sequence | length | value | checksum |
//! offset 4096  slot of odd ones                | ...                                          |
//! ```
//! A write goes to the slot of the older value, so a torn one leaves the newer value standing.

use bytes::{Buf, BufMut};
use cairn_world::{Access, AlignedBuf, Disk, DiskFile, OpenMode};
use crc_fast::{CrcAlgorithm, Digest};
use std::io;
use std::sync::Arc;

const SLOT_LEN: usize = 4_096;
const MAGIC: u64 = u64::from_le_bytes(*b"CAIRNTS1");
const HEAD_LEN: usize = 20;
/// Longest value.
pub(crate) const VALUE_LEN_MAX: usize = SLOT_LEN - HEAD_LEN - 8;

/// An open two-slot file.
#[derive(Debug)]
pub(crate) struct TwoSlot {
    file: Arc<dyn DiskFile>,
    /// Seeds the checksum, so that one kind of file is never taken for another.
    kind: &'static [u8],
    sequence: u64,
}

impl TwoSlot {
    /// Makes the file and writes the first value; durable when it returns. A file that exists is
    /// overwritten: the caller has seen that it holds no value.
    pub(crate) fn create(
        disk: &dyn Disk,
        name: &str,
        kind: &'static [u8],
        value: &[u8],
    ) -> io::Result<Self> {
        let file = match disk.open(name, OpenMode::CreateNew, Access::Direct) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.open(name, OpenMode::Existing, Access::Direct)?
            }
            other => other?,
        };
        let blank = AlignedBuf::zeroed(2 * SLOT_LEN);
        file.write_at(blank.as_slice(), 0)?;
        file.sync()?;
        let mut slots = Self {
            file,
            kind,
            sequence: 0,
        };
        slots.write(value)?;
        if let Err(error) = disk.sync_dir(parent(name)) {
            // No later sync proves the name: the next start makes the file anew.
            let _ = disk.remove(name);
            return Err(error);
        }
        Ok(slots)
    }

    /// Opens the file and reads the newest value; `None` for the file where it does not exist, and
    /// for the value where no slot is whole.
    pub(crate) fn open(
        disk: &dyn Disk,
        name: &str,
        kind: &'static [u8],
    ) -> io::Result<Option<(Self, Option<Vec<u8>>)>> {
        let file = match disk.open(name, OpenMode::Existing, Access::Direct) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut newest: Option<(u64, Vec<u8>)> = None;
        for slot in 0..2 {
            let mut block = AlignedBuf::zeroed(SLOT_LEN);
            let read = file.read_at(block.as_mut_slice(), slot * SLOT_LEN as u64)?;
            if read < SLOT_LEN {
                continue;
            }
            if let Some((sequence, value)) = decode(kind, block.as_slice())
                && sequence % 2 == slot
                && newest.as_ref().is_none_or(|(best, _)| *best < sequence)
            {
                newest = Some((sequence, value));
            }
        }
        let sequence = newest.as_ref().map_or(0, |(sequence, _)| *sequence);
        Ok(Some((
            Self {
                file,
                kind,
                sequence,
            },
            newest.map(|(_, value)| value),
        )))
    }

    /// Replaces the value; durable when it returns.
    pub(crate) fn write(&mut self, value: &[u8]) -> io::Result<()> {
        let sequence = self.sequence + 1;
        let mut block = AlignedBuf::zeroed(SLOT_LEN);
        encode(self.kind, sequence, value, block.as_mut_slice())?;
        self.file
            .write_at(block.as_slice(), (sequence % 2) * SLOT_LEN as u64)?;
        self.file.sync()?;
        self.sequence = sequence;
        Ok(())
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn sum(kind: &[u8], bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(kind);
    digest.update(bytes);
    digest.finalize()
}

fn encode(kind: &[u8], sequence: u64, value: &[u8], mut block: &mut [u8]) -> io::Result<()> {
    if value.len() > VALUE_LEN_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "value too long for its slot",
        ));
    }
    let mut bytes = Vec::with_capacity(HEAD_LEN + value.len() + 8);
    bytes.put_u64_le(MAGIC);
    bytes.put_u64_le(sequence);
    bytes.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
    bytes.put_slice(value);
    bytes.put_u64_le(sum(kind, &bytes));
    block.put_slice(&bytes);
    Ok(())
}

fn decode(kind: &[u8], block: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut rest = block;
    if rest.try_get_u64_le().ok()? != MAGIC {
        return None;
    }
    let sequence = rest.try_get_u64_le().ok()?;
    let len = rest.try_get_u32_le().ok()? as usize;
    let (value, mut tail) = rest.split_at_checked(len)?;
    let covered = block.get(..HEAD_LEN + len)?;
    (tail.try_get_u64_le().ok()? == sum(kind, covered)).then(|| (sequence, value.to_vec()))
}

#[cfg(test)]
mod tests;
