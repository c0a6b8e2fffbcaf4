//! The S3 protocol without IO: no socket, no clock, no storage. The gateway feeds it heads and body
//! frames and sends what it answers.
//!
//! ```text
//!  head ── Head::new ── Verifier::verify ── Target::parse ── Op::resolve ── headers::check ─┐
//!                        (sigv4)              (target)        (op, table)    (closed table) │
//!                                                                                           ▼
//!  body ── Upload::push ── decoded Bytes ──► stripes          api::<Op>::from_head ── the handler
//!             │ (chunked, digest)                                                           │
//!             └── Upload::finish ── Verified ──────────────────► commit ────────────────────┤
//!                                                                                           ▼
//!                                             api::<Op>Output::into_response, S3Error::respond
//! ```
//!
//! Three rules hold everywhere. The world is closed: what is not understood is refused by name.
//! Nothing is authorised by an input that was not signed. Memory is bounded by
//! [`cairn_model::limits`], whatever a client sends.

pub mod api;
pub mod bearer;
pub mod chunked;
pub mod conditions;
pub mod copy_source;
pub mod dates;
pub mod digest;
pub mod error;
pub mod head;
pub mod headers;
pub mod object_headers;
pub mod op;
pub mod query;
pub mod range;
pub mod sigv4;
pub mod target;
#[cfg(test)]
mod testing;
pub mod upload;
mod uri;
pub mod xml;

pub use dates::Timestamp;
pub use error::{Code, S3Error};
pub use head::Head;
pub use op::Op;
pub use query::Query;
pub use target::{BucketName, Hosts, Kind, Meant, ObjectKey, Target};
