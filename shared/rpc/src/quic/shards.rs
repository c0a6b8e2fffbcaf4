//! `ShardService`, `ShardInventory` and `ShardRebuild` over the network.
//!
//! ```text
//!   upload    Prepare ─> Accepted, raw frames ─> taken (cumulative) ..., Trailer ─> Receipt
//!   rebuild   Rebuild ─> AtWork, AtWork ..., Rebuilt
//!   read      Read ─> Cells, then their bytes raw
//!   others    one frame each way; long lists are several calls
//! ```
//!
//! Whatever happens to the connection is `Unavailable`: a shard that may or may not have become
//! durable counts as not written, and what of it lies on the disk is an orphan to be judged.

mod cells;
mod client;
mod convert;
mod failure;
mod rebuild;
mod server;
mod upload;

pub use client::ShardClient;
pub use server::ShardHandler;
