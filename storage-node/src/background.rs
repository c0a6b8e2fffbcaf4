//! Care of one disk in small steps, so that foreground work never waits for more than one of them.
//!
//! ```text
//!  Reclaim   dead large records: punch, sync, forget               blocks back at once
//!  Compact   wasted segment: copy live, prove, switch, drop        space of small records back
//!  Scrub     every live record: read and check                     damage log
//! ```
//!
//! Nothing here decides that a shard should go: only tombstones of committed deletes and records
//! that were superseded on this disk are ever reclaimed.

mod compact;
mod reclaim;
mod scrub;

pub(crate) use compact::Compact;
pub(crate) use reclaim::Reclaim;
pub(crate) use scrub::Scrub;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There was nothing to do.
    Idle,
    /// About this many bytes were read, written or given back; there may be more to do.
    Worked(u64),
    /// The disk takes no more of it: it failed, is closing, or has no room for now.
    Stopped,
}

/// Background work, one bounded step at a time.
pub trait BackgroundStep: Send {
    /// Does a little. Never longer than moving a few MiB or one record takes.
    fn step(&mut self) -> Progress;
}
