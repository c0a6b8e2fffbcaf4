//! A disk in memory that forgets, tears, fills up, fails and rots as told.
//!
//! It does what [`crate::disk`] says a crash does, and no kinder: of what was not synced, any
//! subset of 512-byte sectors survives, in any version written since; names that were not synced
//! are kept or dropped one by one, so that an unsynced rename may leave either name, both or none
//! (the file system of our test machines has no journal). Directories are durable once made.
//! A failed sync leaves what it should have covered in doubt for good.
//!
//! ```
//! use cairn_world::sim::SimDisk;
//! use cairn_world::{Access, Disk, OpenMode};
//! # fn main() -> std::io::Result<()> {
//! let disk = SimDisk::new(1);
//! let log = disk.open("log", OpenMode::CreateNew, Access::Buffered)?;
//! log.write_at(b"kept", 0)?;
//! log.sync()?;
//! disk.sync_dir("")?;
//! log.write_at(b"perhaps", 4)?;
//! disk.crash_at(disk.operations() + 1);
//! assert!(log.sync().is_err(), "the power failed");
//! let next_boot = disk.after_crash(42);
//! assert!(next_boot.peek("log", 0, 4)? == b"kept");
//! # Ok(())
//! # }
//! ```

mod blocks;
mod content;
mod file;
mod mood;
mod state;
mod tree;

use super::faults::Fault;
use crate::disk::{Access, Capabilities, Disk, DiskFile, DiskLock, OpenMode, Space};
use crate::name;
use file::SimFile;
use state::{State, check_range};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a new disk: 1 TiB.
const CAPACITY: u64 = 1 << 40;

/// What a new disk can do.
const CAPABILITIES: Capabilities = Capabilities {
    direct: true,
    allocate: true,
    punch: true,
    alignment: 4_096,
};

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimDisk({} operations)", self.operations())
    }
}

