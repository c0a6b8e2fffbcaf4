//! Everything a simulated disk is, behind its one lock.

use super::super::entropy::SeededRng;
use super::super::faults::{FaultOn, Faults};
use super::content::{Content, PAGE, SECTOR};
use super::tree::{FileNumber, Tree};
use crate::disk::Capabilities;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

/// The largest offset of a file, as Linux has it.
const FILE_LEN_MAX: u64 = i64::MAX as u64;

/// A file and how often it is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) content: Content,
    pub(super) opens: u32,
}

/// A simulated disk.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) inodes: BTreeMap<FileNumber, Inode>,
    pub(super) capabilities: Capabilities,
    pub(super) capacity: u64,
    pub(super) faults: Faults,
    pub(super) locks: BTreeSet<String>,
    pub(super) operations: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) off: bool,
    pub(super) ignores_syncs: bool,
    next_file: FileNumber,
    used_pages: u64,
    rng: SeededRng,
}

/// Whether the power fails at the end of this operation.
#[must_use]
#[derive(Clone, Copy)]
pub(super) struct Power(bool);

impl Power {
    pub(super) fn then<T>(self, value: T) -> io::Result<T> {
        if self.0 {
            Err(powered_off())
        } else {
            Ok(value)
        }
    }
}

pub(super) fn powered_off() -> io::Error {
    io::Error::other("powered off")
}

impl State {
    pub(super) fn new(seed: u64, capacity: u64, capabilities: Capabilities) -> Self {
        Self {
            tree: Tree::default(),
            inodes: BTreeMap::new(),
            capabilities,
            capacity,
            faults: Faults::default(),
            locks: BTreeSet::new(),
            operations: 0,
            crash_at: None,
            off: false,
            ignores_syncs: false,
            next_file: 1,
            used_pages: 0,
            rng: SeededRng::new(seed),
        }
    }

    /// Begins a call that changes nothing.
    pub(super) fn look(&self) -> io::Result<()> {
        if self.off { Err(powered_off()) } else { Ok(()) }
    }

    /// Begins a call that changes something, and counts it.
    pub(super) fn act(&mut self) -> io::Result<Power> {
        self.look()?;
        self.operations += 1;
        self.off = self.crash_at.is_some_and(|last| self.operations >= last);
        Ok(Power(self.off))
    }

    pub(super) fn used(&self) -> u64 {
        self.used_pages * PAGE
    }

    fn free_pages(&self) -> u64 {
        (self.capacity / PAGE).saturating_sub(self.used_pages)
    }

    pub(super) fn create(&mut self, name: &str) -> FileNumber {
        let file = self.next_file;
        self.next_file += 1;
        self.inodes.insert(file, Inode::default());
        self.tree.set(name, Some(file));
        file
    }

    pub(super) fn content(&self, file: FileNumber) -> io::Result<&Content> {
        let inode = self.inodes.get(&file).ok_or(io::ErrorKind::NotFound)?;
        Ok(&inode.content)
    }

    /// Changes a file's content, keeping count of the space.
    pub(super) fn change<T>(
        &mut self,
        file: FileNumber,
        change: impl FnOnce(&mut Content) -> T,
    ) -> io::Result<T> {
        let inode = self.inodes.get_mut(&file).ok_or(io::ErrorKind::NotFound)?;
        let before = inode.content.blocks().count();
        let result = change(&mut inode.content);
        let after = inode.content.blocks().count();
        self.used_pages = (self.used_pages + after).saturating_sub(before);
        Ok(result)
    }

