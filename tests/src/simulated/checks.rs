//! What must be so once a cluster has healed and nobody writes. Pure: each takes plain facts and
//! gives what is wrong with them, in words.

pub mod bounds;
pub mod references;
pub mod shards;
