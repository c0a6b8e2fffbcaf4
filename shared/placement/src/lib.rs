//! Partition table and minimal-move planning.
//!
//! ```text
//!   incarnation ── top bits of its hash ──► partition ──► row: one disk per shard, each in another
//!                                                              failure domain
//!   view (disks, nodes, zones, weights) ── first_table ──► table of a new cluster
//!   changed view + table                ── plan_moves  ──► moves: the least that restore
//!                                                          membership, separation, balance
//!   move:  current ──begin──► current + next ──(every shard verified on next)── cut_over ──► next
//! ```
//!
//! Pure and deterministic: the same view, table and seed give the same answer on every machine,
//! whatever the order of the view. Who begins the moves, how many at once, and when a cut-over is
//! allowed is the metadata's business (design §4, "Placement changes").

mod board;
mod chain;
pub mod plan;
mod shares;
pub mod table;
mod topology;
pub mod writable;

pub use plan::{Move, MoveReason, PlacementError, first_table, plan_moves};
pub use table::{PartitionRow, PartitionTable, Slot, TableError};
pub use topology::{Candidate, DomainLevel};
pub use writable::{Writable, draw, writable};
