//! What is live and needed in each segment, from the index rows.

use std::collections::BTreeMap;

use cairn_store::StoreError;

use super::{Distrust, Recovered};
use crate::tuning::CLEAR_ROWS;
use crate::volume::index::{Entry, Index, TombstoneRow};
use crate::volume::is_punched;

/// Fills the ledger's counts and the list of places to punch. A clean index kept its counts.
pub(super) fn count(index: &Index, found: &mut Recovered, clean: bool) -> Result<(), Distrust> {
    let gone = dead(index, found)?;
    forget_dead(index, &gone)?;
    if clean {
        return Ok(());
    }
    live(index, found)?;
    tombstones(index, found)
}

/// Dead rows: places to punch, and rows of segments that are no more.
fn dead(index: &Index, found: &mut Recovered) -> Result<Vec<Entry>, StoreError> {
    let mut gone = Vec::new();
    index.each_dead(|entry| {
        if !found.ledger.segments.contains_key(&entry.place.segment) {
            gone.push(entry);
        } else if is_punched(&entry.place) {
            found.punches.push(entry);
        }
    })?;
    // What lies in an unreadable segment is still there.
    gone.retain(|entry| !found.ledger.unreadable.contains(&entry.place.segment));
    Ok(gone)
}

fn forget_dead(index: &Index, gone: &[Entry]) -> Result<(), StoreError> {
    for batch in gone.chunks(CLEAR_ROWS) {
        index.edit(|edit| {
            batch.iter().for_each(|entry| edit.forget_dead(entry));
            Ok(())
        })?;
    }
    Ok(())
}

fn live(index: &Index, found: &mut Recovered) -> Result<(), Distrust> {
    let mut live: BTreeMap<u64, u64> = BTreeMap::new();
    index.each_live(None, |entry| {
        *live.entry(entry.place.segment).or_default() += u64::from(entry.place.units);
        true
    })?;
    for segment in found.ledger.segments.values_mut() {
        segment.live = 0;
    }
    for (number, units) in live {
        match found.ledger.segments.get_mut(&number) {
            Some(segment) => segment.live = units,
            None if found.ledger.unreadable.contains(&number) => {}
            None => return Err(Distrust::Wrong("names a record in a segment that is gone")),
        }
    }
    Ok(())
}

/// Tombstones that shadow nothing are forgotten, unless something could not be read.
fn tombstones(index: &Index, found: &mut Recovered) -> Result<(), Distrust> {
    let mut rows: Vec<TombstoneRow> = Vec::new();
    index.each_tombstone(|row| rows.push(row))?;
    for segment in found.ledger.segments.values_mut() {
        segment.tombstones = 0;
    }
    for batch in rows.chunks(CLEAR_ROWS) {
        index.edit(|edit| {
            for row in batch {
                if !found.blind && edit.dead_of(row.incarnation)?.is_empty() {
                    edit.forget_tombstone(row);
                } else if let Some(segment) = found.ledger.segments.get_mut(&row.segment) {
                    segment.tombstones += 1;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
