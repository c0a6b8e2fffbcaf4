//! From segments to index.
//!
//! ```text
//!  index clean          -> trusted as it is, nothing is read
//!  index behind         -> segments without a row of their own are scanned into it
//!  index missing, wrong -> forgotten; every segment is scanned
//! ```
//!
//! Records and tombstones are admitted in any order: sequences decide. Scanned segments are cut
//! behind their last valid item, synced (what a killed process left in the page cache must not be
//! relied on before it is durable) and sealed; new records go to new segments.

mod admit;
mod count;

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::DiskId;
use cairn_store::StoreError;
use cairn_world::{Disk, DiskFile};

use super::files::{self, Files};
use super::index::{Entry, Index, SegmentRow, StateRow};
use super::ledger::{Ledger, Phase, Segment};
use super::{OpenError, span};
use crate::format::SegmentHeader;
use crate::tuning::UNIT_U64;
use admit::{Admission, admit};
use count::count;

/// What opening needs to know.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) ledger: Ledger,
    pub(super) next_sequence: u64,
    pub(super) punches: Vec<Entry>,
    pub(super) blind: bool,
    /// Not 0 where the index could not vouch for everything: records that rot has reached are not among
    /// what was found, and nobody here knows of them. Another number at another such opening.
    pub(super) doubt: u64,
    /// Segments written to while records were compared.
    rewritten: BTreeSet<u64>,
}

/// Why an index is not taken as it is.
#[derive(Debug)]
enum Distrust {
    /// It contradicts the directory or cannot be read.
    Wrong(&'static str),
    /// The disk or the engine.
    Fatal(OpenError),
}

impl From<std::io::Error> for Distrust {
    fn from(error: std::io::Error) -> Self {
        Self::Fatal(error.into())
    }
}

/// An engine that cannot be read is emptied and filled again; if that fails too, it is broken.
impl From<StoreError> for Distrust {
    fn from(_error: StoreError) -> Self {
        Self::Wrong("cannot be read")
    }
}

/// Opens the segments of a disk and makes the index agree with them.
pub(super) fn recover(
    disk: &dyn Disk,
    files: &Files,
    index: &Index,
    id: DiskId,
) -> Result<Recovered, OpenError> {
    disk.sync_dir(files::DIR)?;
    let names = disk.list(files::DIR)?;
    let numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| files::number(name))
        .collect();
    let recovery = Recovery {
        disk,
        files,
        index,
        id,
        numbers,
    };
    match recovery.with_index() {
        Err(Distrust::Wrong(why)) => {
            tracing::warn!(disk = %id, why, "index is rebuilt from the segments");
            index.clear()?;
            recovery.with_index().map_err(|distrust| match distrust {
                Distrust::Fatal(error) => error,
                Distrust::Wrong(why) => OpenError::Index(StoreError(why.to_owned())),
            })
        }
        Err(Distrust::Fatal(error)) => Err(error),
        Ok(recovered) => Ok(recovered),
    }
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    files: &'a Files,
    index: &'a Index,
    id: DiskId,
    numbers: Vec<u64>,
}

