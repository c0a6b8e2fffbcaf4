//! Reed-Solomon over equal-length slices: k data shards in, m parity shards out, and back from any k.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cairn_model::{Coding, limits};

use crate::gf256::{Kernel, LinearMap};
use crate::matrix::{Rows, coding_rows, invert, product};
use crate::shard_set::ShardSet;

/// Decode matrices kept per codec: every loss of one or two shards of 8+4 fits.
const DECODE_MATRICES_MAX: usize = 128;

const SHARDS: usize = limits::SHARDS_MAX as usize;

/// Why a codec did nothing, by what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Fetch more shards.
    #[error("{have} shards are here, {need} are needed")]
    NotEnough {
        /// Distinct shards given.
        have: usize,
        /// Shards needed (k).
        need: usize,
    },
    /// The call makes no sense: a bug of the caller.
    #[error("codec call refused: {0}")]
    Refused(&'static str),
}

/// The code k + m on one kernel. Cloning is cheap; clones share the decode matrices.
#[derive(Clone, Debug)]
pub struct Codec(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    data: usize,
    parity: usize,
    kernel: Kernel,
    rows: Rows,
    encode: LinearMap,
    decode: Mutex<DecodeCache>,
}

/// The maps by (shards read, shards wanted), the oldest dropped first.
#[derive(Debug, Default)]
struct DecodeCache {
    maps: BTreeMap<(ShardSet, ShardSet), Arc<LinearMap>>,
    order: VecDeque<(ShardSet, ShardSet)>,
}

impl Codec {
    /// The code of k data and m parity shards on this machine's best kernel. Made once per process
    /// and shape; later calls give a clone.
    ///
    /// # Errors
    /// `Refused` if k is 0 or k + m above [`limits::SHARDS_MAX`].
    pub fn new(data: usize, parity: usize) -> Result<Self, CodecError> {
        static CODECS: [[OnceLock<Codec>; SHARDS + 1]; SHARDS + 1] =
            [const { [const { OnceLock::new() }; SHARDS + 1] }; SHARDS + 1];
        let place = CODECS
            .get(data)
            .and_then(|row| row.get(parity))
            .ok_or(CodecError::Refused("no such shape"))?;
        if let Some(codec) = place.get() {
            return Ok(codec.clone());
        }
        let codec = Self::with_kernel(data, parity, Kernel::best())?;
        Ok(place.get_or_init(|| codec).clone())
    }

    /// The code of a coding, as [`Codec::new`].
    ///
    /// # Errors
    /// None for a `Coding` that could be made.
    pub fn of(coding: Coding) -> Result<Self, CodecError> {
        Self::new(coding.data(), coding.parity())
    }

    /// The code on a kernel of the caller's choice, with decode matrices of its own.
    ///
    /// # Errors
    /// As [`Codec::new`].
    pub fn with_kernel(data: usize, parity: usize, kernel: Kernel) -> Result<Self, CodecError> {
        if data == 0 || data + parity > SHARDS {
            return Err(CodecError::Refused("no such shape"));
        }
        let rows = coding_rows(data, parity).ok_or(CodecError::Refused("no such shape"))?;
        let encode = LinearMap::new(data, rows.get(data..).unwrap_or_default());
        Ok(Self(Arc::new(Inner {
            data,
            parity,
            kernel,
            rows,
            encode,
            decode: Mutex::default(),
        })))
    }

    /// Data shards (k).
    #[must_use]
    pub fn data(&self) -> usize {
        self.0.data
    }

    /// Parity shards (m).
    #[must_use]
    pub fn parity(&self) -> usize {
        self.0.parity
    }

