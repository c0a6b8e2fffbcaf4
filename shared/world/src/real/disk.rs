//! A directory of the real file system.
//!
//! Opening probes what the file system under the directory does; a wrong guess later is caught by
//! falling back (buffered writes, zeros instead of reservation), never by pretending.
//!
//! Directories are durable when [`Disk::create_dir`] returns; files follow the rules of
//! [`crate::disk`].

mod file;
mod probe;

use crate::disk::{Access, Capabilities, Disk, DiskFile, DiskLock, OpenMode, Space};
use crate::name;
use file::RealFile;
use rustix::fs::{FlockOperation, OFlags};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files are the owner's alone.
const FILE_MODE: u32 = 0o600;
/// Directories are the owner's alone.
const DIR_MODE: u32 = 0o700;

/// A directory of the real file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    capabilities: Capabilities,
}

impl RealDisk {
    /// Opens an existing directory and probes it. A missing one is not made: it may be a file
    /// system that is not mounted.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `ReadOnlyFilesystem` and what else the probe meets. A full
    /// file system opens.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let root = path.into();
        if !fs::metadata(&root)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let capabilities = probe::probe(&root)?;
        Ok(Self { root, capabilities })
    }

    fn file_path(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.root.join(name::file(name)?))
    }

    fn dir_path(&self, dir: &str) -> io::Result<PathBuf> {
        Ok(if name::directory(dir)?.is_empty() {
            self.root.clone()
        } else {
            self.root.join(dir)
        })
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, mode: OpenMode, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.file_path(name)?;
        let buffered = open_buffered(&path, mode)?;
        // Made first without O_DIRECT: a file system that refuses the flag may leave the file.
        let direct = (access == Access::Direct && self.capabilities.direct)
            .then(|| open_direct(&path))
            .transpose()?
            .flatten();
        Ok(Arc::new(RealFile::new(
            buffered,
            direct,
            access,
            self.capabilities,
        )))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.dir_path(dir)?)? {
            let entry = entry?;
            // A name that is not UTF-8 cannot be one of ours.
            if let (false, Ok(name)) =
                (entry.file_type()?.is_dir(), entry.file_name().into_string())
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut path = self.root.clone();
        for part in name::directory(dir)?
            .split('/')
            .filter(|part| !part.is_empty())
        {
            let parent = path.clone();
            path.push(part);
            match DirBuilder::new().mode(DIR_MODE).create(&path) {
                // Somebody else may have made it and not yet synced it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                made => made?,
            }
            sync_directory(&parent)?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.file_path(name)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.file_path(from)?, self.file_path(to)?);
        if fs::symlink_metadata(&from)?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        sync_directory(&self.dir_path(dir)?)
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn DiskLock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.file_path(name)?)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealLock { _file: file }))
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.dir_path(name).ok()
    }
}

/// The lock lives as long as the open file.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl DiskLock for RealLock {}

fn open_buffered(path: &Path, mode: OpenMode) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(mode == OpenMode::CreateNew)
        .mode(FILE_MODE)
        .open(path)
}

/// The file past the page cache; `None` where this file system refuses.
fn open_direct(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::DIRECT.bits().cast_signed();
    match OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
    {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(error),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
