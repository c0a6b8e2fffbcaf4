//! A seeded world behind the traits: the same seed gives the same time, draws, faults and crashes.
//!
//! ```text
//!   SimClock    advance ──► wakes sleepers in deadline order      no thread, no real time
//!   SimEntropy  seed ──► xoshiro256**
//!   SimDisk     write ──► unsynced ── sync ──► platter            kept by every crash
//!                            │
//!                            └── after_crash(seed) ──► any subset of its sectors
//! ```

pub mod clock;
pub mod disk;
pub mod entropy;
pub mod faults;

pub use clock::SimClock;
pub use disk::SimDisk;
pub use entropy::{SeededRng, SimEntropy};
pub use faults::{Fault, FaultOn};
