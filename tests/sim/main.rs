//! One node on a simulated disk: crash it at every disk operation of a short workload and look.
//!
//! ```text
//!  workload ─> gateway ─> metadata (journal, store) ─┐
//!                    └──> storage node (segments) ───┴─> one SimDisk, operation n cuts the power
//!  next boot: what the disk kept ─> the same node ─> every acknowledged write, nothing else
//! ```
//!
//! Leases besides: a week of an idle node's planner in a second. And uploads that take hours. And the
//! workload of the simulated cluster, on one node.
//!
//! The product's own code throughout: only clock, entropy, disk and the store engine are simulated.

#![expect(
    clippy::unwrap_used,
    reason = "a crate of tests: a surprise is a failure"
)]

mod clock;
mod completed_again;
mod crash;
mod leases;
mod machine;
mod repair;
mod s3;
mod slow_upload;
mod workload;
