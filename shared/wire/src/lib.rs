//! What travels between processes: the frame header and the messages.
//!
//! Bytes in, values out; nothing here knows how they travel. The messages are generated from
//! `proto/*.proto` (drawn and explained there).
//!
//! ```text
//!   header 8 B | payload: one protobuf message, or raw bytes where the exchange says so
//! ```

pub mod frame;

/// Messages of `proto/control.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "generated code; its documentation is the .proto file"
)]
pub mod control {
    include!(concat!(env!("OUT_DIR"), "/cairn.control.v1.rs"));
}

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

/// Messages of `proto/storage.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "generated code; its documentation is the .proto file"
)]
pub mod storage {
    include!(concat!(env!("OUT_DIR"), "/cairn.storage.v1.rs"));
}
