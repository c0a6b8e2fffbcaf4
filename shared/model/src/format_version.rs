//! Every format on disk or wire begins with a magic and one of these.

/// Journal segments and groups (`docs/formats/journal.md`).
pub const JOURNAL: u16 = 1;
/// Shard segments and records (`docs/formats/segment.md`).
pub const SEGMENT: u16 = 1;
/// Rows of the metadata store (`docs/formats/keyspace.md`).
pub const KEYSPACE: u16 = 1;
/// Frames between processes (`docs/formats/wire.md`).
pub const WIRE: u8 = 1;
/// Snapshot streams of the metadata store.
pub const SNAPSHOT: u16 = 1;
/// The identity file of a data directory.
pub const DIRECTORY: u16 = 1;
