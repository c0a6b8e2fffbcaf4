//! An open file of the real file system.

use crate::aligned::AlignedBuf;
use crate::alignment;
use crate::disk::{Access, Capabilities, DiskFile};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLock};

/// Zeros written at once where nothing can be reserved.
const ZEROS_LEN: usize = 1 << 20;

/// An open file.
#[derive(Debug)]
pub(super) struct RealFile {
    file: File,
    access: Access,
    /// Whether `file` itself was opened with `O_DIRECT`.
    past_cache: bool,
    capabilities: Capabilities,
    /// Shared by writes and cuts, exclusive while zeros are written in place of a reservation:
    /// they must not land on a byte written meanwhile.
    growth: RwLock<()>,
}

impl RealFile {
    /// Serves `direct` where there is one, `buffered` otherwise, under the rules of `access`.
    pub(super) fn new(
        buffered: File,
        direct: Option<File>,
        access: Access,
        capabilities: Capabilities,
    ) -> Self {
        let past_cache = direct.is_some();
        let file = direct.unwrap_or(buffered);
        Self {
            file,
            access,
            past_cache,
            capabilities,
            growth: RwLock::new(()),
        }
    }

    fn check(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.access {
            Access::Buffered => Ok(()),
            Access::Direct => alignment::check(self.capabilities.alignment, offset, bytes),
        }
    }

    fn unit(&self) -> u64 {
        u64::from(self.capabilities.alignment.max(1))
    }

    /// Writes zeros from the end of the file to `end`; bytes already there stay.
    fn fill_with_zeros(&self, end: u64) -> io::Result<()> {
        let _alone = self.growth.write().unwrap_or_else(PoisonError::into_inner);
        let len = self.file.metadata()?.len();
        if end <= len {
            return Ok(());
        }
        // Direct writes start and stop at whole units; what is left over becomes a short hole.
        let unit = if self.past_cache { self.unit() } else { 1 };
        let mut at = len.next_multiple_of(unit);
        let stop = end - end % unit;
        let zeros = AlignedBuf::zeroed(ZEROS_LEN);
        while at < stop {
            let step = (stop - at).min(ZEROS_LEN as u64);
            let piece = zeros
                .as_slice()
                .get(..usize::try_from(step).unwrap_or(ZEROS_LEN));
            self.file
                .write_all_at(piece.unwrap_or_default(), at)
                .map_err(full)?;
            at += step;
        }
        self.file.set_len(end).map_err(full)
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check(offset, buf)?;
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(got) => {
                    filled += got;
                    // Past the cache a broken unit is the end of the file; going on would be
                    // refused as unaligned.
                    if self.past_cache && !(got as u64).is_multiple_of(self.unit()) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(offset, bytes)?;
        let _beside_others = self.growth.read().unwrap_or_else(PoisonError::into_inner);
        self.file.write_all_at(bytes, offset).map_err(full)
    }

    fn sync(&self) -> io::Result<()> {
        // Once, whatever it says: an interrupted or failed call must not be repeated.
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let _beside_others = self.growth.read().unwrap_or_else(PoisonError::into_inner);
        self.file.set_len(len).map_err(full)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let end = offset.checked_add(len).ok_or(io::ErrorKind::FileTooLarge)?;
        if self.capabilities.allocate {
            loop {
                match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), offset, len) {
                    Ok(()) => return Ok(()),
                    Err(Errno::INTR) => {}
                    Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
                    Err(error) => return Err(full(error.into())),
                }
            }
        }
        self.fill_with_zeros(end)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        if !self.capabilities.punch {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if len == 0 {
            return Ok(());
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        loop {
            match rustix::fs::fallocate(&self.file, hole, offset, len) {
                Err(Errno::INTR) => {}
                done => return Ok(done?),
            }
        }
    }
}

/// An exhausted quota is a full disk to our callers.
fn full(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::QuotaExceeded => io::ErrorKind::StorageFull.into(),
        _ => error,
    }
}
