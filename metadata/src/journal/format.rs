//! The bytes of a group: one header, then records, padded to whole blocks.
//!
//! Every checksum is a CRC-64/NVME seeded with what the reader knows beforehand: the journal's salt,
//! cluster and node, the file and the offset. So a group read from the wrong place, of another
//! journal, or forged inside an entry is no group.

use bytes::{Buf, BufMut, Bytes};
use crc_fast::{CrcAlgorithm, Digest};

use super::{LogPosition, Vote};

/// Groups start and end at multiples of this.
pub(super) const BLOCK: usize = 4_096;
/// Bytes of a group header.
pub(super) const HEADER_LEN: usize = 80;
/// Bytes in front of a record's body: tag and length.
const RECORD_HEAD: usize = 5;
/// Bytes of an encoded [`LogPosition`].
const POSITION_LEN: usize = 24;
/// Bytes of an entry record around its payload.
pub(super) const ENTRY_OVERHEAD: usize = RECORD_HEAD + POSITION_LEN;

const MAGIC: u64 = u64::from_le_bytes(*b"CAIRNJL1");
/// An empty header that proves its predecessors durable; the next group overwrites it.
const FLAG_SEAL: u32 = 1;
/// First group of a lap; repeats the whole state.
const FLAG_FIRST: u32 = 2;

const TAG_VOTE: u8 = 1;
const TAG_COMMITTED: u8 = 2;
const TAG_PURGED: u8 = 3;
const TAG_TRUNCATE: u8 = 4;
const TAG_ENTRY: u8 = 5;

/// What seeds every checksum of one journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seed {
    pub(super) salt: [u8; 16],
    pub(super) cluster_id: [u8; 16],
    pub(super) node_id: u64,
}

/// Where a group lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: u32,
    pub(super) offset: u64,
}

impl Seed {
    fn digest(&self, place: Place) -> Digest {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(&self.salt);
        digest.update(&self.cluster_id);
        digest.update(&self.node_id.to_le_bytes());
        digest.update(&place.file.to_le_bytes());
        digest.update(&place.offset.to_le_bytes());
        digest
    }

    fn header_sum(&self, place: Place, head: &[u8]) -> u64 {
        let mut digest = self.digest(place);
        digest.update(head);
        digest.finalize()
    }

    pub(super) fn payload_sum(&self, place: Place, lap: u64, number: u64, payload: &[u8]) -> u64 {
        let mut digest = self.digest(place);
        digest.update(&lap.to_le_bytes());
        digest.update(&number.to_le_bytes());
        digest.update(payload);
        digest.finalize()
    }
}

/// Checksum of an entry's payload, kept in memory to verify what is read back later.
pub(super) fn entry_sum(payload: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, payload)
}

/// A group header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// Use of the file it belongs to.
    pub(super) lap: u64,
    /// Position in the sequence of all groups, from 1. A seal has its successor's.
    pub(super) number: u64,
    /// Every group up to this one was durable before this one was written.
    pub(super) durable_upto: u64,
    /// Laps below it are not needed once this group is durable.
    pub(super) oldest_lap: u64,
    pub(super) payload_len: u32,
    pub(super) payload_sum: u64,
    pub(super) seal: bool,
    pub(super) first: bool,
}

impl GroupHeader {
    /// Bytes the group takes on disk.
    pub(super) fn disk_len(&self) -> u64 {
        let len = HEADER_LEN as u64 + u64::from(self.payload_len);
        len.next_multiple_of(BLOCK as u64)
    }

    /// Writes the header's bytes.
    pub(super) fn encode(&self, seed: &Seed, place: Place) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let flags = if self.seal { FLAG_SEAL } else { 0 } | if self.first { FLAG_FIRST } else { 0 };
        let mut out = bytes.as_mut_slice();
        out.put_u64_le(MAGIC);
        out.put_u64_le(self.lap);
        out.put_u64_le(self.number);
        out.put_u64_le(self.durable_upto);
        out.put_u64_le(self.oldest_lap);
        out.put_u32_le(self.payload_len);
        out.put_u32_le(flags);
        out.put_u64_le(self.payload_sum);
        out.put_slice(&[0; 16]);
        let (head, mut tail) = bytes.split_at_mut(HEADER_LEN - 8);
        tail.put_u64_le(seed.header_sum(place, head));
        bytes
    }

    /// Reads a header; `None` where there is none.
    pub(super) fn decode(seed: &Seed, place: Place, block: &[u8]) -> Option<Self> {
        let bytes = block.first_chunk::<HEADER_LEN>()?;
        let (head, mut tail) = bytes.split_at_checked(HEADER_LEN - 8)?;
        let mut rest = head;
        // The cheap test first: recovery asks this of every block of the ring.
        if rest.try_get_u64_le().ok()? != MAGIC
            || tail.try_get_u64_le().ok()? != seed.header_sum(place, head)
        {
            return None;
        }
        let lap = rest.try_get_u64_le().ok()?;
        let number = rest.try_get_u64_le().ok()?;
        let durable_upto = rest.try_get_u64_le().ok()?;
        let oldest_lap = rest.try_get_u64_le().ok()?;
        let payload_len = rest.try_get_u32_le().ok()?;
        let flags = rest.try_get_u32_le().ok()?;
        let payload_sum = rest.try_get_u64_le().ok()?;
        if flags & !(FLAG_SEAL | FLAG_FIRST) != 0 {
            return None;
        }
        Some(Self {
            lap,
            number,
            durable_upto,
            oldest_lap,
            payload_len,
            payload_sum,
            seal: flags & FLAG_SEAL != 0,
            first: flags & FLAG_FIRST != 0,
        })
    }
}

