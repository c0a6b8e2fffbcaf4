//! Taking the records and tombstones of one segment into the index.

use cairn_store::StoreError;
use cairn_world::DiskFile;

use super::{Distrust, Recovered};
use crate::format::{Salt, tombstone};
use crate::tuning::UNIT_U64;
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
fn write_again(file: &dyn DiskFile, items: &[Item], salt: Salt) -> std::io::Result<()> {
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
    found: &Recovered,
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
        Some(other) if other.place != entry.place && !wins(files, found, entry, &other) => {
            edit.burn(entry)
        }
        _ => edit.land(entry),
    }
}

/// Two records of one shard hold the same bytes, so the older counts while it is whole: the newer
/// may be left from a sync that failed, which no later sync makes good.
fn wins(files: &Files, found: &Recovered, entry: &Entry, other: &Entry) -> bool {
    let rank = |entry: &Entry| (entry.sequence, entry.place);
    if rank(entry) < rank(other) {
        is_whole(files, found, entry)
    } else {
        !is_whole(files, found, other)
    }
}

fn is_whole(files: &Files, found: &Recovered, entry: &Entry) -> bool {
    let segment = found.ledger.segments.get(&entry.place.segment);
    let file = files.get(entry.place.segment);
    match (segment, file) {
        (Some(segment), Ok(file)) => verify::record(file.as_ref(), segment.salt, entry).is_sound(),
        _ => false,
    }
}
