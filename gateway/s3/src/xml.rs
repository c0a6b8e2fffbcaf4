//! XML in and out.
//!
//! Reading is serde over quick-xml behind a gate ([`read`]): size, UTF-8, no document type, bounded
//! depth, the right root. Writing is a small typed writer ([`write`]), because what must never go
//! wrong there (a raw carriage return, a control character, an unclosed element) is better made
//! impossible than tested for.

pub mod read;
pub mod write;

/// The namespace of every S3 document but `Error`.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
