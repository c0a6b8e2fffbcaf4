//! Clients of a whole simulated cluster, what they saw, and whether it may be so.
//!
//! ```text
//! Workload::draw(rng) ── clients ── Call ──► Door ──► some gateway of the simulation
//!                           │  ▲               │
//!                           │  └── Heard ◄─────┘
//!                           ▼
//!                        History ──► linear (each register), multipart, copies, chunks, listings
//!                                         └──► violations: none, or the run has failed
//! checks: what must be so of rows, disks, voters and bounds once the cluster has healed   (pure)
//! ```
//!
//! Single-threaded and deterministic: time is that of tokio's paused clock, every draw comes from a
//! [`cairn_world::sim::SeededRng`] that the caller hands in, and every map is ordered.

pub mod checks;
pub mod content;
pub mod door;
pub mod history;
pub mod workload;
