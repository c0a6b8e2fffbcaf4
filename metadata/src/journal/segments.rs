//! The segment files: made, zeroed, taken into use, given back.

use cairn_world::{Access, AlignedBuf, Disk, DiskFile, OpenMode};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::settings::SWEEP_LEN;
use super::{JournalError, JournalSettings};

/// One segment file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) len: u64,
    /// Newest lap written to it; 0 for none.
    pub(super) lap: u64,
}

/// All segment files of a journal.
#[derive(Debug)]
pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    dir: String,
    segment_len: u64,
    at_rest: u32,
    files: BTreeMap<u32, Segment>,
}

const PREFIX: &str = "segment-";

impl Segments {
    /// Opens whatever segment files there are, once their names are durable: a process that was killed
    /// while it grew the journal may have left one whose name is not.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        settings: &JournalSettings,
    ) -> Result<Self, JournalError> {
        let mut segments = Self {
            disk,
            dir: settings.dir.clone(),
            segment_len: settings.segment_len,
            at_rest: settings.segments,
            files: BTreeMap::new(),
        };
        let list = || {
            segments.disk.sync_dir(&segments.dir)?;
            segments.disk.list(&segments.dir)
        };
        let names = list().map_err(|error| JournalError::failed("list the journal", &error))?;
        for number in names.iter().filter_map(|name| parse(name)) {
            let name = segments.name(number);
            let opened = segments
                .disk
                .open(&name, OpenMode::Existing, Access::Direct);
            let file = opened.map_err(|error| JournalError::failed(&name, &error))?;
            let len = file
                .len()
                .map_err(|error| JournalError::failed(&name, &error))?;
            segments.files.insert(number, Segment { file, len, lap: 0 });
        }
        Ok(segments)
    }

    /// File name of a segment within the disk.
    pub(super) fn name(&self, number: u32) -> String {
        format!("{}/{PREFIX}{number:06}", self.dir)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Segment)> {
        self.files
            .iter()
            .map(|(number, segment)| (*number, segment))
    }

    pub(super) fn get(&self, number: u32) -> Option<&Segment> {
        self.files.get(&number)
    }

    pub(super) fn set_lap(&mut self, number: u32, lap: u64) {
        if let Some(segment) = self.files.get_mut(&number) {
            segment.lap = lap;
        }
    }

    /// Newest lap of any file.
    pub(super) fn newest_lap(&self) -> u64 {
        self.files
            .values()
            .map(|segment| segment.lap)
            .max()
            .unwrap_or(0)
    }

    /// Segments with a lap at or above `oldest`.
    pub(super) fn live(&self, oldest: u64) -> usize {
        self.files
            .values()
            .filter(|segment| segment.lap >= oldest)
            .count()
    }

    /// A file whose lap is below `oldest`, to be used next.
    pub(super) fn free(&self, oldest: u64) -> Option<u32> {
        let whole = |segment: &Segment| segment.lap < oldest && segment.len == self.segment_len;
        self.files
            .iter()
            .find(|(_, segment)| whole(segment))
            .map(|(number, _)| *number)
    }

    /// Makes one more file of zeros; durable when it returns.
    pub(super) fn grow(&mut self) -> io::Result<u32> {
        let mut number = 1;
        while self.files.contains_key(&number) {
            number += 1;
        }
        let name = self.name(number);
        let file = self.disk.open(&name, OpenMode::CreateNew, Access::Direct)?;
        let durable =
            zero(file.as_ref(), self.segment_len).and_then(|()| self.disk.sync_dir(&self.dir));
        if let Err(error) = durable {
            // A file half made must not stay: space may be what is short. Nor must a name whose sync
            // failed: no later sync proves it, and the next start would build on it.
            drop(file);
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        self.files.insert(
            number,
            Segment {
                file,
                len: self.segment_len,
                lap: 0,
            },
        );
        Ok(number)
    }

    /// Makes files up to the number kept at rest.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        while self.files.len() < self.at_rest as usize {
            self.grow()?;
        }
        Ok(())
    }

    /// Removes files that are free and too many, or of another length than new ones have.
    pub(super) fn shrink(&mut self, oldest: u64) -> io::Result<bool> {
        let mut spare = self.files.len().saturating_sub(self.at_rest as usize);
        let mut doomed = Vec::new();
        for (number, segment) in self.files.iter().rev() {
            if segment.lap >= oldest {
                continue;
            }
            if segment.len != self.segment_len {
                doomed.push(*number);
            } else if spare > 0 {
                doomed.push(*number);
                spare -= 1;
            }
        }
        for number in &doomed {
            self.files.remove(number);
            self.disk.remove(&self.name(*number))?;
        }
        if !doomed.is_empty() {
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(!doomed.is_empty())
    }

    /// Removes every file: only ever of a journal that was never finished.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        while let Some((number, _)) = self.files.pop_first() {
            self.disk.remove(&self.name(number))?;
        }
        self.disk.sync_dir(&self.dir)
    }
}

fn parse(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(PREFIX)?;
    if digits.len() < 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number > 0)
}

fn zero(file: &dyn DiskFile, len: u64) -> io::Result<()> {
    file.allocate(0, len)?;
    // Real zeros: a write into an allocated but unwritten extent costs a metadata update each.
    let mut offset = 0;
    let zeros = AlignedBuf::zeroed(SWEEP_LEN.min(usize::try_from(len).unwrap_or(SWEEP_LEN)));
    while offset < len {
        let left = usize::try_from(len - offset).unwrap_or(usize::MAX);
        let piece = zeros
            .as_slice()
            .get(..left.min(zeros.len()))
            .unwrap_or_default();
        file.write_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    file.sync()
}
