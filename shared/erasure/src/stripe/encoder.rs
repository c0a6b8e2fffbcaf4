//! From plain bytes to cells.

use bytes::{Bytes, BytesMut};
use cairn_model::{Coding, limits};

use crate::cell_table::{CellTable, crc32c};
use crate::codec::{Codec, CodecError};
use crate::shard_set::ShardSet;

/// The caller broke the encoder's contract: a bug, nothing was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A chunk has 1 byte to 64 MiB.
    #[error("no chunk has {0} bytes")]
    ChunkLength(u64),
    /// A buffer must hold whole stripes, or end where the chunk ends.
    #[error("a buffer of {len} bytes at {taken} of {chunk_len} does not end with a stripe")]
    Buffer {
        /// Bytes in the buffer.
        len: u64,
        /// Bytes taken before it.
        taken: u64,
        /// Bytes of the chunk.
        chunk_len: u64,
    },
    /// The chunk was sealed before all of it had come.
    #[error("{taken} of {chunk_len} bytes have come")]
    Incomplete {
        /// Bytes taken.
        taken: u64,
        /// Bytes of the chunk.
        chunk_len: u64,
    },
    /// The codec refused.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Cells that are not what was encoded: a fault of memory or of a core. Nothing of this stripe may
/// be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stripe {stripe}: shards {shards} fail the check on a second code path")]
pub struct StripeFault {
    /// The stripe.
    pub stripe: u64,
    /// Data shards that differ from the cell table, parity shards that differ from the data.
    pub shards: ShardSet,
}

/// All cells of one stripe, each padded to the stripe's cell length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripe {
    /// Its place in the chunk.
    pub index: u64,
    /// The k data cells, then the m parity cells: the position is the shard index.
    pub cells: Vec<Bytes>,
}

/// Encodes one chunk, a few stripes at a time.
#[derive(Debug)]
pub struct StripeEncoder {
    coding: Coding,
    codec: Codec,
    chunk_len: u64,
    taken: u64,
    entries: Vec<u32>,
}

impl StripeEncoder {
    /// An encoder for a chunk of `chunk_len` bytes.
    ///
    /// # Errors
    /// `ChunkLength`.
    pub fn new(coding: Coding, chunk_len: u64) -> Result<Self, EncodeError> {
        if chunk_len == 0 || chunk_len > limits::CHUNK_LEN_MAX {
            return Err(EncodeError::ChunkLength(chunk_len));
        }
        let cells = usize::try_from(CellTable::cells(coding, chunk_len)).unwrap_or(0);
        Ok(Self {
            coding,
            codec: Codec::of(coding)?,
            chunk_len,
            taken: 0,
            entries: Vec::with_capacity(cells),
        })
    }

    /// Bytes of the chunk that have come.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Encodes the next plain bytes: whole stripes, the last of the chunk as long as it is. The
    /// buffer becomes the data cells. Padding is added in place, so a buffer whose capacity is a
    /// multiple of [`Coding::stripe_len`] is never copied.
    ///
    /// # Errors
    /// `Buffer` if it ends inside a stripe that is not the chunk's last, goes past the chunk's
    /// end, or is empty.
    pub fn push(&mut self, mut buffer: BytesMut) -> Result<Vec<Stripe>, EncodeError> {
        let len = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let end = self.taken.saturating_add(len);
        let whole = len.is_multiple_of(self.coding.stripe_len());
        if len == 0 || end > self.chunk_len || (end < self.chunk_len && !whole) {
            let (taken, chunk_len) = (self.taken, self.chunk_len);
            return Err(EncodeError::Buffer {
                len,
                taken,
                chunk_len,
            });
        }
        let first = self.taken / self.coding.stripe_len();
        let stripes = first..first + self.coding.stripes(len);
        let lens: Vec<usize> = stripes
            .clone()
            .map(|stripe| self.cell_len(stripe))
            .collect();
        let cells: usize = lens.iter().sum();
        buffer.resize(cells * self.codec.data(), 0);
        let parity = self.parity(&buffer, &lens)?;
        self.taken = end;
        Ok(self.cut(stripes.zip(lens), buffer.freeze(), parity.freeze()))
    }

