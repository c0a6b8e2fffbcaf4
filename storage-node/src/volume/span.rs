//! Reading unaligned bytes through aligned reads.

use std::io;

use bytes::Bytes;
use cairn_world::{AlignedBuf, DiskFile};

use crate::tuning::UNIT_U64;

/// Bytes `from..from + len` of a file, in one aligned read.
pub(crate) fn read(file: &dyn DiskFile, from: u64, len: u64) -> io::Result<Bytes> {
    let start = from / UNIT_U64 * UNIT_U64;
    let end = (from + len).next_multiple_of(UNIT_U64);
    let size = usize::try_from(end - start).map_err(|_| io::ErrorKind::InvalidInput)?;
    // No more of it is given than was read.
    let mut buffer = AlignedBuf::unfilled(size);
    let got = file.read_at(buffer.as_mut_slice(), start)?;
    let skip = usize::try_from(from - start).map_err(|_| io::ErrorKind::InvalidInput)?;
    let want = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    if got < skip + want {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Bytes::from_owner(buffer).slice(skip..skip + want))
}