    /// Writes as much of `bytes` as there is space for, from the front.
    pub(super) fn write(&mut self, file: FileNumber, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = check_range(offset, bytes.len() as u64)?;
        let fits = (self.fitting(file, offset..end)? - offset) as usize;
        let piece = bytes.get(..fits).unwrap_or(bytes);
        self.change(file, |content| content.write(piece, offset))?;
        if piece.len() == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    /// The end of the part of `range` that can be written.
    fn fitting(&self, file: FileNumber, range: Range<u64>) -> io::Result<u64> {
        let blocks = self.content(file)?.blocks();
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        let mut free = self.free_pages();
        if pages.end - pages.start - blocks.held(&pages) <= free {
            return Ok(range.end);
        }
        for page in pages {
            let needed = 1 - blocks.held(&(page..page + 1));
            if needed > free {
                return Ok((page * PAGE).max(range.start));
            }
            free -= needed;
        }
        Ok(range.end)
    }

    /// A write that failed: some of its sectors arrived, in any combination.
    pub(super) fn write_some(&mut self, file: FileNumber, bytes: &[u8], offset: u64) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let until_border = (SECTOR - at % SECTOR) as usize;
            let (piece, after) = rest.split_at(until_border.min(rest.len()));
            if self.rng.chance(1, 2) {
                // No space for a piece is one more that did not arrive.
                drop(self.write(file, piece, at));
            }
            (rest, at) = (after, at + piece.len() as u64);
        }
    }

    pub(super) fn allocate(&mut self, file: FileNumber, offset: u64, len: u64) -> io::Result<()> {
        let end = check_range(offset, len)?;
        let pages = offset / PAGE..end.div_ceil(PAGE);
        let held = self.content(file)?.blocks().held(&pages);
        if pages.end - pages.start - held > self.free_pages() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.change(file, |content| content.allocate(offset..end))
    }

    pub(super) fn sync(&mut self, file: FileNumber, name: &str, power: Power) -> io::Result<()> {
        if power.0 {
            return power.then(());
        }
        let failed = self.faults.meet(FaultOn::Sync, name, 0..u64::MAX);
        let ignored = self.ignores_syncs;
        self.change(file, |content| match (&failed, ignored) {
            (Err(_), _) => content.fail_sync(),
            (Ok(()), true) => {}
            (Ok(()), false) => content.sync(),
        })?;
        failed
    }

    pub(super) fn sync_dir(&mut self, dir: &str, power: Power) -> io::Result<()> {
        if power.0 {
            return power.then(());
        }
        let failed = self.faults.meet(FaultOn::SyncDir, dir, 0..u64::MAX);
        match (&failed, self.ignores_syncs) {
            (Err(_), _) => self.tree.fail_sync(dir),
            (Ok(()), true) => {}
            (Ok(()), false) => self.tree.sync(dir),
        }
        self.collect();
        failed
    }

    /// Forgets files nobody can reach any more, and counts the space of the others.
    pub(super) fn collect(&mut self) {
        let (visible, possible) = (self.tree.visible(), self.tree.possible());
        self.inodes
            .retain(|file, inode| inode.opens > 0 || possible.contains(file));
        let held = self
            .inodes
            .iter()
            .filter(|(file, inode)| inode.opens > 0 || visible.contains(file));
        self.used_pages = held.map(|(_, inode)| inode.content.blocks().count()).sum();
    }

    pub(super) fn close(&mut self, file: FileNumber) {
        let Some(inode) = self.inodes.get_mut(&file) else {
            return;
        };
        inode.opens = inode.opens.saturating_sub(1);
        if inode.opens == 0 && !self.tree.visible().contains(&file) {
            self.collect();
        }
    }

    /// The disk as the next boot finds it after the power failed now.
    pub(super) fn after_crash(&self, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let tree = self.tree.after_crash(&mut rng);
        let survivors = tree.possible();
        let kept = self
            .inodes
            .iter()
            .filter(|(file, _)| survivors.contains(file));
        let inodes = kept
            .map(|(file, inode)| {
                (
                    *file,
                    Inode {
                        content: inode.content.after_crash(&mut rng),
                        opens: 0,
                    },
                )
            })
            .collect();
        let mut next = Self {
            tree,
            inodes,
            rng,
            ..self.rebooted()
        };
        next.collect();
        next
    }

    /// The disk as the next process finds it after this one was killed: nothing is lost, nothing
    /// more is durable.
    pub(super) fn after_kill(&self) -> Self {
        let mut next = self.rebooted();
        next.inodes.values_mut().for_each(|inode| inode.opens = 0);
        next.collect();
        next
    }

    fn rebooted(&self) -> Self {
        Self {
            locks: BTreeSet::new(),
            operations: 0,
            crash_at: None,
            off: false,
            ..self.clone()
        }
    }
}

/// The end of a range that a file can have.
pub(super) fn check_range(offset: u64, len: u64) -> io::Result<u64> {
    let end = offset.checked_add(len).filter(|end| *end <= FILE_LEN_MAX);
    end.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