    /// The kernel in use.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.0.kernel
    }

    /// Overwrites the m parity shards from the k data shards.
    ///
    /// # Errors
    /// `Refused` if the numbers are not k and m or the lengths differ.
    pub fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), CodecError> {
        self.encode_on(self.0.kernel, data, parity)
    }

    /// Whether the parity shards are those of the data shards, worked out on the portable kernel:
    /// a second code path, so that a fault of the fast one (or of its vector unit) is seen.
    ///
    /// # Errors
    /// As [`Codec::encode`]; the wrong parity shards, by index among the k + m, are the answer.
    pub fn verify(&self, data: &[&[u8]], parity: &[&[u8]]) -> Result<ShardSet, CodecError> {
        let len = data.first().map_or(0, |shard| shard.len());
        if parity.iter().any(|shard| shard.len() != len) {
            return Err(CodecError::Refused("shards differ in length"));
        }
        let mut expected = vec![vec![0; len]; parity.len()];
        let mut places: Vec<&mut [u8]> = expected.iter_mut().map(Vec::as_mut_slice).collect();
        self.encode_on(Kernel::portable(), data, &mut places)?;
        let index = |at: usize| u8::try_from(self.0.data + at).unwrap_or(u8::MAX);
        Ok((expected.iter().zip(parity).enumerate())
            .filter(|(_, (expected, found))| expected.as_slice() != **found)
            .map(|(at, _)| index(at))
            .collect())
    }

    fn encode_on(
        &self,
        kernel: Kernel,
        data: &[&[u8]],
        parity: &mut [&mut [u8]],
    ) -> Result<(), CodecError> {
        if data.len() != self.0.data || parity.len() != self.0.parity {
            return Err(CodecError::Refused("not k data and m parity shards"));
        }
        let first = data.first().copied().unwrap_or_default();
        let same = |len: usize| len == first.len();
        if !data.iter().all(|shard| same(shard.len()))
            || !parity.iter().all(|shard| same(shard.len()))
        {
            return Err(CodecError::Refused("shards differ in length"));
        }
        if self.0.data == 1 {
            parity
                .iter_mut()
                .for_each(|copy| copy.copy_from_slice(first));
        } else {
            self.0.encode.apply(kernel, data, parity);
        }
        Ok(())
    }

    /// Overwrites each wanted shard, data or parity, from any k of the shards that are present;
    /// of more than k the lowest are read. Wanted shards must be named in rising order.
    ///
    /// The answer is only as good as what was given: swapped or rotten shards give wrong bytes,
    /// not an error. [`StripeDecoder`](crate::StripeDecoder) checks.
    ///
    /// # Errors
    /// `NotEnough` with fewer than k shards; `Refused` for an index outside the code or named twice
    /// and for lengths that differ.
    pub fn reconstruct(
        &self,
        present: &[(u8, &[u8])],
        wanted: &mut [(u8, &mut [u8])],
    ) -> Result<(), CodecError> {
        let chosen = self.choose(present)?;
        let len = chosen.first().map_or(0, |(_, shard)| shard.len());
        let targets = self.targets(wanted, len)?;
        if present.iter().any(|(_, shard)| shard.len() != len) {
            return Err(CodecError::Refused("shards differ in length"));
        }
        if self.0.data == 1 {
            let first = chosen.first().map_or(&[][..], |(_, shard)| shard);
            wanted
                .iter_mut()
                .for_each(|(_, copy)| copy.copy_from_slice(first));
            return Ok(());
        }
        let read = chosen.iter().map(|(shard, _)| *shard).collect();
        let map = self.decode_map(read, targets)?;
        let inputs: Vec<&[u8]> = chosen.iter().map(|(_, bytes)| *bytes).collect();
        let mut outputs: Vec<&mut [u8]> = wanted.iter_mut().map(|(_, out)| &mut **out).collect();
        map.apply(self.0.kernel, &inputs, &mut outputs);
        Ok(())
    }

    /// The k lowest of the shards present, in rising order.
    fn choose<'a>(&self, present: &[(u8, &'a [u8])]) -> Result<Vec<(u8, &'a [u8])>, CodecError> {
        let mut seen = ShardSet::EMPTY;
        for (shard, _) in present {
            if usize::from(*shard) >= self.0.rows.len() || !seen.insert(*shard) {
                return Err(CodecError::Refused("no such shard, or named twice"));
            }
        }
        let (have, need) = (seen.len(), self.0.data);
        if have < need {
            return Err(CodecError::NotEnough { have, need });
        }
        let mut chosen = present.to_vec();
        chosen.sort_unstable_by_key(|(shard, _)| *shard);
        chosen.truncate(need);
        Ok(chosen)
    }

    fn targets(&self, wanted: &[(u8, &mut [u8])], len: usize) -> Result<ShardSet, CodecError> {
        if !wanted.is_sorted_by_key(|(shard, _)| *shard) {
            return Err(CodecError::Refused("wanted shards do not rise"));
        }
        let mut targets = ShardSet::EMPTY;
        for (shard, out) in wanted {
            if usize::from(*shard) >= self.0.rows.len() || !targets.insert(*shard) {
                return Err(CodecError::Refused("no such shard, or named twice"));
            }
            if out.len() != len {
                return Err(CodecError::Refused("shards differ in length"));
            }
        }
        Ok(targets)
    }

    fn decode_map(&self, read: ShardSet, targets: ShardSet) -> Result<Arc<LinearMap>, CodecError> {
        let key = (read, targets);
        let lock = || self.0.decode.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = lock().maps.get(&key) {
            return Ok(Arc::clone(map));
        }
        let rows_of = |set: ShardSet| -> Rows {
            set.iter()
                .filter_map(|shard| self.0.rows.get(usize::from(shard)).cloned())
                .collect()
        };
        let inverse = invert(rows_of(read)).ok_or(CodecError::Refused("singular matrix"))?;
        let rows = product(&rows_of(targets), &inverse);
        let map = Arc::new(LinearMap::new(self.0.data, &rows));
        lock().keep(key, &map);
        Ok(map)
    }
}

impl DecodeCache {
    fn keep(&mut self, key: (ShardSet, ShardSet), map: &Arc<LinearMap>) {
        if self.maps.insert(key, Arc::clone(map)).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > DECODE_MATRICES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.maps.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
