//! Calls between the houses.
//!
//! A gateway holds an `Arc<dyn ShardService>` per storage node and an `Arc<dyn MetadataService>`
//! per metadata replica. In one process these are the houses themselves, called directly; between
//! processes they are the clients of the same traits in [`quic`]. What a message means is the
//! business of the traits.

pub mod group;
pub mod metadata;
pub mod quic;
pub mod routes;
pub mod shards;

pub use group::{MetadataGroup, Replica, Replicas};
pub use metadata::{MetadataError, MetadataService};
pub use routes::{DiskRoute, ShardRoutes};
pub use shards::{
    Rebuild, Rebuilt, ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader, ShardInventory,
    ShardRead, ShardRebuild, ShardReceipt, ShardService, ShardTrailer, ShardUpload,
};