/// One change of the journal's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Vote(Vote),
    Committed(LogPosition),
    /// Entries up to it are gone.
    Purged(LogPosition),
    /// Entries above the index are gone; all of them where `None`.
    Truncate(Option<u64>),
    Entry(LogPosition, Bytes),
}

impl Record {
    /// Bytes it takes in a payload.
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Vote(_) => RECORD_HEAD + 17,
            Self::Committed(_) | Self::Purged(_) => RECORD_HEAD + POSITION_LEN,
            Self::Truncate(_) => RECORD_HEAD + 9,
            Self::Entry(_, payload) => ENTRY_OVERHEAD + payload.len(),
        }
    }

    /// Appends it to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let body = u32::try_from(self.encoded_len() - RECORD_HEAD).unwrap_or(u32::MAX);
        let tag = match self {
            Self::Vote(_) => TAG_VOTE,
            Self::Committed(_) => TAG_COMMITTED,
            Self::Purged(_) => TAG_PURGED,
            Self::Truncate(_) => TAG_TRUNCATE,
            Self::Entry(..) => TAG_ENTRY,
        };
        out.put_u8(tag);
        out.put_u32_le(body);
        match self {
            Self::Vote(vote) => {
                out.put_u64_le(vote.term);
                out.put_u64_le(vote.leader);
                out.put_u8(u8::from(vote.committed));
            }
            Self::Committed(position) | Self::Purged(position) => put_position(out, position),
            Self::Truncate(keep) => {
                out.put_u8(u8::from(keep.is_some()));
                out.put_u64_le(keep.unwrap_or(0));
            }
            Self::Entry(position, payload) => {
                put_position(out, position);
                out.put_slice(payload);
            }
        }
    }
}

fn put_position(out: &mut Vec<u8>, position: &LogPosition) {
    out.put_u64_le(position.term);
    out.put_u64_le(position.leader);
    out.put_u64_le(position.index);
}

fn get_position(body: &mut Bytes) -> Option<LogPosition> {
    Some(LogPosition {
        term: body.try_get_u64_le().ok()?,
        leader: body.try_get_u64_le().ok()?,
        index: body.try_get_u64_le().ok()?,
    })
}

/// Reads all records of a payload, each with the offset of its end (for an entry, its payload's
/// last byte); `None` where they are not exactly that.
pub(super) fn decode_records(payload: &Bytes) -> Option<Vec<(Record, usize)>> {
    let mut rest = payload.clone();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let tag = rest.try_get_u8().ok()?;
        let len = rest.try_get_u32_le().ok()? as usize;
        if rest.len() < len {
            return None;
        }
        let mut body = rest.split_to(len);
        let record = decode_body(tag, &mut body)?;
        records.push((record, payload.len() - rest.len()));
    }
    Some(records)
}

fn decode_body(tag: u8, body: &mut Bytes) -> Option<Record> {
    let record = match tag {
        TAG_VOTE => Record::Vote(Vote {
            term: body.try_get_u64_le().ok()?,
            leader: body.try_get_u64_le().ok()?,
            committed: get_bool(body)?,
        }),
        TAG_COMMITTED => Record::Committed(get_position(body)?),
        TAG_PURGED => Record::Purged(get_position(body)?),
        TAG_TRUNCATE => {
            let some = get_bool(body)?;
            let index = body.try_get_u64_le().ok()?;
            Record::Truncate(some.then_some(index))
        }
        TAG_ENTRY => {
            let position = get_position(body)?;
            return Some(Record::Entry(position, body.split_to(body.len())));
        }
        _ => return None,
    };
    body.is_empty().then_some(record)
}

fn get_bool(body: &mut Bytes) -> Option<bool> {
    match body.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
