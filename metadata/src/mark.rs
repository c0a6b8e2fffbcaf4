//! The full mark: counts what the rows of one point in time hold, compares it with what other rows
//! say of it, and tells. It changes nothing (design §4).
//!
//! ```text
//!  pass      the rows in key order; each holder is followed into its pages
//!             |-- by itself     states, leases and their ends, pins, debt and its index, buckets
//!             |-- one by one    holders of shared manifests          against `40` rows
//!             `-- in groups     references of chunks                 against refs of `50` rows
//!                               what a manifest's holder says it has against runs of `41` rows
//!                               parts an upload has                  against `32` rows
//!                               chunks without references            against `51` rows
//!  passes    again, for the items of groups that differ: which of them
//! ```
//!
//! Memory does not grow with the store. Most comparisons go through a [`tally`] of `2^MARK_GROUP_BITS`
//! sums; nothing else is kept of items that agree. Held are at most `MARK_SHARED_MAX` shared manifests
//! (more of them take more passes), `MARK_ITEMS_MAX` items of groups that differ (more groups stay
//! [`MarkReport::unnamed`]), `MARK_NAMED_MAX` discrepancies, and one page of a manifest in each of
//! two levels. A healthy store is read once where it has no more shared manifests than that.
//!
//! Writings that are no chunk's current one are not compared: they are condemned, and nothing else
//! says how many there are. One thing more is not seen: two rows that hold the same list of extents without a `40` row that says
//! so, where each has counted its references. Both then let go of what they took, so nothing is lost
//! or left. Where only one has, the chunks' counts differ and are named.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use cairn_model::limits;
use cairn_store::{StoreError, View};

use crate::keyspace::{KeyKind, RowError};

mod balances;
mod discrepancy;
mod holders;
mod indexes;
mod shared;
mod tally;
#[cfg(test)]
mod tests;

pub use discrepancy::Discrepancy;

use holders::Run;
use shared::Shared;
use tally::Tally;

/// Rows of one step of [`full_mark`]; only planners care where steps end.
const STEP: usize = 1 << 20;

/// What a full mark found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkReport {
    /// Rows of each kind, by the first byte of their keys.
    pub rows: BTreeMap<u8, u64>,
    /// What is wrong, at most `limits::MARK_NAMED_MAX` of it.
    pub discrepancies: Vec<Discrepancy>,
    /// How many were found, named or not.
    pub total: u64,
    /// Groups of items that differ and were not looked into for want of memory: at least one more
    /// discrepancy each.
    pub unnamed: u64,
}

impl MarkReport {
    /// Whether every count is as the rows say.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.total == 0 && self.unnamed == 0
    }

    /// Rows of all kinds.
    #[must_use]
    pub fn rows_seen(&self) -> u64 {
        self.rows.values().sum()
    }

    fn note(&mut self, discrepancy: Discrepancy, named_max: usize) {
        self.total += 1;
        if self.discrepancies.len() < named_max {
            self.discrepancies.push(discrepancy);
        }
    }
}

/// Marks everything a view shows, at once.
///
/// # Errors
/// The store's. A row that cannot be read is a discrepancy, not an error.
pub fn full_mark(view: &dyn View) -> Result<MarkReport, StoreError> {
    let mut mark = Mark::begin(view)?;
    while !mark.step(view, STEP)? {}
    Ok(mark.into_report())
}

/// Bounds of what is held; tests set small ones.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    items: usize,
    shared: usize,
    named: usize,
}

/// A row in hand cannot be used.
#[derive(Debug)]
enum Fault {
    Store(StoreError),
    Unreadable,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RowError> for Fault {
    fn from(_: RowError) -> Self {
        Self::Unreadable
    }
}

/// A full mark in progress. Every step must be given the view it was begun with.
#[derive(Debug)]
pub struct Mark {
    bounds: Bounds,
    report: MarkReport,
    /// Where the pass goes on.
    position: Bound<Bytes>,
    tally: Tally,
    shared: Shared,
    /// Pages seen last.
    run: Option<Run>,
    /// The bucket whose objects come by, and its domain.
    bucket: Option<(u64, Option<u64>)>,
    /// Rows read in this step.
    read: usize,
}

impl Mark {
    /// A mark at the first row.
    ///
    /// # Errors
    /// The store's.
    pub fn begin(view: &dyn View) -> Result<Self, StoreError> {
        let bounds = Bounds {
            items: limits::MARK_ITEMS_MAX,
            shared: limits::MARK_SHARED_MAX,
            named: limits::MARK_NAMED_MAX,
        };
        Self::within(view, bounds)
    }

