//! What travels between processes: the frame header and the messages.
//!
//! Bytes in, values out; nothing here knows how they travel. The messages are generated from
//! `proto/*.proto` (drawn and explained there).

/// Messages of `proto/metadata.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "generated code; its documentation is the .proto file"
)]
pub mod metadata {
    include!(concat!(env!("OUT_DIR"), "/cairn.metadata.v1.rs"));
}
