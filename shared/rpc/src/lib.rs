//! Calls between the houses.
//!
//! A gateway holds an `Arc<dyn ShardService>` per storage node and an `Arc<dyn MetadataService>`
//! per metadata replica. In one process these are the houses themselves, called directly; between
//! processes they are QUIC clients of the same traits. Nothing here knows what a message means.

pub mod shards;

pub use shards::{
    ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader, ShardInventory, ShardRead,
    ShardReceipt, ShardService, ShardTrailer, ShardUpload,
};
pub mod metadata;
pub use metadata::{MetadataError, MetadataService};
