//! The bytes of a segment; pure. Drawn in `docs/formats/segment.md`.
//!
//! ```text
//!  unit (4 KiB) 0        segment header: number, disk, secret salt
//!  unit 1 ..             records and tombstones, each beginning on a unit
//!
//!  record   | header | cell 0 | crc | cell 1 | crc | .. | trailer: chunk, order, cell table |
//!             68 B     cell     4     fixed stride        place follows from the header
//! ```
//!
//! Everything that counts carries the segment's salt, drawn at random and never shown to a client,
//! so no byte of an object can pass for a record. A cell's stored checksum is its plain CRC-32C
//! XOR a key of (salt, incarnation, shard, cell number): one pass gives both the plain checksum
//! for the cell table and the check of the place.

pub(crate) mod cell;
pub(crate) mod checksum;
pub(crate) mod fields;
pub(crate) mod header;
pub(crate) mod record;
pub(crate) mod shape;
pub(crate) mod tombstone;
pub(crate) mod writer;

pub(crate) use checksum::Salt;
pub(crate) use header::SegmentHeader;
pub(crate) use record::{HEADER_LEN, Trailer};
pub(crate) use shape::Shape;
pub(crate) use tombstone::Tombstone;
