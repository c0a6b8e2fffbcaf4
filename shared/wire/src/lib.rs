//! What travels between processes: the frame header and the messages.
//!
//! Bytes in, values out; nothing here knows how they travel. The messages are generated from
//! `proto/*.proto` (drawn and explained there).
//!
//! ```text
//!   header 8 B | payload: one protobuf message, or raw bytes where the exchange says so
//! ```

mod coding;
pub mod frame;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "generated code; its documentation is the .proto files"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

/// Messages of `proto/control.proto`.
pub use generated::cairn::control::v1 as control;
/// Messages of `proto/metadata.proto`.
pub use generated::cairn::metadata::v1 as metadata;
/// Messages of `proto/storage.proto`.
pub use generated::cairn::storage::v1 as storage;
