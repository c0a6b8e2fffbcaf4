//! MD5 (RFC 1321), of one body or of many side by side.
//!
//! ```text
//!   body A ─ state, bytes ─┐
//!   body B ─ state, bytes ─┼─ advance ─ whole blocks of up to 16 bodies, one in each lane of a vector
//!   body C ─ state, bytes ─┘
//! ```
//!
//! MD5 is one long chain of dependent additions: on its own it takes 1.5 ns a byte on any processor of our
//! days, however wide, and is the slowest pass over an upload (`docs/performance.md`). Sixteen chains side by
//! side take hardly longer than one. MD5 is no protection against anybody; S3's `ETag` is made of it.

mod kernel;

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes of a block.
const BLOCK: usize = 64;
/// Bytes of the length at the end of the last block.
const LENGTH: usize = 8;
/// RFC 1321, 3.3.
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The digest of what was added so far.
#[derive(Clone)]
pub struct Md5 {
    state: [u32; 4],
    /// Bytes added.
    length: u64,
    /// Those of them that are not in the state: less than a block.
    rest: [u8; BLOCK],
}

impl std::fmt::Debug for Md5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Md5({} bytes)", self.length)
    }
}

impl Default for Md5 {
    fn default() -> Self {
        Self::new()
    }
}

impl Md5 {
    /// The digest of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: INITIAL,
            length: 0,
            rest: [0; BLOCK],
        }
    }

    /// The digest of all of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> [u8; 16] {
        let mut md5 = Self::new();
        md5.update(bytes);
        md5.finish()
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let bytes = self.top_up(bytes);
        let (blocks, rest) = bytes.as_chunks();
        kernel::one(&mut self.state, blocks);
        self.length += (bytes.len() - rest.len()) as u64;
        self.top_up(rest);
    }

    /// The digest.
    #[must_use]
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8);
        let mut end = [0; BLOCK + LENGTH];
        let zeros = (BLOCK * 2 - LENGTH - 1 - self.filled()) % BLOCK;
        let (padding, length) = end.split_at_mut(1 + zeros);
        if let Some(first) = padding.first_mut() {
            *first = 0x80;
        }
        for (to, from) in length.iter_mut().zip(bits.to_le_bytes()) {
            *to = from;
        }
        self.update(end.get(..1 + zeros + LENGTH).unwrap_or_default());
        let mut digest = [0; 16];
        for (to, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *to = word.to_le_bytes();
        }
        digest
    }

    /// Bytes in `rest`.
    fn filled(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }

    /// Fills the block that is begun, or begins one with less than a block; gives what is left over.
    fn top_up<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let filled = self.filled();
        if filled == 0 && bytes.len() >= BLOCK {
            return bytes;
        }
        let (taken, left) = bytes.split_at(bytes.len().min(BLOCK - filled));
        for (to, from) in self.rest.iter_mut().skip(filled).zip(taken) {
            *to = *from;
        }
        self.length += taken.len() as u64;
        if filled + taken.len() == BLOCK {
            kernel::one(&mut self.state, &[self.rest]);
        }
        left
    }
}

/// A digest, and bytes that are still to be added to it.
#[derive(Clone, Debug)]
pub struct Owed {
    md5: Md5,
    runs: VecDeque<Bytes>,
    length: usize,
}

impl Owed {
    /// Nothing is owed yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            md5: Md5::new(),
            runs: VecDeque::new(),
            length: 0,
        }
    }

    /// These bytes come next.
    pub fn push(&mut self, run: Bytes) {
        self.length += run.len();
        self.runs.push_back(run);
    }

    /// What `later` owes comes next. It has added nothing itself: what it has added is lost, and
    /// [`Owed::total`] is not the body's length any more.
    pub fn append(&mut self, later: Self) {
        if self.total() == 0 {
            *self = later;
            return;
        }
        for run in later.runs {
            self.push(run);
        }
    }

    /// Adds what is owed, and then these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.add_all();
        self.md5.update(bytes);
    }

    /// Bytes of the whole body so far, added or owed.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.md5.length + self.length as u64
    }

    /// Bytes that are still to be added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether all bytes have been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The digest of everything.
    #[must_use]
    pub fn finish(mut self) -> [u8; 16] {
        self.add_all();
        self.md5.finish()
    }

    /// Adds what is owed, alone.
    pub fn add_all(&mut self) {
        for run in self.runs.drain(..) {
            self.md5.update(&run);
        }
        self.length = 0;
    }

    /// Adds what is owed, alone, until no more than so many bytes are.
    fn add_down_to(&mut self, may_stay: usize) {
        while self.length > may_stay
            && let Some(mut run) = self.runs.pop_front()
        {
            let now = run.split_to(run.len().min(self.length - may_stay));
            self.md5.update(&now);
            self.length -= now.len();
            if !run.is_empty() {
                self.runs.push_front(run);
            }
        }
    }

    /// Whole blocks that come next, after what lies before them has been added; empty where nothing is
    /// owed any more.
    fn blocks(&mut self) -> Bytes {
        while let Some(run) = self.runs.front_mut() {
            let before = run.len();
            let left = self.md5.top_up(run).len();
            *run = run.split_off(before - left);
            self.length -= before - left;
            if run.len() >= BLOCK {
                return run.slice(..run.len() / BLOCK * BLOCK);
            }
            if run.is_empty() {
                self.runs.pop_front();
            }
        }
        Bytes::new()
    }

    /// `bytes` of the front have been added to the state: whole blocks.
    fn advance(&mut self, state: [u32; 4], bytes: usize) {
        self.md5.state = state;
        self.md5.length += bytes as u64;
        self.length -= bytes;
        if let Some(run) = self.runs.front_mut() {
            *run = run.split_off(bytes);
        }
    }
}

impl Default for Owed {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds to each digest what is owed to it, side by side as long as there are two. The last then still owes
/// what it has more than the others, up to `may_stay` bytes: beside others it is made faster next time.
pub fn advance(all: &mut [Owed], may_stay: usize) {
    let lanes = kernel::Lanes::here();
    let mut at_work: Vec<(&mut Owed, Bytes)> = Vec::with_capacity(lanes.count());
    let mut waiting = all.iter_mut();
    loop {
        at_work.retain_mut(|(owed, blocks)| {
            *blocks = owed.blocks();
            !blocks.is_empty()
        });
        while at_work.len() < lanes.count()
            && let Some(owed) = waiting.next()
        {
            let blocks = owed.blocks();
            if !blocks.is_empty() {
                at_work.push((owed, blocks));
            }
        }
        // One alone is faster by itself, two are not.
        if at_work.len() < 2 {
            break;
        }
        let shortest = at_work.iter().map(|(_, blocks)| blocks.len()).min();
        let bytes = shortest.unwrap_or_default();
        let mut states: Vec<[u32; 4]> = at_work.iter().map(|(owed, _)| owed.md5.state).collect();
        let inputs: Vec<&[u8]> = (at_work.iter())
            .map(|(_, blocks)| blocks.get(..bytes).unwrap_or_default())
            .collect();
        lanes.fit(states.len()).advance(&mut states, &inputs);
        for ((owed, _), state) in at_work.iter_mut().zip(states) {
            owed.advance(state, bytes);
        }
    }
    for (owed, _) in at_work {
        owed.add_down_to(may_stay);
    }
}

#[cfg(test)]
mod tests;
