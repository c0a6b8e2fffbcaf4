//! The seams between Cairn and the outside: time, randomness, disks.
//!
//! Everything that waits, draws or writes takes one of these traits, so that the same code runs on
//! the real machine ([`real`]) and in a seeded simulation ([`sim`]). A lint locks the other doors.
//! The feature `simulation` adds two switches that only a simulation may throw: bugs on purpose
//! ([`mod@planted`]) and rare branches on demand ([`mod@buggify`]).
//! (The message network's seam is `cairn_rpc`: calls, not packets.)

pub mod aligned;
mod alignment;
pub mod buggify;
pub mod clock;
pub mod disk;
pub mod entropy;
mod name;
pub mod planted;
pub mod real;
pub mod sim;

pub use aligned::AlignedBuf;
pub use buggify::buggify;
pub use clock::{Clock, WallMillis};
pub use disk::{Access, Capabilities, Disk, DiskFile, DiskLock, OpenMode, Space};
pub use entropy::Entropy;
pub use planted::{Bug, planted};
