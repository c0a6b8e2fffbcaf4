//! The axum gateway: S3, CAS, admin, health, and the chunk data path.
//!
//! ```text
//!   serve ── app ─┬─ pipeline ── s3_api ─┬─ data (writer, reader) ──> ShardService, k + m disks
//!                 ├─ cas ────────────────┤
//!                 ├─ admin               └─ metadata ──────────────> MetadataService
//!                 └─ health
//! ```
//!
//! A gateway keeps nothing a restart may lose. It meets the other houses only through the two
//! traits of `cairn_rpc`, and knows neither Raft nor disks. The protocol is `cairn_s3`'s; here is
//! what takes sockets, time and other machines.

mod admin;
mod app;
mod body;
mod cas;
mod data;
mod digesting;
mod error;
mod gateway;
mod health;
mod json;
mod metadata;
mod metrics;
mod pipeline;
mod recent;
mod s3_api;
mod serve;
mod settings;
pub mod tls;
mod tuning;
mod users;

#[cfg(test)]
mod fakes;

pub use gateway::Gateway;
pub use settings::Settings;