    /// Seals the chunk: its cell table.
    ///
    /// # Errors
    /// `Incomplete` if less than the chunk has come.
    pub fn finish(self) -> Result<CellTable, EncodeError> {
        let (taken, chunk_len) = (self.taken, self.chunk_len);
        CellTable::new(self.coding, chunk_len, self.entries.into())
            .ok()
            .filter(|_| taken == chunk_len)
            .ok_or(EncodeError::Incomplete { taken, chunk_len })
    }

    /// Works a stripe out again on the portable code path and against the table made so far. For
    /// sampled stripes before they are acknowledged, so that a faulty core or memory cannot seal
    /// bad parity.
    ///
    /// # Errors
    /// [`StripeFault`] naming the shards that differ.
    pub fn verify(&self, stripe: &Stripe) -> Result<(), StripeFault> {
        let index = stripe.index;
        let all: ShardSet = (0..=u8::MAX).take(self.coding.shards()).collect();
        let fault = |shards| {
            Err(StripeFault {
                stripe: index,
                shards,
            })
        };
        let Some((data, parity)) = stripe.cells.split_at_checked(self.codec.data()) else {
            return fault(all);
        };
        let first = usize::try_from(index).map_or(usize::MAX, |at| at.saturating_mul(data.len()));
        let entries = self.entries.get(first..).unwrap_or_default();
        let mut bad: ShardSet = (0..)
            .zip(data)
            .filter(|(shard, cell)| entries.get(usize::from(*shard)) != Some(&crc32c(cell)))
            .map(|(shard, _)| shard)
            .collect();
        let data: Vec<&[u8]> = data.iter().map(|cell| &**cell).collect();
        let parity: Vec<&[u8]> = parity.iter().map(|cell| &**cell).collect();
        match self.codec.verify(&data, &parity) {
            Ok(differ) => differ.iter().for_each(|shard| {
                bad.insert(shard);
            }),
            Err(_) => bad = all,
        }
        if bad.is_empty() { Ok(()) } else { fault(bad) }
    }

    fn cell_len(&self, stripe: u64) -> usize {
        usize::try_from(self.coding.cell_len(self.chunk_len, stripe)).unwrap_or(0)
    }

    /// The parity cells of every stripe back to back, and the table's next entries: each cell is
    /// summed just before it is coded, so it comes from memory once.
    fn parity(&mut self, mut data: &[u8], lens: &[usize]) -> Result<BytesMut, EncodeError> {
        let (k, m) = (self.codec.data(), self.codec.parity());
        let coded = if k == 1 {
            0
        } else {
            lens.iter().sum::<usize>() * m
        };
        let mut parity = BytesMut::zeroed(coded);
        let mut rest = &mut parity[..];
        for len in lens {
            let (stripe, later) = data.split_at(k * len);
            data = later;
            let cells: Vec<&[u8]> = stripe.chunks_exact(*len).collect();
            self.entries.extend(cells.iter().map(|cell| crc32c(cell)));
            if coded > 0 {
                let (stripe, later) = rest.split_at_mut(m * len);
                rest = later;
                let mut places: Vec<&mut [u8]> = stripe.chunks_exact_mut(*len).collect();
                self.codec.encode(&cells, &mut places)?;
            }
        }
        Ok(parity)
    }

    fn cut(
        &self,
        stripes: impl Iterator<Item = (u64, usize)>,
        mut data: Bytes,
        mut parity: Bytes,
    ) -> Vec<Stripe> {
        let (k, m) = (self.codec.data(), self.codec.parity());
        stripes
            .map(|(index, len)| {
                let mut cells: Vec<Bytes> = (0..k).map(|_| data.split_to(len)).collect();
                match cells.first() {
                    Some(only) if k == 1 => cells.extend(vec![only.clone(); m]),
                    _ => cells.extend((0..m).map(|_| parity.split_to(len))),
                }
                Stripe { index, cells }
            })
            .collect()
    }
}
