//! Calls between the houses.
//!
//! A gateway holds an `Arc<dyn ShardService>` per storage node and an `Arc<dyn MetadataService>`
//! per metadata replica. In one process these are the houses themselves, called directly; between
//! processes they are the clients of the same traits in [`quic`]. What a message means is the
//! business of the traits.

pub mod metadata;
pub mod quic;
pub mod shards;

pub use metadata::{MetadataError, MetadataService};
pub use shards::{
    ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader, ShardInventory, ShardRead,
    ShardReceipt, ShardService, ShardTrailer, ShardUpload,
};
