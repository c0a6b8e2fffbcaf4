//! One window of stripes: which sources to ask next, which cells came, which are made. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use cairn_erasure::{DecodeError, ShardCell, ShardSet, StripeDecoder};
use cairn_rpc::Rebuild;

/// A stripe that is not made yet.
#[derive(Debug)]
struct Stripe {
    cells: Vec<ShardCell>,
    /// Cells that may do.
    need: usize,
}

/// An attempt to make one shard's cells of some stripes.
#[derive(Debug)]
pub(super) struct Attempt {
    wanted: u8,
    data: usize,
    /// Sources not yet asked, by number and shard; best last.
    rest: Vec<(usize, u8)>,
    /// Sources asked that have not failed.
    asked: BTreeMap<u8, usize>,
    flying: usize,
    first: u64,
    open: BTreeMap<u64, Stripe>,
    made: BTreeMap<u64, Bytes>,
}

impl Attempt {
    /// For `stripes`, from `ranked` sources (number, shard), best first.
    pub(super) fn new(order: &Rebuild, stripes: Range<u64>, mut ranked: Vec<(usize, u8)>) -> Self {
        ranked.reverse();
        let mut attempt = Self {
            wanted: order.shard,
            data: order.coding.data(),
            rest: ranked,
            asked: BTreeMap::new(),
            flying: 0,
            first: stripes.start,
            open: BTreeMap::new(),
            made: BTreeMap::new(),
        };
        let need = attempt.fewest();
        let stripe = |stripe| {
            let cells = Vec::new();
            (stripe, Stripe { cells, need })
        };
        attempt.open = stripes.map(stripe).collect();
        attempt
    }

    /// Cells of a stripe that may do: one where the best source has the data shard itself.
    fn fewest(&self) -> usize {
        match self.rest.last() {
            Some((_, shard)) if self.is_whole() && *shard == self.wanted => 1,
            _ => self.data,
        }
    }

    /// Whether the shard's own cells are in the cell table: parity's are not.
    fn is_whole(&self) -> bool {
        usize::from(self.wanted) < self.data
    }

    /// The next source to ask now, if one is needed and left.
    pub(super) fn next(&mut self) -> Option<usize> {
        let lacks = |stripe: &Stripe| stripe.cells.len() + self.flying < stripe.need;
        if !self.open.values().any(lacks) {
            return None;
        }
        let fresh = |(_, shard): &(usize, u8)| !self.asked.contains_key(shard);
        let place = self.rest.iter().rposition(fresh)?;
        let (number, shard) = self.rest.remove(place);
        self.asked.insert(shard, number);
        self.flying += 1;
        Some(number)
    }

    /// A source asked gave its cells, one for each stripe.
    pub(super) fn given(&mut self, number: usize, cells: Vec<Bytes>) {
        self.flying = self.flying.saturating_sub(1);
        let Some(shard) = self.shard_of(number) else {
            return;
        };
        for (at, bytes) in (self.first..).zip(cells) {
            if let Some(stripe) = self.open.get_mut(&at)
                && stripe.cells.iter().all(|cell| cell.shard != shard)
            {
                stripe.cells.push(ShardCell {
                    shard,
                    bytes,
                    crc32c: None,
                });
            }
        }
    }

    /// A source asked gave nothing; its shard may be asked for elsewhere.
    pub(super) fn failed(&mut self, number: usize) {
        self.flying = self.flying.saturating_sub(1);
        if let Some(shard) = self.shard_of(number) {
            self.asked.remove(&shard);
        }
        let fewest = self.fewest();
        for stripe in self.open.values_mut() {
            stripe.need = stripe.need.max(fewest);
        }
    }

    fn shard_of(&self, number: usize) -> Option<u8> {
        let is_it = |(_, asked): &(&u8, &usize)| **asked == number;
        self.asked.iter().find(is_it).map(|(shard, _)| *shard)
    }

    /// Makes what can be made; gives the sources that turn out to have given wrong cells.
    pub(super) fn decode(&mut self, decoder: &StripeDecoder) -> Vec<usize> {
        let mut wrong = ShardSet::EMPTY;
        let (whole, wanted) = (self.is_whole(), self.wanted);
        let is_wanted = |shard: u8| whole && shard == wanted;
        for (at, stripe) in &mut self.open {
            let has_wanted = stripe.cells.iter().any(|cell| is_wanted(cell.shard));
            if stripe.cells.len() < stripe.need && !has_wanted {
                continue;
            }
            let bad = match decoder.rebuild(*at, &stripe.cells, self.wanted) {
                Ok((cell, bad)) => {
                    self.made.insert(*at, cell);
                    bad
                }
                Err(DecodeError::NeedMore { missing, bad, .. }) => {
                    stripe.cells.retain(|cell| !bad.contains(cell.shard));
                    stripe.need = stripe.cells.len() + missing.max(1);
                    bad
                }
                Err(DecodeError::Refused(why)) => {
                    tracing::error!(why, stripe = at, "a stripe was refused by the decoder");
                    stripe.need = usize::MAX;
                    ShardSet::EMPTY
                }
            };
            bad.iter().for_each(|shard| {
                wrong.insert(shard);
            });
        }
        let made = &self.made;
        self.open.retain(|at, _| !made.contains_key(at));
        let numbers = wrong.iter().filter_map(|shard| self.asked.remove(&shard));
        numbers.collect()
    }

    /// The cells, once all are made.
    pub(super) fn take(&mut self) -> Option<Vec<Bytes>> {
        let made = || std::mem::take(&mut self.made).into_values().collect();
        self.open.is_empty().then(made)
    }

    /// Whether cells of the shards `away` too could have been enough.
    pub(super) fn might_do_with(&self, away: &[u8]) -> bool {
        if self.is_whole() && away.contains(&self.wanted) {
            return true;
        }
        let enough = |stripe: &Stripe| {
            let mut shards: ShardSet = stripe.cells.iter().map(|cell| cell.shard).collect();
            away.iter().for_each(|shard| {
                shards.insert(*shard);
            });
            shards.len() >= self.data
        };
        !away.is_empty() && self.open.values().all(enough)
    }
}
