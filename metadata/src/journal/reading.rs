//! Reading entries: from memory, or from disk, verified.

use bytes::Bytes;
use cairn_world::{AlignedBuf, DiskFile};
use std::ops::Range;

use super::driver::lock;
use super::format::{self, BLOCK};
use super::index::{Found, Location};
use super::log::Journal;
use super::settings::READ_AHEAD;
use super::{JournalError, LogEntry};

impl Journal {
    /// Entries of `range` that are held, in order, until `max_bytes` of payload are exceeded; at
    /// least one where there is one.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] where bytes on disk have changed; after a failure, that.
    pub fn entries(
        &self,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, JournalError> {
        let mut window = Window::default();
        loop {
            let found = self.find(range.clone(), max_bytes)?;
            let mut entries = Vec::with_capacity(found.len());
            for found in found {
                match found {
                    Found::Ready(entry) => entries.push(entry),
                    Found::OnDisk(position, serial, location) => {
                        match self.load(&mut window, location) {
                            Ok(payload) => entries.push(LogEntry { position, payload }),
                            Err(error) if self.holds(position.index, serial) => return Err(error),
                            // Purged, and its place used again, while we read.
                            Err(_) => break,
                        }
                    }
                }
            }
            if !entries.is_empty() || self.find(range.clone(), 0)?.is_empty() {
                return Ok(entries);
            }
            window = Window::default();
        }
    }

    fn find(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Found>, JournalError> {
        let front = self.usable()?;
        let mut found = Vec::new();
        let mut bytes = 0;
        let first = front.index.first_index().unwrap_or(range.end);
        for index in range.start.max(first)..range.end {
            let Some(next) = front.index.find(index) else {
                break;
            };
            bytes += match &next {
                Found::Ready(entry) => entry.payload.len(),
                Found::OnDisk(_, _, location) => location.len as usize,
            };
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push(next);
        }
        Ok(found)
    }

    fn holds(&self, index: u64, serial: u64) -> bool {
        lock(&self.shared.front).index.holds(index, serial)
    }

    fn load(&self, window: &mut Window, location: Location) -> Result<Bytes, JournalError> {
        let handle = lock(&self.shared.front).files.get(&location.file).cloned();
        let damaged = |reason: String| JournalError::Damaged {
            file: format!("{}/segment-{:06}", self.shared.settings.dir, location.file),
            from: location.offset,
            to: location.offset + u64::from(location.len),
            reason,
        };
        let Some(handle) = handle else {
            return Err(damaged("its file is gone".to_owned()));
        };
        let payload = window
            .read(handle.as_ref(), location)
            .map_err(|error| damaged(error.to_string()))?;
        match payload {
            Some(payload) if format::entry_sum(&payload) == location.sum => Ok(payload),
            _ => Err(damaged("an entry's bytes have changed".to_owned())),
        }
    }
}

/// Bytes read ahead while old entries are wanted one after another.
#[derive(Default)]
struct Window {
    file: u32,
    from: u64,
    bytes: Bytes,
}

impl Window {
    fn read(&mut self, file: &dyn DiskFile, location: Location) -> std::io::Result<Option<Bytes>> {
        if let Some(found) = self.slice(location) {
            return Ok(Some(found));
        }
        let from = location.offset - location.offset % BLOCK as u64;
        let needed = (location.offset - from) as usize + location.len as usize;
        let mut buf = AlignedBuf::zeroed(needed.max(READ_AHEAD));
        let read = file.read_at(buf.as_mut_slice(), from)?;
        let bytes = Bytes::from_owner(buf).slice(..read);
        *self = Self {
            file: location.file,
            from,
            bytes,
        };
        Ok(self.slice(location))
    }

    fn slice(&self, location: Location) -> Option<Bytes> {
        let start = usize::try_from(location.offset.checked_sub(self.from)?).ok()?;
        let end = start.checked_add(location.len as usize)?;
        (self.file == location.file && end <= self.bytes.len())
            .then(|| self.bytes.slice(start..end))
    }
}
