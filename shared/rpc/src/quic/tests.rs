//! Over real QUIC on loopback.

mod admission;
mod calls;
mod metadata;
mod rig;
mod shards;
mod store;
