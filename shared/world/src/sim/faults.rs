//! Errors a simulated disk is told to give.

use std::io;
use std::ops::Range;

/// EIO, as Linux numbers it.
const EIO: i32 = 5;

/// Which calls a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOn {
    /// Reads.
    Read,
    /// Writes, cuts, reservations and punches. Some sectors of a failed write may have arrived.
    Write,
    /// [`DiskFile::sync`](crate::DiskFile::sync): what it should have made durable stays in doubt,
    /// through later successful syncs too, until it is written again.
    Sync,
    /// [`Disk::sync_dir`](crate::Disk::sync_dir), matched by the directory's name.
    SyncDir,
}

/// A planned EIO.
///
/// ```
/// use cairn_world::sim::{Fault, FaultOn};
/// let third_sync_of_a_segment = Fault::new(FaultOn::Sync).named("segment-").nth(3);
/// let dead_disk = Fault::new(FaultOn::Read).lasting();
/// let bad_spot = Fault::new(FaultOn::Read).named("segment-7").within(4_096..8_192).lasting();
/// # let _ = (third_sync_of_a_segment, dead_disk, bad_spot);
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    on: FaultOn,
    name: String,
    within: Option<Range<u64>>,
    nth: u64,
    lasting: bool,
    seen: u64,
}

impl Fault {
    /// The first such call on any file, once.
    #[must_use]
    pub fn new(on: FaultOn) -> Self {
        Self {
            on,
            name: String::new(),
            within: None,
            nth: 1,
            lasting: false,
            seen: 0,
        }
    }

    /// Only files whose name, as given to `open`, contains `part`.
    #[must_use]
    pub fn named(mut self, part: impl Into<String>) -> Self {
        self.name = part.into();
        self
    }

    /// Only reads and writes that touch these bytes.
    #[must_use]
    pub fn within(mut self, bytes: Range<u64>) -> Self {
        self.within = Some(bytes);
        self
    }

    /// Not before the `nth` matching call from now, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// From then on always, not once.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    fn meets(&mut self, on: FaultOn, name: &str, bytes: &Range<u64>) -> bool {
        let touches = self
            .within
            .as_ref()
            .is_none_or(|within| bytes.start < within.end && within.start < bytes.end);
        if self.on != on || !touches || !name.contains(&self.name) {
            return false;
        }
        self.seen += 1;
        self.seen == self.nth || (self.lasting && self.seen > self.nth)
    }
}

/// All faults of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Shows a call to every fault; the error where one of them means it.
    pub(super) fn meet(&mut self, on: FaultOn, name: &str, bytes: Range<u64>) -> io::Result<()> {
        let mut hit = false;
        for fault in &mut self.0 {
            hit |= fault.meets(on, name, &bytes);
        }
        if hit {
            Err(io::Error::from_raw_os_error(EIO))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(fault: Fault, calls: &[(FaultOn, &str, Range<u64>)]) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.add(fault);
        calls
            .iter()
            .map(|(on, name, at)| faults.meet(*on, name, at.clone()).is_err())
            .collect()
    }

    #[test]
    fn a_fault_counts_only_its_own_calls_and_fires_once() {
        let calls = [
            (FaultOn::Read, "seg-1", 0..9),
            (FaultOn::Sync, "seg-1", 0..0),
            (FaultOn::Read, "log", 0..9),
            (FaultOn::Read, "seg-2", 0..9),
            (FaultOn::Read, "seg-1", 0..9),
        ];
        let fault = Fault::new(FaultOn::Read).named("seg").nth(2);
        assert_eq!(hits(fault, &calls), [false, false, false, true, false]);
    }

    #[test]
    fn a_lasting_fault_stays() {
        let calls = [const { (FaultOn::Write, "a", 0..1) }; 4];
        let fault = Fault::new(FaultOn::Write).nth(3).lasting();
        assert_eq!(hits(fault, &calls), [false, false, true, true]);
    }

    #[test]
    fn a_bad_spot_is_met_only_by_calls_that_touch_it() {
        let reads = [0..100, 100..101, 150..200, 200..300].map(|at| (FaultOn::Read, "a", at));
        let fault = Fault::new(FaultOn::Read).within(100..200).lasting();
        assert_eq!(hits(fault, &reads), [false, true, true, false]);
    }
}
