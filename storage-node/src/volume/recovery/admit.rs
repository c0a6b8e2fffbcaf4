//! Taking the records and tombstones of one segment into the index.

use std::io;

use cairn_store::StoreError;
use cairn_world::{AlignedBuf, DiskFile};

use super::{Distrust, Recovered};
use crate::format::{Salt, tombstone};
use crate::tuning::{SCAN_WINDOW, UNIT_U64};
use crate::volume::files::Files;
use crate::volume::index::{Edit, Entry, Index};
use crate::volume::{Item, Scanner, verify};

/// Items of one index batch.
const BATCH: usize = 1_024;

/// What admitting needs.
pub(super) struct Admission<'a> {
    pub(super) index: &'a Index,
    pub(super) files: &'a Files,
    pub(super) found: &'a mut Recovered,
}

/// Admits a whole segment; gives the first unit behind its last valid item and the count of
/// unreadable units.
pub(super) fn admit(
    admission: &mut Admission<'_>,
    file: &dyn DiskFile,
    number: u64,
) -> Result<(u32, u64), Distrust> {
    let segment = admission.found.ledger.segments.get(&number);
    let salt = segment.map(|segment| segment.salt);
    let salt = salt.ok_or(Distrust::Wrong("names no such segment"))?;
    let mut scanner = Scanner::new(file, number, salt, 1)?;
    loop {
        let items: Vec<Item> = scanner.by_ref().take(BATCH).collect();
        if items.is_empty() {
            return Ok((scanner.used, scanner.unreadable));
        }
        write_again(file, &items, salt)?;
        let Admission {
            index,
            files,
            found,
        } = admission;
        index.edit(|edit| {
            for item in &items {
                take(edit, files, found, item, number)?;
            }
            Ok(())
        })?;
    }
}

/// A tombstone that can be read may still be in doubt, if the sync that should have covered it
/// failed and only the process was started again; a delete acknowledged now would rely on it. The
/// same bytes in the same place, synced when the scan ends, end the doubt, and a torn rewrite
/// changes nothing.
fn write_again(file: &dyn DiskFile, items: &[Item], salt: Salt) -> io::Result<()> {
    for item in items {
        if let Item::Tombstones(unit, tombstones) = item {
            let bytes = tombstone::encode(tombstones, salt, *unit);
            file.write_at(bytes.as_slice(), u64::from(*unit) * UNIT_U64)?;
        }
    }
    Ok(())
}

fn take(
    edit: &mut Edit,
    files: &Files,
    found: &mut Recovered,
    item: &Item,
    number: u64,
) -> Result<(), StoreError> {
    match item {
        Item::Record(entry) => {
            found.next_sequence = found.next_sequence.max(entry.sequence + 1);
            take_record(edit, files, found, entry)
        }
        Item::Tombstones(_unit, tombstones) => {
            for tombstone in tombstones {
                found.next_sequence = found.next_sequence.max(tombstone.sequence + 1);
                edit.delete(tombstone, number)?;
            }
            Ok(())
        }
    }
}

fn take_record(
    edit: &mut Edit,
    files: &Files,
    found: &mut Recovered,
    entry: &Entry,
) -> Result<(), StoreError> {
    let shape = &entry.shape;
    let buried = edit
        .tombstone(shape.incarnation, entry.chunk)?
        .is_some_and(|tombstone| tombstone.sequence > entry.sequence);
    if buried {
        return edit.burn(entry);
    }
    match edit.live(shape.incarnation, shape.shard)? {
        Some(other) if other.place != entry.place => {
            if resolve(files, found, entry, &other)? {
                edit.land(entry)
            } else {
                edit.burn(entry)
            }
        }
        _ => edit.land(entry),
    }
}

/// Of two records of one shard the newer counts, unless it is not whole (never acknowledged, or
/// damaged since). True where that is `entry`. Which one was acknowledged is not known, and the
/// other will be punched: so the winner is written again, and synced before this opening ends.
fn resolve(
    files: &Files,
    found: &mut Recovered,
    entry: &Entry,
    other: &Entry,
) -> Result<bool, StoreError> {
    let rank = |entry: &Entry| (entry.sequence, entry.place);
    let (newer, older) = if rank(entry) > rank(other) {
        (entry, other)
    } else {
        (other, entry)
    };
    let winner = if is_whole(files, found, newer) {
        newer
    } else {
        older
    };
    if is_whole(files, found, winner) {
        found.rewritten.insert(winner.place.segment);
        rewrite(files, winner).map_err(|error| StoreError(error.to_string()))?;
    }
    Ok(winner == entry)
}

/// Writes a record's own bytes over it.
fn rewrite(files: &Files, entry: &Entry) -> io::Result<()> {
    let file = files.get(entry.place.segment)?;
    let end = entry.place.offset() + entry.place.len();
    let mut at = entry.place.offset();
    while at < end {
        let size = (end - at).min(SCAN_WINDOW as u64);
        let mut bytes = AlignedBuf::zeroed(usize::try_from(size).unwrap_or(SCAN_WINDOW));
        if file.read_at(bytes.as_mut_slice(), at)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(bytes.as_slice(), at)?;
        at += size;
    }
    Ok(())
}

fn is_whole(files: &Files, found: &Recovered, entry: &Entry) -> bool {
    let segment = found.ledger.segments.get(&entry.place.segment);
    let file = files.get(entry.place.segment);
    match (segment, file) {
        (Some(segment), Ok(file)) => verify::record(file.as_ref(), segment.salt, entry).is_sound(),
        _ => false,
    }
}
