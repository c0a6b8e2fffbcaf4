//! Over real QUIC on loopback.

mod admission;
mod bounds;
mod calls;
mod garbage;
mod join;
mod metadata;
mod pool;
mod rebuild;
mod rig;
mod shards;
mod store;