impl SimDisk {
    /// An empty disk of 1 TiB that can do everything.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_capabilities(seed, CAPABILITIES)
    }

    /// An empty disk of 1 TiB.
    #[must_use]
    pub fn with_capabilities(seed: u64, capabilities: Capabilities) -> Self {
        Self::of(State::new(seed, CAPACITY, capabilities))
    }

    fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls so far that change something: `open` with [`OpenMode::CreateNew`], `create_dir`,
    /// `remove`, `rename`, `sync_dir`, and on files `write_at`, `sync`, `set_len`, `allocate`,
    /// `punch`. A crash between two of them is the same as at the second.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The power fails during the `operation`-th changing call since boot, counted from 1: it may
    /// have any part of its effect, and it and every later call of any kind fail.
    pub fn crash_at(&self, operation: u64) {
        self.state().crash_at = Some(operation);
    }

    /// The power fails now: every later call fails.
    pub fn power_off(&self) {
        self.state().off = true;
    }

    /// The disk as the next boot would find it if the power failed now (or as it failed). Another
    /// seed, another outcome; this disk is not changed. Capacity, capabilities and faults stay;
    /// locks are gone, operations count from 0.
    #[must_use]
    pub fn after_crash(&self, seed: u64) -> Self {
        Self::of(self.state().after_crash(seed))
    }

    /// The disk as the next process finds it if this one is killed now: all writes are seen, none
    /// is more durable than before. This disk is not changed.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        Self::of(self.state().after_kill())
    }

    /// Plans an error.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Forgets all planned errors.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Sets the bytes there are in all; fewer than are used is full.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Makes syncs claim success and do nothing, as a lying device: for seeing that a crash test
    /// can fail.
    pub fn ignore_syncs(&self, ignore: bool) {
        self.state().ignores_syncs = ignore;
    }

    /// Flips one bit (0 is the lowest) of the stored byte at `offset`. Not an operation.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` past the end.
    pub fn flip(&self, name: &str, offset: u64, bit: u8) -> io::Result<()> {
        self.rot(name, offset, 1, |_, byte| byte ^ (1 << (bit % 8)))
    }

    /// Replaces stored bytes behind everybody's back, durably. Not an operation.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` past the end.
    pub fn poke(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        self.rot(name, offset, len, |index, byte| {
            bytes.get(index).copied().unwrap_or(byte)
        })
    }

    /// The bytes a reader would see, whatever faults or power.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` past the end.
    pub fn peek(&self, name: &str, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let state = self.state();
        let content = state.content(state.tree.find(name)?)?;
        let end = check_range(offset, len)?;
        if end > content.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut bytes = vec![0; len as usize];
        content.read(&mut bytes, offset);
        Ok(bytes)
    }

    fn rot(
        &self,
        name: &str,
        offset: u64,
        len: u64,
        change: impl Fn(usize, u8) -> u8,
    ) -> io::Result<()> {
        let mut state = self.state();
        let file = state.tree.find(name)?;
        if check_range(offset, len)? > state.content(file)?.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        state.change(file, |content| content.rot(offset, change, len))
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, mode: OpenMode, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let name = name::file(name)?;
        let mut state = self.state();
        state.look()?;
        let found = state.tree.find(name);
        let file = match (mode, found) {
            (OpenMode::Existing, found) => found?,
            (OpenMode::CreateNew, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                state.tree.check_dir(name::parent(name))?;
                let power = state.act()?;
                let file = state.create(name);
                power.then(file)?
            }
            (OpenMode::CreateNew, Err(error)) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(error);
            }
            (OpenMode::CreateNew, _) => return Err(io::ErrorKind::AlreadyExists.into()),
        };
        if let Some(inode) = state.inodes.get_mut(&file) {
            inode.opens += 1;
        }
        drop(state);
        let state = Arc::clone(&self.state);
        Ok(Arc::new(SimFile {
            state,
            file,
            name: name.to_owned(),
            access,
        }))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let dir = name::directory(dir)?;
        let state = self.state();
        state.look()?;
        state.tree.check_dir(dir)?;
        Ok(state.tree.list(dir))
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let dir = name::directory(dir)?;
        let mut state = self.state();
        let power = state.act()?;
        let made = state.tree.create_dir(dir);
        power.then(())?;
        made
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = name::file(name)?;
        let mut state = self.state();
        state.look()?;
        state.tree.find(name)?;
        let power = state.act()?;
        state.tree.set(name, None);
        state.collect();
        power.then(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (name::file(from)?, name::file(to)?);
        let mut state = self.state();
        state.look()?;
        let file = state.tree.find(from)?;
        match state.tree.find(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.tree.check_dir(name::parent(to))?;
            }
            target => {
                target?;
            }
        }
        let power = state.act()?;
        if from != to {
            state.tree.set(to, Some(file));
            state.tree.set(from, None);
            state.collect();
        }
        power.then(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let dir = name::directory(dir)?;
        let mut state = self.state();
        state.look()?;
        state.tree.check_dir(dir)?;
        let power = state.act()?;
        state.sync_dir(dir, power)
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state();
        state.look()?;
        Ok(Space {
            total: state.capacity,
            free: state.capacity.saturating_sub(state.used()),
        })
    }

    fn capabilities(&self) -> Capabilities {
        self.state().capabilities
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn DiskLock>> {
        let file = self.open_or_create(name)?;
        if !self.state().locks.insert(name.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock {
            disk: self.clone(),
            name: name.to_owned(),
            _file: file,
        }))
    }

    fn path(&self, _name: &str) -> Option<std::path::PathBuf> {
        None
    }
}

impl SimDisk {
    fn open_or_create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        match self.open(name, OpenMode::Existing, Access::Buffered) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.open(name, OpenMode::CreateNew, Access::Buffered)
            }
            opened => opened,
        }
    }
}

/// A held lock of a simulated disk.
#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    name: String,
    _file: Arc<dyn DiskFile>,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.name);
    }
}

#[cfg(test)]
mod tests;