impl Recovery<'_> {
    fn with_index(&self) -> Result<Recovered, Distrust> {
        let state = self.index.state()?;
        let trusted: BTreeMap<u64, SegmentRow> = self.index.segments()?.into_iter().collect();
        match &state {
            Some(state) if state.disk != self.id => {
                return Err(Distrust::Wrong("is another disk's"));
            }
            None if !trusted.is_empty() || !self.numbers.is_empty() && self.holds_rows()? => {
                return Err(Distrust::Wrong("has no state"));
            }
            _ => {}
        }
        if trusted
            .keys()
            .any(|number| self.numbers.binary_search(number).is_err())
        {
            return Err(Distrust::Wrong("names a segment that is gone"));
        }
        let mut found = Recovered {
            next_sequence: state.map_or(1, |state| state.next_sequence),
            ..Recovered::default()
        };
        found.ledger.next_segment = state.map_or(1, |state| state.next_segment);
        // All segments are known before any record is admitted: admitting compares records.
        let mut unknown = Vec::new();
        for number in &self.numbers {
            found.ledger.next_segment = found.ledger.next_segment.max(number + 1);
            match trusted.get(number) {
                Some(row) => found.ledger.install(*number, trust(row)),
                None => unknown.extend(self.look(*number, &mut found)?.then_some(*number)),
            }
        }
        for number in &unknown {
            self.scan(*number, &mut found)?;
        }
        for number in &found.rewritten {
            self.files.get(*number)?.sync()?;
        }
        if !unknown.is_empty() || !found.ledger.unreadable.is_empty() {
            found.doubt = found.next_sequence;
        }
        let clean = state.is_some_and(|state| state.clean) && unknown.is_empty();
        count(self.index, &mut found, clean)?;
        self.vouch(&found, clean)?;
        Ok(found)
    }

    fn holds_rows(&self) -> Result<bool, StoreError> {
        let mut any = false;
        self.index.each_live(None, |_entry| {
            any = true;
            false
        })?;
        Ok(any)
    }

    /// Takes up a segment that no row vouches for; false where it cannot be used.
    fn look(&self, number: u64, found: &mut Recovered) -> Result<bool, Distrust> {
        let file = self.files.get(number)?;
        let header = span::read(file.as_ref(), 0, UNIT_U64)
            .ok()
            .and_then(|unit| SegmentHeader::decode(&unit))
            .filter(|header| header.number == number && header.disk == self.id);
        let Some(header) = header else {
            self.without_header(number, file.as_ref(), found)?;
            return Ok(false);
        };
        found.ledger.install(
            number,
            Segment::new(header.salt, header.units, Phase::Sealed),
        );
        Ok(true)
    }

    /// Admits everything in it, and cuts it behind the last valid item.
    fn scan(&self, number: u64, found: &mut Recovered) -> Result<(), Distrust> {
        let file = self.files.get(number)?;
        let mut admission = Admission {
            index: self.index,
            files: self.files,
            found,
        };
        let (used, unreadable) = admit(&mut admission, file.as_ref(), number)?;
        found.blind |= unreadable > 0;
        let units = u32::try_from(file.len()? / UNIT_U64).unwrap_or(u32::MAX);
        // Unless something there could not be read.
        let keep = if unreadable > 0 { units } else { used };
        if keep < units {
            file.set_len(u64::from(keep) * UNIT_U64)?;
        }
        file.sync()?;
        if let Some(segment) = found.ledger.segments.get_mut(&number) {
            segment.units = keep;
            segment.next = keep;
        }
        Ok(())
    }

    /// A segment whose making was cut short holds nothing but a torn header: it goes. Any other
    /// without a header is left alone for good.
    fn without_header(
        &self,
        number: u64,
        file: &dyn DiskFile,
        found: &mut Recovered,
    ) -> Result<(), Distrust> {
        if is_blank(file) {
            self.files.remove(number)?;
            self.disk.sync_dir(files::DIR)?;
            return Ok(());
        }
        tracing::error!(disk = %self.id, segment = number, "segment header is lost, its shards are missing");
        found.ledger.unreadable.insert(number);
        found.blind = true;
        Ok(())
    }

    /// Makes the index durable as the truth about every sealed segment.
    fn vouch(&self, found: &Recovered, clean: bool) -> Result<(), Distrust> {
        let state = StateRow {
            disk: self.id,
            clean: false,
            next_segment: found.ledger.next_segment,
            next_sequence: found.next_sequence,
        };
        self.index.edit(|edit| {
            // A clean index has them already.
            for (number, segment) in found.ledger.segments.iter().filter(|_| !clean) {
                edit.put_segment(*number, &row(segment));
            }
            edit.put_state(&state);
            Ok(())
        })?;
        self.index.persist()?;
        Ok(())
    }
}

fn trust(row: &SegmentRow) -> Segment {
    let mut segment = Segment::new(row.salt, row.units, Phase::Sealed);
    segment.next = row.units;
    segment.live = row.live;
    segment.punched = row.punched;
    segment.tombstones = row.tombstones;
    segment
}

fn row(segment: &Segment) -> SegmentRow {
    SegmentRow {
        salt: segment.salt,
        units: segment.units,
        live: segment.live,
        punched: segment.punched,
        tombstones: segment.tombstones,
    }
}

/// Whether everything behind the header is readable zeros.
fn is_blank(file: &dyn DiskFile) -> bool {
    let Ok(len) = file.len() else { return false };
    let mut at = UNIT_U64;
    while at < len {
        let size = (len - at).min(1 << 20);
        match span::read(file, at, size) {
            Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => at += size,
            _ => return false,
        }
    }
    true
}
