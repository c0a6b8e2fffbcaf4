//! The nouns of Cairn: what every other crate means by a chunk, an incarnation, a coding, a version.
//!
//! Plain values with fixed byte forms and every bound of the system. Nothing here reads a clock, a
//! file or the network, and nothing here knows who uses it.

pub mod chunk;
pub mod coding;
pub mod format_version;
pub mod incarnation;
pub mod limits;
pub mod manifest;
pub mod node;
pub mod version;

pub use chunk::{ChunkId, DomainId, Sha256};
pub use coding::{Coding, CodingError};
pub use incarnation::{Incarnation, ManifestId, SessionId};
pub use manifest::Extent;
pub use node::{DiskId, NodeId};
pub use version::RowVersion;
