//! The checksum stored behind a cell.

use cairn_model::Incarnation;

use super::checksum::{Crc32c, Salt};

/// Bytes of the checksum behind each cell.
pub(crate) const CHECK_LEN: usize = 4;

/// What a cell's plain CRC-32C is XORed with: a cell read from another place, another writing or
/// another segment does not fit.
pub(crate) fn key(salt: Salt, incarnation: Incarnation, shard: u8, cell: u64) -> u32 {
    let mut crc = Crc32c::new();
    crc.update(&salt.0);
    crc.update(&incarnation.to_bytes());
    crc.update(&[shard]);
    crc.update(&cell.to_be_bytes());
    crc.value()
}
