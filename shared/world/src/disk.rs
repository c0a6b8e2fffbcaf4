//! One data directory as its user sees it: named files, positioned reads and writes, and an honest
//! `sync`. All calls block; callers own their threads.
//!
//! What a crash leaves (the simulation does exactly this, the real world at least this):
//! * bytes written and not covered by a later successful [`DiskFile::sync`] of that file may be
//!   there, be missing, or be torn at sector borders, in any combination;
//! * a file made, removed or renamed is durable only after [`Disk::sync_dir`] of its directory;
//!   file bytes need their own `sync`, and allocation and length are covered by it too;
//! * a failed `sync` says nothing about any byte since the last good one and must never be retried.

use std::io;
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist.
    Existing,
    /// It must not exist.
    CreateNew,
}

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Through the page cache; any offset and length.
    Buffered,
    /// Past the page cache where the directory allows it ([`Capabilities::direct`]); offsets,
    /// lengths and buffer addresses must be multiples of [`Capabilities::alignment`]. A directory
    /// without it serves such a file buffered, under the same rules.
    Direct,
}

/// What the file system under a directory was seen to do when it was opened (probed, not assumed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `O_DIRECT` reads and writes work.
    pub direct: bool,
    /// `fallocate` works.
    pub allocate: bool,
    /// Holes can be punched.
    pub punch: bool,
    /// Alignment that [`Access::Direct`] asks for, in bytes.
    pub alignment: u32,
}

/// Bytes of the file system under a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// In all.
    pub total: u64,
    /// Free to us.
    pub free: u64,
}

/// A data directory. Names are relative, `/`-separated, without `.` or `..` parts.
pub trait Disk: Send + Sync + std::fmt::Debug + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, and what the file system says.
    fn open(&self, name: &str, mode: OpenMode, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Names of the files (not directories) in directory `dir` (`""` is the root), sorted.
    ///
    /// # Errors
    /// `NotFound` where there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Makes a directory and its parents; fine where it exists.
    ///
    /// # Errors
    /// What the file system says.
    fn create_dir(&self, dir: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, and what the file system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames a file, replacing the target.
    ///
    /// # Errors
    /// `NotFound`, and what the file system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the entries of `dir` durable.
    ///
    /// # Errors
    /// What the file system says; terminal for the caller.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Space left.
    ///
    /// # Errors
    /// What the file system says.
    fn space(&self) -> io::Result<Space>;

    /// What this directory can do.
    fn capabilities(&self) -> Capabilities;

    /// Takes the exclusive advisory lock `name` until the guard is dropped or the process ends.
    ///
    /// # Errors
    /// `WouldBlock` where somebody holds it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn DiskLock>>;

    /// The real path of `name`, for engines that do their own IO (fjall); `None` in simulation.
    fn path(&self, name: &str) -> Option<std::path::PathBuf>;
}

/// A held lock.
pub trait DiskLock: Send + Sync + std::fmt::Debug {}

/// An open file.
pub trait DiskFile: Send + Sync + std::fmt::Debug {
    /// Fills `buf` from `offset`; fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// What the file system says; EIO means these bytes are lost here.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file where needed. Not durable.
    ///
    /// # Errors
    /// `StorageFull`, and what the file system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes every completed write and the length durable (fdatasync).
    ///
    /// # Errors
    /// Terminal: never retried, see the module.
    fn sync(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// What the file system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros).
    ///
    /// # Errors
    /// What the file system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves blocks for the range, growing the file; reads give zeros until written. Where
    /// `fallocate` does not work, zeros are written.
    ///
    /// # Errors
    /// `StorageFull`, and what the file system says.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Gives the blocks of the range back; it reads as zeros.
    ///
    /// # Errors
    /// `Unsupported` where [`Capabilities::punch`] is false.
    fn punch(&self, offset: u64, len: u64) -> io::Result<()>;
}

#[cfg(test)]
mod tests;
