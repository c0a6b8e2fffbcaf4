//! What a directory's file system does, seen on a probe file that has lost its name.

use super::{open_buffered, open_direct};
use crate::aligned::AlignedBuf;
use crate::disk::{Capabilities, OpenMode};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What direct IO is aligned to here: the unit of records, and enough for every usual device.
const ALIGNMENT: u32 = 4_096;
/// Bytes written, read back, reserved and punched.
const PROBE_LEN: usize = 16 << 10;
/// Never a valid byte pattern of an empty or punched file.
const PATTERN: u8 = 0xA5;

/// Probes the directory `root`.
pub(super) fn probe(root: &Path) -> io::Result<Capabilities> {
    static PROBES: AtomicU64 = AtomicU64::new(0);
    let number = PROBES.fetch_add(1, Ordering::Relaxed);
    let path = root.join(format!(".cairn-probe-{}-{number}", std::process::id()));
    let plain = match open_buffered(&path, OpenMode::CreateNew) {
        Ok(file) => file,
        Err(error) if is_full(&error) => return Ok(unprobed()),
        Err(error) => return Err(error),
    };
    let direct = open_direct(&path);
    fs::remove_file(&path)?;
    let direct = match direct? {
        Some(file) => reads_what_it_wrote(&file)?,
        None => false,
    };
    Ok(Capabilities {
        direct,
        allocate: reserves(&plain)?,
        punch: punches(&plain)?,
        alignment: ALIGNMENT,
    })
}

/// A full file system cannot be probed; what it refuses later falls back then.
fn unprobed() -> Capabilities {
    Capabilities {
        direct: false,
        allocate: true,
        punch: true,
        alignment: ALIGNMENT,
    }
}

fn reads_what_it_wrote(file: &File) -> io::Result<bool> {
    let mut page = AlignedBuf::zeroed(PROBE_LEN);
    page.as_mut_slice().fill(PATTERN);
    let mut seen = AlignedBuf::zeroed(PROBE_LEN);
    let wrote = file.write_all_at(page.as_slice(), 0);
    match wrote.and_then(|()| file.read_exact_at(seen.as_mut_slice(), 0)) {
        Ok(()) => Ok(seen.as_slice() == page.as_slice()),
        Err(error) if is_full(&error) => Ok(true),
        Err(error) if refuses(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn reserves(file: &File) -> io::Result<bool> {
    let (offset, len) = (PROBE_LEN as u64, PROBE_LEN as u64);
    match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len) {
        Ok(()) => Ok(file.metadata()?.len() == offset + len),
        Err(error) if is_full(&error.into()) => Ok(true),
        Err(error) if refuses(&error.into()) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn punches(file: &File) -> io::Result<bool> {
    let mut seen = [PATTERN; ALIGNMENT as usize];
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let punched = file
        .write_all_at(&seen, 0)
        .and_then(|()| Ok(rustix::fs::fallocate(file, hole, 0, u64::from(ALIGNMENT))?))
        .and_then(|()| file.read_exact_at(&mut seen, 0));
    match punched {
        Ok(()) => Ok(seen.iter().all(|byte| *byte == 0)),
        Err(error) if is_full(&error) => Ok(true),
        Err(error) if refuses(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// "This file system does not do that", as file systems variously put it.
fn refuses(error: &io::Error) -> bool {
    let refusals = [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS];
    error
        .raw_os_error()
        .is_some_and(|code| refusals.iter().any(|no| no.raw_os_error() == code))
}
