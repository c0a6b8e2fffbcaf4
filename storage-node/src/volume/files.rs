//! Segment files: their names, and a bounded number of open handles.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use cairn_world::{Access, Disk, DiskFile, OpenMode, buggify};

use crate::tuning::{FILES_OPEN, UNIT};

/// The directory of the segments.
pub(crate) const DIR: &str = "segments";

/// A segment's file.
pub(crate) fn name(number: u64) -> String {
    format!("{DIR}/{number:016x}.seg")
}

/// The inverse, for a name within [`DIR`].
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let plain = digits.len() == 16
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    plain
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Open handles, the least recently used closed first.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    access: Access,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    tick: u64,
    files: BTreeMap<u64, (u64, Arc<dyn DiskFile>)>,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        let capabilities = disk.capabilities();
        let fits = capabilities.direct
            && usize::try_from(capabilities.alignment)
                .is_ok_and(|alignment| alignment > 0 && UNIT.is_multiple_of(alignment));
        Self {
            disk,
            access: if fits {
                Access::Direct
            } else {
                Access::Buffered
            },
            open: Mutex::default(),
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a segment.
    pub(crate) fn get(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open();
        open.tick += 1;
        let tick = open.tick;
        if buggify("segment-file-reopened") {
            open.files.remove(&number);
        }
        if let Some((used, file)) = open.files.get_mut(&number) {
            *used = tick;
            return Ok(Arc::clone(file));
        }
        drop(open);
        let file = self
            .disk
            .open(&name(number), OpenMode::Existing, self.access)?;
        self.keep(number, &file);
        Ok(file)
    }

    /// Makes the file of a new segment.
    pub(crate) fn create(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self
            .disk
            .open(&name(number), OpenMode::CreateNew, self.access)?;
        self.keep(number, &file);
        Ok(file)
    }

    fn keep(&self, number: u64, file: &Arc<dyn DiskFile>) {
        let mut open = self.open();
        open.tick += 1;
        let tick = open.tick;
        open.files.insert(number, (tick, Arc::clone(file)));
        if open.files.len() > FILES_OPEN {
            let oldest = open.files.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(number, _)| *number) {
                open.files.remove(&oldest);
            }
        }
    }

    /// Closes and removes a segment's file; durable after a sync of [`DIR`].
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        self.open().files.remove(&number);
        self.disk.remove(&name(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_world::sim::SimDisk;

    #[test]
    fn names_and_numbers_match_and_strangers_are_left_alone() {
        assert_eq!(number("00000000000000ff.seg"), Some(255));
        assert_eq!(name(255), "segments/00000000000000ff.seg");
        for stranger in [
            "ff.seg",
            "00000000000000FF.seg",
            "00000000000000ff.tmp",
            "+0000000000000ff.seg",
        ] {
            assert_eq!(number(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn handles_are_bounded_and_come_back() {
        let disk = SimDisk::new(1);
        disk.create_dir(DIR).unwrap();
        let files = Files::new(Arc::new(disk));
        for number in 0..FILES_OPEN as u64 + 9 {
            files.create(number).unwrap();
        }
        assert_eq!(files.open().files.len(), FILES_OPEN);
        assert!(files.get(0).is_ok());
        files.remove(0).unwrap();
        assert_eq!(files.get(0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
