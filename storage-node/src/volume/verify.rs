//! Checking a whole record against everything it says of itself.

use bytes::Bytes;
use cairn_model::Incarnation;
use cairn_rpc::ShardError;
use cairn_world::DiskFile;

use super::index::Entry;
use super::{Damage, Volume, span};
use crate::format::checksum::{Crc32c, crc32c};
use crate::format::record::{decode_header, decode_trailer};
use crate::format::{HEADER_LEN, Salt, Shape, Trailer, cell};
use crate::tuning::SCAN_WINDOW;

/// What a check of a record found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Cells whose checksum does not fit.
    pub(crate) bad_cells: u64,
    /// The first thing that is wrong.
    pub(crate) problem: Option<String>,
    /// Header, trailer and every byte could be read and header and trailer fit.
    pub(crate) readable: bool,
}

impl Verdict {
    fn broken(problem: impl Into<String>) -> Self {
        Self {
            problem: Some(problem.into()),
            ..Self::default()
        }
    }

    /// Nothing is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.readable && self.problem.is_none()
    }
}

/// What scrubbing has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubCounts {
    /// Records looked at.
    pub records: u64,
    /// Bytes of their shards.
    pub bytes: u64,
    /// Records with anything wrong; each is in the damage log.
    pub damaged: u64,
    /// Complete passes over the disk.
    pub passes: u64,
}

/// A cell as stored.
pub(crate) struct StoredCell {
    pub(crate) bytes: Bytes,
    /// The plain checksum it was stored with, by its key.
    pub(crate) plain: u32,
    /// The one the bytes have.
    pub(crate) made: u32,
    /// Whether they are the same.
    pub(crate) fits: bool,
}

/// Cuts a cell and its checksum out of `span`, which begins at offset `from` of the record.
pub(crate) fn stored_cell(
    span: &Bytes,
    from: u64,
    shape: &Shape,
    salt: Salt,
    number: u64,
) -> Option<StoredCell> {
    let start = usize::try_from(shape.cell_offset(number).checked_sub(from)?).ok()?;
    let end = start + usize::try_from(shape.cell_len(number)).ok()?;
    let check: [u8; cell::CHECK_LEN] = span.get(end..end + cell::CHECK_LEN)?.try_into().ok()?;
    let key = cell::key(salt, shape.incarnation, shape.shard, number);
    let plain = u32::from_be_bytes(check) ^ key;
    let bytes = span.slice(start..end);
    let made = crc32c(&bytes);
    Some(StoredCell {
        bytes,
        plain,
        made,
        fits: made == plain,
    })
}

/// Reads a record's header and trailer; the reason where one of them is not as `entry` says.
pub(crate) fn read_ends(file: &dyn DiskFile, salt: Salt, entry: &Entry) -> Result<Trailer, String> {
    let shape = &entry.shape;
    let at = entry.place.offset();
    let header = span::read(file, at, HEADER_LEN as u64).map_err(|e| format!("header: {e}"))?;
    let header: &[u8; HEADER_LEN] = header.first_chunk().ok_or("header is short")?;
    if decode_header(header, salt, entry.place.unit).as_ref() != Some(shape) {
        return Err("header does not fit".to_owned());
    }
    let trailer = span::read(
        file,
        at + shape.trailer_offset(),
        shape.trailer_len() as u64,
    )
    .map_err(|e| format!("trailer: {e}"))?;
    let trailer = decode_trailer(&trailer, shape, salt, header).ok_or("trailer does not fit")?;
    if trailer.chunk != entry.chunk || trailer.sequence != entry.sequence {
        return Err("trailer is another record's".to_owned());
    }
    Ok(trailer)
}