    fn within(view: &dyn View, bounds: Bounds) -> Result<Self, StoreError> {
        Ok(Self {
            bounds,
            report: MarkReport::default(),
            position: start(),
            tally: Tally::sums(),
            shared: Shared::first(view, bounds.shared)?,
            run: None,
            bucket: None,
            read: 0,
        })
    }

    /// Reads about `rows` rows more: ends with the first holder whose pages exceed it. True when
    /// the mark is finished.
    ///
    /// # Errors
    /// The store's.
    pub fn step(&mut self, view: &dyn View, rows: usize) -> Result<bool, StoreError> {
        self.read = 0;
        let from = self.position.clone();
        for row in view.scan(from.as_ref().map(Bytes::as_ref), Bound::Unbounded) {
            let (key, value) = row?;
            self.read += 1;
            self.take(view, &key, &value)?;
            self.position = Bound::Excluded(key);
            if self.read >= rows {
                return Ok(false);
            }
        }
        self.end_pass(view)
    }

    /// What was found; only of a finished mark is it everything.
    #[must_use]
    pub fn into_report(self) -> MarkReport {
        self.report
    }

    /// In the first of all passes each row is judged by itself.
    fn is_judging(&self) -> bool {
        self.shared.is_first() && matches!(self.tally, Tally::Sums(_))
    }

    /// Notes what is wrong with the row in hand, once.
    fn wrong(&mut self, discrepancy: Discrepancy) {
        if self.is_judging() {
            self.report.note(discrepancy, self.bounds.named);
        }
    }

    /// Notes a page, which is followed in just one of the passes that sum up.
    fn unreadable_page(&mut self, key: Bytes) {
        if matches!(self.tally, Tally::Sums(_)) {
            let unreadable = Discrepancy::Unreadable { key };
            self.report.note(unreadable, self.bounds.named);
        }
    }

    fn take(&mut self, view: &dyn View, key: &Bytes, value: &Bytes) -> Result<(), StoreError> {
        let Some(kind) = key.first().copied() else {
            return Ok(());
        };
        if self.is_judging() {
            *self.report.rows.entry(kind).or_default() += 1;
        }
        let mut taken = self.hold_row(view, kind, key, value);
        // Only rows that hold manifests matter for the shared ones of later passes.
        if taken.is_ok() && self.shared.is_first() {
            taken = self.count_row(view, kind, key, value);
        }
        if taken.is_ok() && self.is_judging() {
            taken = self.judge_row(view, kind, key, value);
        }
        match taken {
            Ok(()) => Ok(()),
            Err(Fault::Store(error)) => Err(error),
            Err(Fault::Unreadable) => {
                self.wrong(Discrepancy::Unreadable { key: key.clone() });
                Ok(())
            }
        }
    }

    /// True when there is no further pass.
    fn end_pass(&mut self, view: &dyn View) -> Result<bool, StoreError> {
        self.end_run();
        if matches!(self.tally, Tally::Sums(_)) {
            for discrepancy in self.shared.differences() {
                self.report.note(discrepancy, self.bounds.named);
            }
        }
        if !self.shared.advance(view)? {
            let done = self.end_tally(view)?;
            if done {
                return Ok(true);
            }
            self.shared = Shared::first(view, self.bounds.shared)?;
        }
        self.position = start();
        Ok(false)
    }

    /// After the sums, the items of groups that differ; after those, nothing.
    fn end_tally(&mut self, view: &dyn View) -> Result<bool, StoreError> {
        match &mut self.tally {
            Tally::Sums(sums) => {
                let groups = sums.differing();
                let done = groups.is_empty();
                self.tally = Tally::items(groups, self.bounds.items);
                Ok(done)
            }
            Tally::Items(items) => {
                self.report.unnamed += items.unnamed();
                for (item, balance) in items.differing() {
                    if let Some(found) = balances::name(view, item, balance)? {
                        self.report.note(found, self.bounds.named);
                    }
                }
                Ok(true)
            }
        }
    }
}

/// Just before the first row that is not the Raft host's own.
fn start() -> Bound<Bytes> {
    Bound::Included(Bytes::from_static(&[0x01]))
}

fn decode<K: KeyKind>(key: &Bytes, value: &Bytes) -> Result<(K, K::Row), Fault> {
    Ok((K::decode(key)?, K::decode_row(value)?))
}

fn get<K: KeyKind>(view: &dyn View, key: &K) -> Result<Option<K::Row>, Fault> {
    match view.get(&key.encode())? {
        Some(value) => Ok(Some(K::decode_row(&value)?)),
        None => Ok(None),
    }
}

fn has<K: KeyKind>(view: &dyn View, key: &K) -> Result<bool, StoreError> {
    Ok(view.get(&key.encode())?.is_some())
}
