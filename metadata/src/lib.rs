//! One replica of the metadata group.
//!
//! ```text
//!  service    MetadataService: stamps entries, commits, answers queries
//!   |-- apply     entry -> row changes + reply        pure
//!   |-- query     query + view -> answer              pure
//!   |-- keyspace  every key kind                      pure
//!   |-- mark      counts every row, says what differs pure
//!   |-- planner   what the leader does by itself      plan pure, loop thin
//!   `-- raft      host: openraft over journal, store generations, snapshots
//! ```
//!
//! It knows nothing of HTTP or erasure maths.

pub mod apply;
pub mod journal;
pub mod keyspace;
pub mod mark;
pub mod planner;
pub mod query;
pub mod raft;
pub mod restore;
pub mod service;
pub mod snapshot;
mod status;

pub use planner::Planner;
pub use service::{Machine, Metadata};