/// Gives every cell of a record to `visit`, in order, a window at a time.
pub(crate) fn each_cell(
    file: &dyn DiskFile,
    salt: Salt,
    entry: &Entry,
    mut visit: impl FnMut(u64, StoredCell) -> Result<(), ShardError>,
) -> Result<Result<(), String>, ShardError> {
    let shape = &entry.shape;
    let stride = u64::from(shape.coding.cell()) + cell::CHECK_LEN as u64;
    let per_window = (SCAN_WINDOW as u64 / stride).max(1);
    let mut number = 0;
    while number < shape.cells() {
        let last = (number + per_window).min(shape.cells());
        let from = shape.cell_offset(number);
        let to = if last == shape.cells() {
            shape.trailer_offset()
        } else {
            shape.cell_offset(last)
        };
        let span = match span::read(file, entry.place.offset() + from, to - from) {
            Ok(span) => span,
            Err(error) => return Ok(Err(format!("cells from {number}: {error}"))),
        };
        for cell in number..last {
            let Some(stored) = stored_cell(&span, from, shape, salt, cell) else {
                return Ok(Err(format!("cell {cell} is cut short")));
            };
            visit(cell, stored)?;
        }
        number = last;
    }
    Ok(Ok(()))
}

/// Checks header, trailer and every cell.
pub(crate) fn record(file: &dyn DiskFile, salt: Salt, entry: &Entry) -> Verdict {
    let trailer = match read_ends(file, salt, entry) {
        Ok(trailer) => trailer,
        Err(problem) => return Verdict::broken(problem),
    };
    let shape = &entry.shape;
    let mut crc = Crc32c::new();
    let mut verdict = Verdict {
        readable: true,
        ..Verdict::default()
    };
    let walked = each_cell(file, salt, entry, |number, stored| {
        let key = cell::key(salt, shape.incarnation, shape.shard, number);
        crc.update(&(stored.plain ^ key).to_be_bytes());
        if !stored.fits {
            verdict.bad_cells += 1;
            verdict
                .problem
                .get_or_insert_with(|| format!("cell {number} fails its checksum"));
        }
        Ok(())
    });
    if let Ok(Err(problem)) = walked {
        return Verdict::broken(problem);
    }
    if crc.value() != trailer.cells_crc {
        verdict
            .problem
            .get_or_insert_with(|| "cell checksums differ from the trailer's".to_owned());
    }
    verdict
}

impl Volume {
    /// Checks a record; `None` where it no longer is the shard's live one.
    pub(crate) fn verify(&self, entry: &Entry) -> Result<Option<Verdict>, ShardError> {
        let salt = self
            .ledger()
            .segments
            .get(&entry.place.segment)
            .map(|segment| segment.salt);
        let verdict = match (salt, self.files.get(entry.place.segment)) {
            (Some(salt), Ok(file)) => record(file.as_ref(), salt, entry),
            (None, _) => Verdict::broken("segment is gone"),
            (_, Err(error)) => Verdict::broken(format!("segment: {error}")),
        };
        if verdict.is_sound() {
            return Ok(Some(verdict));
        }
        if !self.is_live(entry)? {
            return Ok(None);
        }
        let reason = verdict.problem.clone().unwrap_or_default();
        self.report(entry, reason);
        Ok(Some(verdict))
    }

    /// Whether the index still names exactly this record.
    pub(crate) fn is_live(&self, entry: &Entry) -> Result<bool, ShardError> {
        let now = self.locate(entry.shape.incarnation, entry.shape.shard)?;
        Ok(now.as_ref() == Some(entry))
    }

    /// Where the live record is.
    pub(crate) fn locate(
        &self,
        incarnation: Incarnation,
        shard: u8,
    ) -> Result<Option<Entry>, ShardError> {
        self.index
            .locate(incarnation, shard)
            .map_err(|error| self.index_failed(&error))
    }

    /// Notes a damaged shard for the repair planner.
    pub(crate) fn report(&self, entry: &Entry, reason: String) {
        tracing::warn!(
            disk = %self.id(), incarnation = %entry.shape.incarnation, shard = entry.shape.shard,
            segment = entry.place.segment, unit = entry.place.unit, reason, "shard is damaged"
        );
        self.damage.add(Damage {
            incarnation: entry.shape.incarnation,
            shard: entry.shape.shard,
            chunk: entry.chunk,
            reason,
        });
    }
}
